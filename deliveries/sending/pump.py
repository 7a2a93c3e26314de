"""The engine's heart: claims due deliveries, sends them, records what happened. One per worker.

A thread that Celery's worker starts (`dispatcher.celery`). It alone drives the door; the ledger
talks to the database beside it. It polls every second, so it needs neither
broker nor beat; a wake-up only makes it look at once.
"""

from __future__ import annotations

import logging
import math
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
from deliveries.sending.line import Line
from deliveries.sending.outage import FEEL_EVERY_SECONDS, FEELERS, Outage
from deliveries.sending.preparation import Ticket, prepare
from deliveries.sending.record import AttemptResult
from deliveries.sending.slots import Slots, how_many_to_begin
from deliveries.sending.transport import Exchange, Outcome
from deliveries.workers import REPORT_SECONDS

logger = logging.getLogger(__name__)

T = TypeVar("T")

POLL_SECONDS = 1.0
"""How soon due work is found with no wake-up at all."""

PROBE_SECONDS = 0.25
"""How often we look whether our resolver is back, in an outage of it."""

FLUSH_ROWS = 500
FLUSH_SECONDS = 0.02
FLUSH_SECONDS_WHEN_BUSY = 0.15
"""Results are recorded when there are so many, or so long after the first of them; busy is a pump
that will soon have as many: small recordings cost as much as large ones."""

CLAIM_ROWS = 500
"""Taken by one claim at most: small claims cost as much as large ones."""

CLAIM_AHEAD = 200
"""So many may wait to be sent when the next claim begins: they go out while it runs."""

CLAIM_PAUSE_SECONDS = 0.02
"""Between claims for less than half of the slots."""

