"""Judges a run: what was lost, what came twice, where history and receipts disagree.

Pure functions over `Evidence`; called by `runner` after every run and tested by themselves. Each
returns sentences, so that a broken bound says which delivery broke it.
"""

from __future__ import annotations

import itertools
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from tests.faults.evidence import FINISHED, AttemptRow, DeliveryRow, Evidence
from tests.faults.processes import Usage
from tests.faults.receipts import Receipt

STUCK_AFTER_SECONDS = 60.0
"""An unfinished delivery may be overdue for so long at the end of a run."""

SLACK = 0.10
"""By how much memory, descriptors, threads and connections may have grown after a fault."""

_SLACK_KB, _SLACK_COUNT = 8 * 1024, 4
"""A tenth of little is noise: an allocator's arena, a connection that is just being closed."""

RESENT_AT_ONCE = 2
"""Interruptions in a row after which a delivery goes out as soon as its lease ends (ADR 15)."""

_Place = tuple[str, str]
"""Which event, at which path."""


@dataclass(frozen=True, slots=True)
class Findings:
    """What the checks found; empty lists are what every run must end with."""

    lost: list[str]
    duplicates: int
    ledger: list[str]
    forged: list[str]
    strange: list[str]
    stuck: list[str]


def judge(evidence: Evidence, *, must_succeed: Collection[str]) -> Findings:
    """Run every check; `must_succeed` are the paths of receivers that were healthy throughout."""
    return Findings(
        lost=lost(evidence, must_succeed=must_succeed),
        duplicates=duplicates(evidence.receipts),
        ledger=[*unexplained_receipts(evidence), *false_claims(evidence), *wrong_ends(evidence)],
        forged=[
            f"{receipt.event_id} at {receipt.path}: {receipt.complaint}"
            for receipt in evidence.receipts
            if receipt.complaint
        ],
        strange=[f"{receipt.event_id} arrived at {receipt.path}" for receipt in evidence.strange],
        stuck=stuck(evidence.deliveries),
    )


def lost(evidence: Evidence, *, must_succeed: Collection[str]) -> list[str]:
    """Find what was acknowledged and is missing, unfinished, or ended without a receipt.

    To a healthy receiver every event has to have arrived: its 2xx had somebody to hear it, and the
    delivery ended as succeeded. Elsewhere a delivery has to have ended.
    """
    paths = {row.id: row.path for row in evidence.subscriptions}
    statuses = {
        (row.event_id, paths.get(row.subscription_id, "")): row.status
        for row in evidence.deliveries
    }
    heard = {
        _place(receipt) for receipt in evidence.receipts if receipt.is_success and receipt.was_heard
    }
    found = []
    for event_id, path in sorted(
        (acknowledged.event_id, path)
        for acknowledged in evidence.acknowledged
        for path in must_succeed
    ):
        status = statuses.get((event_id, path), "missing")
        if status != "succeeded" or (event_id, path) not in heard:
            is_received = "received" if (event_id, path) in heard else "not received"
            found.append(f"{event_id} to {path} is {status}, {is_received}")
    return found + [
        f"{event_id} to {path} is {status}"
        for (event_id, path), status in statuses.items()
        if status not in FINISHED and path not in must_succeed
    ]


def duplicates(receipts: Iterable[Receipt]) -> int:
    """Count the receipts answered with 2xx beyond the first of each delivery."""
    successes = Counter(_place(receipt) for receipt in receipts if receipt.is_success)
    return sum(count - 1 for count in successes.values())


def unexplained_receipts(evidence: Evidence) -> list[str]:
    """Find receipts without their attempt in history; an interrupted one has no signature."""
    arrived = _signatures_by_place(evidence.receipts)
    found = []
    for place, attempts in _attempts_by_place(evidence).items():
        told = Counter(attempt.signature for attempt in attempts if attempt.signature)
        interrupted = sum(not attempt.signature for attempt in attempts)
        missing = (arrived.pop(place, Counter()) - told).total()
        if missing > interrupted:
            found.append(
                f"{place[0]} at {place[1]}: {missing - interrupted} receipts not in history"
            )
    found += [f"{event} at {path}: received, no attempt" for event, path in arrived]
    return found


