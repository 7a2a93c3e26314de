"""Deliveries that were claimed and wait to be sent: one of each subscription in turn.

The pump's. A claim takes up to fifty of a subscription; whoever has one only shall not wait until
those are sent. Pure.
"""

from __future__ import annotations

from collections import deque
from typing import Generic, TypeVar
from uuid import UUID

Item = TypeVar("Item")


class Line(Generic[Item]):
    """A queue for each subscription, and whose turn it is."""

    def __init__(self) -> None:
        self._queues: dict[UUID, deque[Item]] = {}
        """In the order of their turns: a dict for its order. None is empty."""
        self._length = 0

    def __len__(self) -> int:
        return self._length

    def join(self, subscription_id: UUID, item: Item) -> None:
        """Wait behind the subscription's others."""
        self._length += 1
        queue = self._queues.get(subscription_id)
        if queue is None:
            self._queues[subscription_id] = deque([item])
        else:
            queue.append(item)

    def next(self) -> Item:
        """Take the next one; its subscription's turn comes again after all others'."""
        subscription_id = next(iter(self._queues))
        queue = self._queues.pop(subscription_id)
        item = queue.popleft()
        if queue:
            self._queues[subscription_id] = queue
        self._length -= 1
        return item