CLAIM_PAUSE_SECONDS_WHEN_WOKEN = 0.05
"""Between claims while enough wait to be sent: what was just published is not to wait for those."""

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
        self._answered_last = 0
        """How many exchanges came back in the last turn."""
        self._slots = Slots(
            limit=settings.in_flight_limit, per_subscription=settings.per_subscription
        )
        self._ledger = Ledger(on_done=door.wake)
        self._jobs = _Jobs()
        self._back_off = _BackOff()
        self._outage = Outage()
        self._claimed: Line[tuple[ClaimedDelivery, Work]] = Line()
        self._results: list[AttemptResult] = []
        self._recording: list[AttemptResult] = []
        self._first_result_at = 0.0
        self._is_behind = False
        """The database did not take the last results: ours must not be claimed again before."""
        self._to_hand_back: list[ClaimedDelivery] = []
        self._to_cancel: deque[UUID] = deque()
        self._is_more_due = True
        self._is_woken = False
        """Something was published since the last claim."""
        self._left_out: set[UUID] = set()
        self._last_subscription = UUID(int=0)
        self._last_claim_at = 0.0
        self._report_at = 0.0
        self._is_stopping = False

    # ---- From any thread --------------------------------------------------------------------

    def wake(self) -> None:
        """Look for due deliveries now."""
        self._is_more_due = self._is_woken = True
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
        if self._outage.is_of_resolver and self._door.probe_resolver():
            self._outage.note_resolver_works()
        self._begin_jobs(now)
        if self._outage.since:
            self._keep_feelers_only()
        self._send_some(now)
        ended = self._door.collect(self._patience_seconds(now))
        self._answered_last = len(ended)
        for exchange in ended:
            self._finish(exchange)

    def _take_back_unsent(self) -> None:
        while self._claimed:
            self._give_up(self._claimed.next()[0])
        for request in self._door.take_back_unsent():
            delivery: ClaimedDelivery = request.ticket.delivery
            self._slots.end(
                delivery.subscription_id, has_succeeded=True, seconds=0, now=time.monotonic()
            )
            self._to_hand_back.append(delivery)

    def _keep_feelers_only(self) -> None:
        """Hand back what would only end in our outage, each with an attempt in its history."""
        while len(self._claimed) > FEELERS:
            self._give_up(self._claimed.next()[0])

    def _is_empty(self) -> bool:
        jobs = self._jobs
        is_idle = not (jobs.claim or jobs.record or jobs.hand_back)
        return is_idle and not (self._slots.in_flight or self._results or self._to_hand_back)

    def _patience_seconds(self, now: float) -> float:
        """How long nothing needs to be looked at unless something arrives."""
        if self._claimed:
            return 0.0
        next_looks = [now + POLL_SECONDS]
        if self._outage.is_of_resolver:
            next_looks.append(now + PROBE_SECONDS)
        if self._results and not self._jobs.record:
            next_looks.append(max(self._flush_at, self._back_off.until))
        if not self._jobs.claim and self._has_room():
            next_looks.append(max(self._claim_at(), self._back_off.until))
        return max(0.0, min(next_looks) - now)

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
        if not self._jobs.claim and self._has_room() and now >= self._claim_at():
            self._begin_claim(now)
        if not self._jobs.report and now >= self._report_at:
            self._report_at = now + REPORT_SECONDS
            self._jobs.report = self._ledger.report(
                in_flight=self._slots.in_flight, own_outage_since=self._outage.since
            )

    def _is_ripe(self, now: float) -> bool:
        return len(self._results) >= FLUSH_ROWS or now >= self._flush_at

    @property
    def _flush_at(self) -> float:
        """When the results that wait are to be recorded, however few there are."""
        is_busy = self._slots.in_flight > FLUSH_ROWS // 5
        return self._first_result_at + (FLUSH_SECONDS_WHEN_BUSY if is_busy else FLUSH_SECONDS)

    def _has_room(self) -> bool:
        """Say whether more may be claimed: there are slots, and the database keeps up with us."""
        to_record = len(self._results) + len(self._recording)
        is_behind = self._is_behind or to_record > 2 * self._slots.limit
        return not (self._is_stopping or is_behind) and self._slots.free > 0

    def _claim_at(self) -> float:
        """When the next claim may begin, as far as time is concerned."""
        if self._outage.since:
            pause = FEEL_EVERY_SECONDS
        elif len(self._claimed) > CLAIM_AHEAD:
            pause = CLAIM_PAUSE_SECONDS_WHEN_WOKEN if self._is_woken else math.inf
        elif not self._is_more_due:
            pause = POLL_SECONDS
        else:
            has_many = self._slots.free >= self._slots.limit // 2
            pause = 0.0 if has_many else CLAIM_PAUSE_SECONDS
        return self._last_claim_at + pause

    def _begin_claim(self, now: float) -> None:
        self._is_more_due = self._is_woken = False
        self._last_claim_at = now
        self._left_out = self._slots.busy(now=now)
        self._jobs.claim = self._ledger.claim(
            limit=min(self._slots.free, FEELERS if self._outage.since else CLAIM_ROWS),
            per_subscription=self._slots.per_subscription,
            after=self._last_subscription,
            busy=self._left_out,
            calls_for_help=not self._outage.since,  # whoever reaches somebody polls
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
        for delivery in work.claim.deliveries:
            self._slots.take(delivery.subscription_id)
            self._claimed.join(delivery.subscription_id, (delivery, work))

    def _send_some(self, now: float) -> None:
        many = how_many_to_begin(answered=self._answered_last, under_way=self._door.in_flight)
        for _ in range(min(many, len(self._claimed))):
            delivery, work = self._claimed.next()
            if delivery.lease_ends_at - now < self._settings.request_deadline_seconds + 1:
                self._give_up(delivery)  # we were held up: too late to begin
            else:
                self._slots.begin(delivery.subscription_id, now=now)
                self._send(delivery, work)

    def _give_up(self, delivery: ClaimedDelivery) -> None:
        """Let go of a delivery that was not begun."""
        self._slots.give_back(delivery.subscription_id)
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
        self._slots.end(
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
