"""The checks themselves: each finds what it is there to find, and nothing in a clean run."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from tests.faults.evidence import (
    Acknowledgement,
    AttemptRow,
    DeliveryRow,
    Evidence,
    SubscriptionRow,
)
from tests.faults.processes import Usage
from tests.faults.receipts import Receipt
from tests.faults.reconciler import growth, judge, recovery_seconds, slowest_resend_seconds
from tests.faults.soak import slope_per_hour

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
PATH = "/p/a"

ACKNOWLEDGED = Acknowledgement("e1", "k1", published_at=10.0, acknowledged_at=10.1)
SUBSCRIPTION = SubscriptionRow("s1", f"http://127.0.0.1:1{PATH}")
DELIVERY = DeliveryRow("d1", "e1", "s1", "succeeded", 1, "", 0.0)
ATTEMPT = AttemptRow("d1", 1, "succeeded", NOON, 12, "100 v1,abc")
RECEIPT = Receipt(PATH, "e1", "100 v1,abc", "", 10.2, 10.3, 204, was_heard=True)

CLEAN = Evidence([ACKNOWLEDGED], [SUBSCRIPTION], [DELIVERY], [ATTEMPT], [RECEIPT])


def judged(**changes: object) -> dict[str, object]:
    """What is found when the clean run is changed so; empty findings are left out."""
    evidence = replace(CLEAN, **changes)  # type: ignore[arg-type]  # fields of Evidence
    findings = judge(evidence, must_succeed={PATH})
    found = {name: getattr(findings, name) for name in findings.__slots__}
    return {name: value for name, value in found.items() if value}


def test_a_clean_run_has_no_findings() -> None:
    assert judged() == {}


def test_a_delivery_that_was_never_made_is_lost() -> None:
    assert list(judged(deliveries=[], attempts=[], receipts=[])) == ["lost"]


def test_a_delivery_that_did_not_end_is_lost_and_stuck() -> None:
    overdue = replace(DELIVERY, status="pending", overdue_seconds=61.0)
    assert list(judged(deliveries=[overdue], attempts=[], receipts=[])) == ["lost", "stuck"]


def test_a_success_that_nobody_received_is_lost_and_a_false_claim() -> None:
    assert list(judged(receipts=[])) == ["lost", "ledger"]


def test_an_answer_that_nobody_heard_is_no_delivery() -> None:
    assert "lost" in judged(receipts=[replace(RECEIPT, was_heard=False)])


def test_a_failure_at_a_healthy_receiver_is_lost() -> None:
    failed = replace(DELIVERY, status="failed")
    timed_out = replace(ATTEMPT, outcome="timeout")
    assert list(judged(deliveries=[failed], attempts=[timed_out])) == ["lost"]


def test_a_second_success_is_a_duplicate_heard_or_not() -> None:
    again = replace(RECEIPT, signature="101 v1,def", was_heard=False)
    interrupted = replace(ATTEMPT, number=2, outcome="interrupted", signature="")
    found = judged(receipts=[RECEIPT, again], attempts=[ATTEMPT, interrupted])
    assert found == {"duplicates": 1}


def test_a_second_request_that_was_not_answered_with_success_is_no_duplicate() -> None:
    cut = replace(RECEIPT, signature="101 v1,def", status=None, answered_at=None)
    interrupted = replace(ATTEMPT, number=2, outcome="interrupted", signature="")
    assert judged(receipts=[RECEIPT, cut], attempts=[ATTEMPT, interrupted]) == {}


def test_a_receipt_that_history_does_not_know_is_found() -> None:
    again = replace(RECEIPT, signature="101 v1,def", status=500)
    assert list(judged(receipts=[RECEIPT, again])) == ["ledger"]


def test_the_same_request_received_twice_for_one_attempt_is_found() -> None:
    assert list(judged(receipts=[RECEIPT, RECEIPT])) == ["duplicates", "ledger"]


def test_a_receipt_of_an_event_without_delivery_is_found() -> None:
    assert list(judged(receipts=[RECEIPT, replace(RECEIPT, event_id="e2")])) == ["ledger"]


def test_a_state_that_contradicts_its_attempts_is_found() -> None:
    failed = replace(DELIVERY, status="failed")
    assert list(judged(deliveries=[failed])) == ["lost", "ledger"]


def test_two_attempts_of_one_number_are_found() -> None:
    again = replace(ATTEMPT, outcome="interrupted", signature="")
    assert list(judged(attempts=[ATTEMPT, again])) == ["ledger"]


def test_a_signature_that_does_not_verify_is_found() -> None:
    assert list(judged(receipts=[replace(RECEIPT, complaint="no match")])) == ["forged"]


def test_a_receipt_at_another_projects_path_is_found() -> None:
    assert list(judged(strange=[replace(RECEIPT, path="/q/a")])) == ["strange"]


def test_recovery_is_counted_from_the_faults_end_for_what_was_published_before() -> None:
    late = replace(RECEIPT, at=14.0)
    after = replace(ACKNOWLEDGED, event_id="e2", acknowledged_at=12.5)
    evidence = replace(
        CLEAN,
        acknowledged=[ACKNOWLEDGED, after],
        receipts=[late, replace(RECEIPT, event_id="e2", at=99.0)],
    )
    assert recovery_seconds(evidence, over_at=12.0) == 2.0


def test_a_second_attempt_is_timed_from_the_interrupted_ones_start() -> None:
    interrupted = replace(ATTEMPT, outcome="interrupted", signature="")
    second = replace(ATTEMPT, number=2, started_at=NOON + timedelta(seconds=11))
    assert slowest_resend_seconds([second, interrupted]) == 11.0


def test_the_pause_after_the_third_interruption_in_a_row_is_not_timed() -> None:
    starts = (0, 11, 22, 122, 133)
    attempts = [
        replace(
            ATTEMPT,
            number=number,
            outcome="succeeded" if number == 5 else "interrupted",
            started_at=NOON + timedelta(seconds=seconds),
        )
        for number, seconds in enumerate(starts, start=1)
    ]
    assert slowest_resend_seconds(attempts) == 11.0


def test_growth_beyond_the_slack_is_found_and_less_is_not() -> None:
    before = {"worker": Usage(100_000, 50, 10), "gone": Usage(1, 1, 1)}
    assert growth(before, {"worker": Usage(109_000, 54, 10)}) == []
    grown = growth(before, {"worker": Usage(120_000, 56, 15)})
    assert {sentence.split()[3] for sentence in grown} == {"descriptors", "kB", "threads"}


def test_a_slope_is_per_hour_and_noise_is_none() -> None:
    assert round(slope_per_hour([(0.0, 100.0), (10.0, 101.0), (20.0, 102.0)])) == 360
    assert slope_per_hour([(0.0, 5.0), (10.0, 7.0), (20.0, 5.0)]) == 0.0
    assert slope_per_hour([(1.0, 5.0)]) == 0.0
