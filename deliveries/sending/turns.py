"""Shares a number of places among tenants: who waits gets one in turn, and nobody gets them all.

`resolve` begins look-ups by it. Pure; what is waited for is not known here.
"""

from __future__ import annotations

from collections import deque
from typing import Generic, TypeVar

Item = TypeVar("Item")


class Turns(Generic[Item]):
    """What waits, by tenant, and how many places each tenant has taken."""

    def __init__(self, *, places: int, places_per_tenant: int) -> None:
        self._free = places
        self._places_per_tenant = places_per_tenant
        self._taken: dict[str, int] = {}
        self._waiting: dict[str, deque[Item]] = {}
        self._next: dict[str, None] = {}
        """Tenants for whom something waits and who may take a place, in the order of their turns:
        a dict for its order."""

    def wait(self, tenant: str, item: Item) -> None:
        """Put an item at the end of its tenant's line."""
        self._waiting.setdefault(tenant, deque()).append(item)
        self._line_up(tenant)

    def take(self) -> tuple[str, Item] | None:
        """Take a place for the next item in turn, and return it with its tenant."""
        if self._free <= 0 or not self._next:
            return None
        tenant = next(iter(self._next))
        del self._next[tenant]
        item = self._waiting[tenant].popleft()
        if not self._waiting[tenant]:
            del self._waiting[tenant]
        self._free -= 1
        self._taken[tenant] = self._taken.get(tenant, 0) + 1
        self._line_up(tenant)
        return tenant, item

    def give_back(self, tenant: str) -> None:
        """Free one of a tenant's places."""
        self._free += 1
        left = self._taken.pop(tenant) - 1
        if left:
            self._taken[tenant] = left
        self._line_up(tenant)

    def _line_up(self, tenant: str) -> None:
        if tenant in self._waiting and self._taken.get(tenant, 0) < self._places_per_tenant:
            self._next.setdefault(tenant)
