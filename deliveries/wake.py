"""Wakes a worker when something is due: one message, however many events are published.

Called after commits. A thread of this process does it, so that no publisher waits for Redis.
Nothing depends on it: workers poll every second, so a broker that is down, slow or emptied costs a
second at most. Sends by task name, so that no use case imports `tasks`.
"""

from __future__ import annotations

import atexit
import logging
import os
import threading
import time

from celery import current_app
from django.core.cache import cache
from django.db import connections, transaction
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
    """Wake a worker soon after the current transaction is committed; now, if there is none."""
    transaction.on_commit(_waker.wake, robust=True)


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
"""What is waited for a broker that does not answer."""


_TOGETHER_SECONDS = 0.005
"""What is published within this time shares a question to Redis: that costs a third of what
publishing an event does."""


class _Waker:
    """The thread that wakes workers, started when it is first needed; in each process its own."""

    def __init__(self) -> None:
        self.begin_anew()

    def begin_anew(self) -> None:
        """Forget a thread that a forked process does not have."""
        self._is_wanted = threading.Event()
        self._at_work = threading.Lock()
        self._thread: threading.Thread | None = None

    def wake(self) -> None:
        """Wake a worker soon, without waiting for it."""
        self._is_wanted.set()
        if self._thread is None:
            self._start()

    def _start(self) -> None:
        with self._at_work:
            if self._thread is None:
                thread = threading.Thread(target=self._run, name="waker", daemon=True)
                thread.start()
                self._thread = thread

    def _run(self) -> None:
        while self._is_wanted.wait():
            with self._at_work:
                self._do_what_is_wanted()
            connections.close_all()  # this thread's: a cache in the database opens one
            time.sleep(_TOGETHER_SECONDS)

    def _do_what_is_wanted(self) -> None:
        self._is_wanted.clear()  # before: what is committed from now on wants another
        try:
            wake_a_worker()
        except Exception:  # workers poll; the thread is for the next one, too
            logger.exception("no worker could be woken")

    def finish(self) -> None:
        """Do what is still wanted: a command may end right after it has published.

        Not so in forked children, a web server's or a pool's, which end without a word.
        """
        if not self._at_work.acquire(timeout=2 * _PATIENCE_SECONDS):
            return  # a broker that does not answer keeps nobody from ending
        try:
            if self._is_wanted.is_set():
                self._do_what_is_wanted()
        finally:
            self._at_work.release()


_waker = _Waker()
os.register_at_fork(after_in_child=_waker.begin_anew)
atexit.register(_waker.finish)
