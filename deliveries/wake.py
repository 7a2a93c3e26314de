"""Wakes a worker when something is due: one message, however many events are published.

Called after commits. Nothing depends on it: workers poll every second, so a broker that is down,
slow or emptied costs a second at most. Sends by task name, so that no use case imports `tasks`.
"""

from __future__ import annotations

import logging

from celery import current_app
from django.core.cache import cache
from django.db import transaction
from kombu.exceptions import KombuError
from kombu.pools import producers
from redis.exceptions import RedisError

from subscriptions.breaker import Breaker

logger = logging.getLogger(__name__)

QUEUE = "deliveries"
"""The workers' own queue: in somebody's Django project, other workers leave it alone."""

_FLAG = "deliveries.wake"
_FLAG_SECONDS = 5
"""A flag whose message was lost must not silence the next ones for long."""


def make_breaker() -> Breaker:
    """Make what keeps publishers from waiting for a broker that is away."""
    return Breaker(
        logger,
        errors=(KombuError, RedisError, OSError),
        away="broker unreachable, workers will poll",
        back="broker reachable again",
    )


breaker = make_breaker()


def wake_on_commit() -> None:
    """Wake a worker once the current transaction is committed; at once if there is none."""
    transaction.on_commit(wake_a_worker, robust=True)


def wake_a_worker() -> None:
    """Send one wake-up unless one is on its way."""
    breaker.ask(_send_if_first, default=None)


def acknowledge() -> None:
    """Say that a claim is about to look: what is committed from now on needs a new wake-up."""
    breaker.ask(lambda: cache.delete(_FLAG), default=None)


def _send_if_first() -> None:
    if cache.add(_FLAG, 1, _FLAG_SECONDS):
        _send()


def _send() -> None:
    """Hand the message over within a fraction of a second, or raise what the breaker knows."""
    connection = current_app.connection_for_write(
        connect_timeout=_PATIENCE_SECONDS,
        transport_options={
            **current_app.conf.broker_transport_options,
            "socket_timeout": _PATIENCE_SECONDS,
            "socket_connect_timeout": _PATIENCE_SECONDS,
        },
    )
    with producers[connection].acquire(block=True, timeout=_PATIENCE_SECONDS) as producer:
        current_app.send_task(
            "deliveries.send_due",
            producer=producer,
            queue=QUEUE,
            retry=False,
            ignore_result=True,
        )


_PATIENCE_SECONDS = 0.2
"""What a publisher waits for a broker that does not answer."""
