"""Lets a worker outlive what does not belong into its queue: Celery's way to Redis, made tolerant.

kombu takes each queued message for one of its own; any other ends the worker, or returns to the
queue and ends the next one. Here such a message is dropped, with one log line that never shows its
content. Chosen by `CELERY_BROKER_TRANSPORT`. Losing a message is harmless: workers poll (ADR 1).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from typing import Any

from kombu.transport import redis
from kombu.utils.encoding import bytes_to_str
from kombu.utils.json import loads
from redis.exceptions import DataError, RedisError

logger = logging.getLogger(__name__)

_MALFORMED = (AttributeError, DataError, LookupError, RecursionError, TypeError, ValueError)
"""What reading a strange message raises in kombu and Celery. Errors of the connection are not among
them, but for `KeyError`: kombu means its own table of sockets by it, which is not read here."""


_PAUSE_SECONDS = 1.0
"""Before a worker connects again to a Redis that lets it in and then refuses to be written."""


class Channel(redis.Channel):
    """Drops what cannot be decoded, and what Celery's consumer cannot make a task of."""

    def _create_client(self, asynchronous: bool = False) -> Any:
        client = super()._create_client(asynchronous)  # type: ignore[misc]  # the stubs lack it
        client.set_response_callback("BRPOP", _decodable)
        return client

    def basic_consume(
        self,
        queue: str,
        no_ack: bool,
        callback: Callable[..., Any] | None,
        consumer_tag: str | None,
        **kwargs: Any,
    ) -> str:
        """Consume; reject what `callback` fails on, since what is unacknowledged returns."""

        def tolerant(message: Any) -> Any:
            try:
                return callback(message) if callback else None
            except _MALFORMED as error:
                _log_dropped(queue, error)
                if not no_ack and not message.acknowledged:
                    message.reject()

        tag: str = super().basic_consume(queue, no_ack, tolerant, consumer_tag, **kwargs)
        return tag


class Transport(redis.Transport):
    """Drops what is JSON but no message; it is not in the list of unacknowledged ones yet."""

    Channel = Channel

    def register_with_event_loop(self, connection: Any, loop: Any) -> None:
        """Begin to poll; if Redis refuses the first command, close what nobody else would."""
        try:
            super().register_with_event_loop(connection, loop)
        except RedisError:
            self.close_connection(connection)
            time.sleep(_PAUSE_SECONDS)
            raise

    def _deliver(self, message: Any, queue: str | None) -> None:
        try:
            super()._deliver(message, queue)
        except _MALFORMED as error:
            _log_dropped(queue, error)


def _decodable(reply: Sequence[bytes] | None, **_: Any) -> tuple[bytes, ...] | None:
    """Pass on a queue's name and a message; say that nothing came if it cannot be decoded."""
    if not reply:
        return None
    queue, message = reply
    try:
        loads(bytes_to_str(message))
    except _MALFORMED as error:
        _log_dropped(bytes_to_str(queue), error, f" of {len(message)} bytes")
        return None
    return tuple(reply)


def _log_dropped(queue: str | None, error: Exception, size: str = "") -> None:
    logger.error("malformed message%s dropped from %s: %s", size, queue, type(error).__name__)
