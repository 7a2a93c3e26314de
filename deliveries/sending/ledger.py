"""The pump's way to the database: claims and recordings on a thread of their own.

So a slow or absent database never stops what is in flight from being answered in time. One thread,
one connection; failures are counted by the pump, which keeps what could not be recorded.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

from django.conf import settings
from django.db import DatabaseError, InterfaceError, OperationalError, connection

from deliveries import wake
from deliveries.lifecycle.cancellation import cancel_batch
from deliveries.models import Delivery
from deliveries.queue_walk import KnownFloor
from deliveries.sending.claim import Claim, ClaimedDelivery, claim_due
from deliveries.sending.record import AttemptResult, hand_back, record_results
from deliveries.sending.snapshot import describe_event_types
from deliveries.workers import Reporter

logger = logging.getLogger(__name__)

T = TypeVar("T")

UNAVAILABLE = (OperationalError, InterfaceError)
"""What means "the database is away or overloaded": try the same again later."""

CALL_FOR_HELP_SECONDS = 0.5
"""Between wake-ups of other workers while the backlog lasts; each costs a millisecond."""


@dataclass(frozen=True, slots=True)
class Work:
    """Deliveries that were claimed, with all that is needed to send them."""

    claim: Claim
    descriptions: dict[tuple[int, str], str]
    """Of event types, by project and name."""


class Ledger:
    """Runs claims and recordings one after the other; results come as futures."""

    def __init__(self, *, on_done: Callable[[], None]) -> None:
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="ledger")
        self._on_done = on_done
        self._next_call_at = 0.0
        self._known_floor = KnownFloor()
        self._reporter = Reporter()

    def claim(
        self,
        *,
        limit: int,
        per_subscription: int,
        after: UUID,
        busy: Collection[UUID],
        calls_for_help: bool,
    ) -> Future[Work]:
        """Claim due deliveries and read what sending them needs.

        One that `calls_for_help` wakes another worker when more is due than it takes.
        """

        def job() -> Work:
            wake.acknowledge()  # before claiming: a commit after this wakes us again
            claim = claim_due(
                limit=limit,
                per_subscription=per_subscription,
                lease_seconds=settings.DISPATCHER_LEASE_SECONDS,
                after=after,
                busy=busy,
                known_floor=self._known_floor,
            )
            if claim.is_full and calls_for_help:
                self._wake_another()
            return _with_descriptions(claim)

        return self._submit(job)

    def _wake_another(self) -> None:
        """More is due than one process takes at once; but once in a while is enough."""
        now = time.monotonic()
        if now >= self._next_call_at:
            self._next_call_at = now + CALL_FOR_HELP_SECONDS
            wake.wake_a_worker()

    def record(self, results: Sequence[AttemptResult]) -> Future[list[UUID]]:
        """Record results; the future's value is the subscriptions that were deactivated."""
        return self._submit(lambda: _record_all(results))

    def hand_back(self, deliveries: Sequence[ClaimedDelivery]) -> Future[None]:
        """Return claimed deliveries unsent."""
        return self._submit(lambda: hand_back(deliveries))

    def cancel(self, subscription_id: UUID) -> Future[int]:
        """Cancel some of a deactivated subscription's pending deliveries; 0 when none are left."""
        return self._submit(
            lambda: cancel_batch(subscription_id, reason=Delivery.EndReason.DEACTIVATED)
        )

    def report(self, *, in_flight: int, own_outage_since: datetime | None) -> Future[None]:
        """Write down that this worker makes progress."""
        return self._submit(
            lambda: self._reporter.report(in_flight=in_flight, own_outage_since=own_outage_since)
        )

    def close(self) -> None:
        """Finish what was submitted and release the connection, which is that thread's own."""
        self._thread.submit(self._leave)
        self._thread.shutdown(wait=True)

    def _leave(self) -> None:
        try:
            self._reporter.leave()
        except DatabaseError:  # its row grows old instead
            logger.warning("the worker's row could not be removed", exc_info=True)
        finally:
            connection.close()  # this thread's

    def _submit(self, job: Callable[[], T]) -> Future[T]:
        future = self._thread.submit(_with_fresh_connection, job)
        future.add_done_callback(lambda _: self._on_done())
        return future


def _with_fresh_connection(job: Callable[[], Any]) -> Any:
    try:
        return job()
    except UNAVAILABLE:
        connection.close()  # the next job connects anew
        raise


def _with_descriptions(claim: Claim) -> Work:
    """Add what only one wire format needs."""
    wanted = {
        (delivery.project_id, delivery.event_type)
        for delivery in claim.deliveries
        if claim.snapshots[delivery.subscription_id].wire_format == "phrase"
    }
    return Work(claim, describe_event_types(wanted))


def _record_all(results: Sequence[AttemptResult]) -> list[UUID]:
    """Record a batch; where the database refuses a row, find it and let its neighbours pass."""
    try:
        return record_results(results)
    except UNAVAILABLE:
        raise
    except DatabaseError:
        if len(results) == 1:
            return _record_bare(results[0])
        middle = len(results) // 2
        return _record_all(results[:middle]) + _record_all(results[middle:])


def _record_bare(result: AttemptResult) -> list[UUID]:
    """Record how an attempt ended without what it contained; else let its lease lapse."""
    logger.exception("attempt of delivery %s is recorded without content", result.delivery.id)
    try:
        return record_results([result.without_content()])
    except UNAVAILABLE:
        raise
    except DatabaseError:
        logger.exception("attempt of delivery %s cannot be recorded", result.delivery.id)
        return []