def false_claims(evidence: Evidence) -> list[str]:
    """Find attempts that claim a 2xx which the receiver did not send."""
    heard = _signatures_by_place(
        receipt for receipt in evidence.receipts if receipt.is_success and receipt.was_heard
    )
    found = []
    for place, attempts in _attempts_by_place(evidence).items():
        claimed = Counter(
            attempt.signature for attempt in attempts if attempt.outcome == "succeeded"
        )
        if excess := (claimed - heard.get(place, Counter())).total():
            found.append(f"{place[0]} at {place[1]}: {excess} successes that nobody sent")
    return found


def wrong_ends(evidence: Evidence) -> list[str]:
    """Find deliveries whose state contradicts their attempts, and attempts that share a number."""
    attempts = _by_delivery(evidence.attempts)
    found = []
    for row in evidence.deliveries:
        own = attempts[row.id]
        has_succeeded = any(attempt.outcome == "succeeded" for attempt in own)
        if has_succeeded != (row.status == "succeeded"):
            outcomes = [attempt.outcome for attempt in own]
            found.append(f"delivery {row.id} is {row.status} after {outcomes}")
        if len({attempt.number for attempt in own}) < len(own):
            told = [(attempt.number, attempt.outcome) for attempt in own]
            found.append(f"delivery {row.id} has two attempts of one number: {told}")
    return found


def stuck(deliveries: Iterable[DeliveryRow]) -> list[str]:
    """Find unfinished deliveries that nobody attends to."""
    return [
        f"delivery {row.id} is {row.status}, overdue for {row.overdue_seconds:.0f} s"
        for row in deliveries
        if row.status not in FINISHED and row.overdue_seconds > STUCK_AFTER_SECONDS
    ]


def recovery_seconds(evidence: Evidence, *, over_at: float) -> float:
    """Return how long after the fault's end the last event from before it was first received."""
    before = {
        acknowledged.event_id
        for acknowledged in evidence.acknowledged
        if acknowledged.acknowledged_at <= over_at
    }
    first: dict[_Place, float] = {}
    for receipt in evidence.receipts:
        if receipt.event_id in before and receipt.is_success and receipt.was_heard:
            first.setdefault(_place(receipt), receipt.at)
    return max([0.0, *(at - over_at for at in first.values())])


def slowest_resend_seconds(attempts: Iterable[AttemptRow]) -> float:
    """Return the longest time from the start of an interrupted attempt to the next one's start.

    The third in a row is followed by a pause, which is meant, and is left out with those after it.
    """
    slowest = 0.0
    for own in _by_delivery(attempts).values():
        ordered = sorted(own, key=lambda attempt: attempt.number)
        in_a_row = 0
        for attempt, successor in itertools.pairwise(ordered):
            in_a_row = in_a_row + 1 if attempt.outcome == "interrupted" else 0
            if 1 <= in_a_row <= RESENT_AT_ONCE:
                gap = (successor.started_at - attempt.started_at).total_seconds()
                slowest = max(slowest, gap)
    return slowest


def growth(before: Mapping[str, Usage], after: Mapping[str, Usage]) -> list[str]:
    """Find processes that hold more than before the fault, beyond the slack."""
    found = []
    for name in before.keys() & after.keys():
        for what, was, now, slack in (
            ("kB", before[name].memory_kb, after[name].memory_kb, _SLACK_KB),
            ("descriptors", before[name].descriptors, after[name].descriptors, _SLACK_COUNT),
            ("threads", before[name].threads, after[name].threads, _SLACK_COUNT),
        ):
            if now > was + max(slack, was * SLACK):
                found.append(f"{name} held {was} {what} before and {now} after")
    return sorted(found)


# ---- Sorting by place -----------------------------------------------------------------------


def _place(receipt: Receipt) -> _Place:
    return receipt.event_id, receipt.path


def _signatures_by_place(receipts: Iterable[Receipt]) -> dict[_Place, Counter[str]]:
    found: defaultdict[_Place, Counter[str]] = defaultdict(Counter)
    for receipt in receipts:
        found[_place(receipt)][receipt.signature] += 1
    return dict(found)


def _attempts_by_place(evidence: Evidence) -> dict[_Place, list[AttemptRow]]:
    paths = {row.id: row.path for row in evidence.subscriptions}
    own = _by_delivery(evidence.attempts)
    return {
        (row.event_id, paths.get(row.subscription_id, "")): own[row.id]
        for row in evidence.deliveries
    }


def _by_delivery(attempts: Iterable[AttemptRow]) -> defaultdict[str, list[AttemptRow]]:
    found: defaultdict[str, list[AttemptRow]] = defaultdict(list)
    for attempt in attempts:
        found[attempt.delivery_id].append(attempt)
    return found
