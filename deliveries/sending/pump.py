"""The engine's heart: claims due deliveries, sends them, records what happened. One per worker.

A thread that Celery's worker starts (`dispatcher.celery`). It alone drives the door; the ledger
talks to the database beside it. It polls every second, so it needs neither
broker nor beat; a wake-up only makes it look at once.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TypeVar
from uuid import UUID

from django.db import DatabaseError

from deliveries.sending.attempt_log import log_attempt
from deliveries.sending.claim import ClaimedDelivery
from deliveries.sending.door import Door
from deliveries.sending.ledger import UNAVAILABLE, Ledger, Work
from deliveries.sending.outage import FEEL_EVERY_SECONDS, FEELERS, Outage
from deliveries.sending.preparation import Ticket, prepare
from deliveries.sending.record import AttemptResult
from deliveries.sending.slots import Slots
from deliveries.sending.transport import Exchange, Outcome
from deliveries.workers import REPORT_SECONDS

logger = logging.getLogger(__name__)

T = TypeVar("T")

POLL_SECONDS = 1.0
"""How soon due work is found with no wake-up at all."""

FLUSH_ROWS = 500
FLUSH_SECONDS = 0.02
"""Results are recorded when there are so many, or so long after the first of them."""

CLAIM_PAUSE_SECONDS = 0.02
"""Between claims for less than a quarter of the slots: small claims cost as much as large ones."""

SENT_PER_TURN = 32
"""Requests begun before looking at what came back: composing 500 in one go takes 50 ms, by which
everything in flight would seem slower than it is."""

BACK_OFF_SECONDS = 0.5
BACK_OFF_LIMIT_SECONDS = 5.0
"""Between tries while the database is away, doubling."""


@dataclass(frozen=True, slots=True)
class PumpSettings:
    """How much one pump does at once."""

    in_flight_limit: int
    per_subscription: int
    request_deadline_seconds: float


@dataclass(slots=True)
class _BackOff:
    """When the database may be asked again."""

    seconds: float = BACK_OFF_SECONDS
    until: float = 0.0

    def failed(self, now: float) -> None:
        self.until = now + self.seconds
        self.seconds = min(2 * self.seconds, BACK_OFF_LIMIT_SECONDS)

    def worked(self) -> None:
        self.seconds = BACK_OFF_SECONDS


@dataclass(slots=True)
class _Jobs:
    """What the ledger is doing for us; at most one of each."""

    claim: Future[Work] | None = None
    record: Future[list[UUID]] | None = None
    hand_back: Future[None] | None = None
    cancel: Future[int] | None = None
    report: Future[None] | None = None


class Pump(threading.Thread):
    """Sends what is due until it is stopped; start it once."""

    def __init__(
        self,
        door: Door,
        settings: PumpSettings,
        *,
        on_crash: Callable[[], None],
        on_progress: Callable[[], None],
    ) -> None:
        """`on_progress` is called from the thread each time the ledger has ended something."""
        super().__init__(name="pump", daemon=True)
        self._on_crash = on_crash
        self._on_progress = on_progress
        self._door = door
        self._settings = settings
        self._slots = Slots(
            limit=settings.in_flight_limit, per_subscription=settings.per_subscription
        )
        self._ledger = Ledger(on_done=door.wake)
        self._jobs = _Jobs()
        self._back_off = _BackOff()
        self._outage = Outage()
        self._claimed: deque[tuple[ClaimedDelivery, Work]] = deque()
        self._results: list[AttemptResult] = []
        self._recording: list[AttemptResult] = []
        self._first_result_at = 0.0
        self._is_behind = False
        """The database did not take the last results: ours must not be claimed again before."""
        self._to_hand_back: list[ClaimedDelivery] = []
        self._to_cancel: deque[UUID] = deque()
        self._is_more_due = True
        self._left_out: set[UUID] = set()
        self._last_subscription = UUID(int=0)
        self._last_claim_at = 0.0
        self._report_at = 0.0
        self._is_stopping = False

    # ---- From any thread --------------------------------------------------------------------

    def wake(self) -> None:
        """Look for due deliveries now."""
        self._is_more_due = True
        self._door.wake()

    def stop(self) -> None:
        """Claim nothing more; finish what is in flight, hand back the rest, then end the thread."""
        self._is_stopping = True
        self._door.wake()

    # ---- The thread -------------------------------------------------------------------------

    def run(self) -> None:
        """Turn until stopped and empty."""
        try:
            while not (self._is_stopping and self._is_empty()):
                self._turn()
        except Exception:  # the thread's border: a worker that sends nothing must not linger
            logger.critical("the pump crashed; its leases will lapse", exc_info=True)
            self._on_crash()
        finally:
            self._door.close()
            self._ledger.close()

    def _turn(self) -> None:
        now = time.monotonic()
        if self._is_stopping:
            self._take_back_unsent()
        self._take_up_finished_jobs(now)
        self._begin_jobs(now)
        self._send_some(now)
        for exchange in self._door.collect(self._patience_seconds(now)):
            self._finish(exchange)

    def _take_back_unsent(self) -> None:
        while self._claimed:
            self._give_up(self._claimed.popleft()[0])
        for request in self._door.take_back_unsent():
            self._give_up(request.ticket.delivery)

    def _is_empty(self) -> bool:
        jobs = self._jobs
        is_idle = not (jobs.claim or jobs.record or jobs.hand_back)
        return is_idle and not (self._slots.in_flight or self._results or self._to_hand_back)

    def _patience_seconds(self, now: float) -> float:
        """How long nothing needs to be looked at unless something arrives."""
        if self._claimed:
            return 0.0
        if self._results and not self._jobs.record:
            return max(0.0, max(self._first_result_at + FLUSH_SECONDS, self._back_off.until) - now)
        is_waiting = self._jobs.claim or self._is_behind or self._slots.free <= 0
        if self._is_more_due and not is_waiting:
            pause = FEEL_EVERY_SECONDS if self._outage.since else CLAIM_PAUSE_SECONDS
            return max(0.0, max(self._last_claim_at + pause, self._back_off.until) - now)
        return max(0.0, min(POLL_SECONDS, self._last_claim_at + POLL_SECONDS - now))

    # ---- Jobs of the ledger -----------------------------------------------------------------

    def _begin_jobs(self, now: float) -> None:
        if now < self._back_off.until:
            return
        if self._results and not self._jobs.record and self._is_ripe(now):
            self._recording, self._results = self._results, []
            self._jobs.record = self._ledger.record(self._recording)
        if self._to_hand_back and not self._jobs.hand_back:
            self._jobs.hand_back = self._ledger.hand_back(self._to_hand_back)
            self._to_hand_back = []
        if self._to_cancel and not self._jobs.cancel:
            self._jobs.cancel = self._ledger.cancel(self._to_cancel[0])
        if not self._jobs.claim and self._may_claim(now):
            self._begin_claim(now)
        if not self._jobs.report and now >= self._report_at:
            self._report_at = now + REPORT_SECONDS
            self._jobs.report = self._ledger.report(
                in_flight=self._slots.in_flight, own_outage_since=self._outage.since
            )

    def _is_ripe(self, now: float) -> bool:
        return len(self._results) >= FLUSH_ROWS or now >= self._first_result_at + FLUSH_SECONDS

    def _may_claim(self, now: float) -> bool:
        if self._is_stopping or self._slots.free <= 0 or self._is_behind:
            return False
        if len(self._results) + len(self._recording) > 2 * self._slots.limit:
            return False  # the database is behind: what it has to write comes first
        since_last = now - self._last_claim_at
        if self._outage.since:
            return since_last >= FEEL_EVERY_SECONDS
        if not self._is_more_due:
            return since_last >= POLL_SECONDS
        return self._slots.free >= self._slots.limit // 4 or since_last >= CLAIM_PAUSE_SECONDS

    def _begin_claim(self, now: float) -> None:
        self._is_more_due = False
        self._last_claim_at = now
        self._left_out = self._slots.busy(now=now)
        self._jobs.claim = self._ledger.claim(
            limit=min(self._slots.free, FEELERS) if self._outage.since else self._slots.free,
            per_subscription=self._slots.per_subscription,
            after=self._last_subscription,
            busy=self._left_out,
        )

    def _take_up_finished_jobs(self, now: float) -> None:
        jobs = self._jobs
        if jobs.claim and jobs.claim.done():
            future, jobs.claim = jobs.claim, None
            if work := self._value(future, now):
                self._take_in(work)
        if jobs.record and jobs.record.done():
            recorded, jobs.record = jobs.record, None
            self._take_up_recording(recorded, now)
        if jobs.hand_back and jobs.hand_back.done():
            jobs.hand_back = None  # where it failed, the leases lapse
        if jobs.cancel and jobs.cancel.done():
            cancelled, jobs.cancel = jobs.cancel, None
            if self._value(cancelled, now) == 0:
                self._to_cancel.popleft()
        if jobs.report and jobs.report.done():
            reported, jobs.report = jobs.report, None
            self._value(reported, now)

    def _take_up_recording(self, future: Future[list[UUID]], now: float) -> None:
        deactivated = self._value(future, now)
        self._is_behind = deactivated is None
        if deactivated is None:
            self._results = self._recording + self._results  # the same, in the same order, later
        else:
            self._to_cancel.extend(deactivated)
        self._recording = []

    def _value(self, future: Future[T], now: float) -> T | None:
        """Return a job's value, or `None` when the database was away; then back off."""
        self._on_progress()
        try:
            value = future.result()
        except DatabaseError as error:
            is_away = isinstance(error, UNAVAILABLE)
            logger.warning("database unavailable, trying again: %s", error, exc_info=not is_away)
            self._back_off.failed(now)
            self._is_more_due = True
            return None
        self._back_off.worked()
        return value

    # ---- Sending ----------------------------------------------------------------------------

    def _take_in(self, work: Work) -> None:
        self._last_subscription = work.claim.last_subscription
        if work.claim.deliveries:
            self._is_more_due = True  # until a claim comes back empty
        now = time.monotonic()
        for delivery in work.claim.deliveries:
            self._slots.take(delivery.subscription_id, now=now)
            self._claimed.append((delivery, work))

    def _send_some(self, now: float) -> None:
        for _ in range(min(SENT_PER_TURN, len(self._claimed))):
            delivery, work = self._claimed.popleft()
            if delivery.lease_ends_at - now < self._settings.request_deadline_seconds + 1:
                self._give_up(delivery)  # we were held up: too late to begin
            else:
                self._send(delivery, work)

    def _give_up(self, delivery: ClaimedDelivery) -> None:
        """Let go of a delivery of which no byte was sent."""
        self._slots.release(
            delivery.subscription_id, has_succeeded=True, seconds=0, now=time.monotonic()
        )
        self._to_hand_back.append(delivery)

    def _send(self, delivery: ClaimedDelivery, work: Work) -> None:
        snapshot = work.claim.snapshots[delivery.subscription_id]
        description = work.descriptions.get((delivery.project_id, delivery.event_type), "")
        prepared = prepare(
            delivery, snapshot, description=description, clock_ahead=work.claim.clock_ahead
        )
        if isinstance(prepared, Exchange):
            self._finish(prepared)
        else:
            self._door.submit(prepared)

    def _finish(self, exchange: Exchange) -> None:
        ticket: Ticket = exchange.request.ticket
        now = time.monotonic()
        self._outage.note(exchange)
        self._slots.release(
            ticket.delivery.subscription_id,
            has_succeeded=exchange.outcome is Outcome.SUCCEEDED or exchange.is_own_outage,
            seconds=exchange.duration_ms / 1000,
            now=now,
        )
        if ticket.delivery.subscription_id in self._left_out:
            self._is_more_due = True  # it had no slot when we looked last
        if not self._results:
            self._first_result_at = now
        self._results.append(
            AttemptResult(
                delivery=ticket.delivery,
                subscription=ticket.subscription,
                exchange=exchange,
                started_at=ticket.started_at,
                request_body=ticket.request_body,
            )
        )
        log_attempt(ticket, exchange)
