"""Recording: all of a batch or nothing, fenced, with the whole story in the history."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import pytest
from django.db import DatabaseError, connection
from django.utils import timezone
from msgspec.structs import replace

from deliveries.models import Attempt, Delivery
from deliveries.publishing.ingest import NewEvent, publish, publish_many, publish_test
from deliveries.sending import ledger
from deliveries.sending.record import hand_back, record_results
from deliveries.sending.transport import Outcome
from subscriptions.models import Subscription
from tests.deliveries.sending.results import claim_all, make_exchange, make_result, results_of
from tests.factories import make_subscription

SERVER_ERROR: Any = {"outcome": Outcome.HTTP_ERROR, "status_code": 500}


def let_leases_lapse() -> None:
    past = timezone.now() - timedelta(seconds=1)
    Delivery.objects.filter(status="sending").update(next_attempt_at=past)


@pytest.mark.django_db
def test_an_attempt_is_stored_as_it_happened() -> None:
    subscription = make_subscription()
    publish(project=subscription.project, event_type="a.b", data={})
    claim = claim_all()
    exchange = replace(
        make_exchange(Outcome.SUCCEEDED, status_code=200),
        dns_ms=1,
        connect_ms=2,
        tls_ms=3,
        remote_address="192.0.2.7",
        response_headers=b"HTTP/1.1 200 OK\r\nX-Odd: \xff\x00\r\n\r\n",
        response_body=b"\x00\xffok",
        is_truncated=True,
    )
    (delivery,) = claim.deliveries
    record_results([make_result(delivery, claim.snapshots[subscription.id], exchange)])

    attempt = Attempt.objects.get()
    assert attempt.delivery_id == delivery.id
    assert (attempt.number, attempt.outcome, attempt.status_code) == (1, "succeeded", 200)
    phases = (attempt.dns_ms, attempt.connect_ms, attempt.tls_ms, attempt.first_byte_ms)
    assert phases == (1, 2, 3, 10)
    assert (attempt.duration_ms, attempt.remote_address) == (12, "192.0.2.7")
    assert attempt.request_url == "http://receiver.test/inbox"
    assert attempt.request_headers == "Host: receiver.test\nwebhook-id: evt_1"
    assert bytes(attempt.response_headers) == b"HTTP/1.1 200 OK\r\nX-Odd: \xff\x00\r\n\r\n"
    assert bytes(attempt.response_body) == b"\x00\xffok"
    assert attempt.is_truncated
    row = Delivery.objects.get()
    assert (row.status, row.last_outcome, row.last_status_code) == ("succeeded", "succeeded", 200)
    assert row.next_attempt_at is None
    assert row.finished_at is not None


@pytest.mark.django_db
def test_a_failure_is_final_unless_a_retry_is_left() -> None:
    subscription = make_subscription(retry_schedule=[60])
    publish(project=subscription.project, event_type="a.b", data={})
    record_results(results_of(claim_all(), **SERVER_ERROR), jitter=lambda: 0.5)
    row = Delivery.objects.get()
    assert (row.status, row.tries_used) == ("pending", 1)
    assert row.next_attempt_at is not None
    assert 50 < (row.next_attempt_at - timezone.now()).total_seconds() < 61

    Delivery.objects.update(next_attempt_at=timezone.now())
    record_results(results_of(claim_all(), **SERVER_ERROR))
    row.refresh_from_db()
    assert (row.status, row.tries_used, row.last_status_code) == ("failed", 2, 500)
    assert Subscription.objects.get().failure_streak == 1


@pytest.mark.django_db
def test_retry_after_lengthens_the_delay() -> None:
    subscription = make_subscription(retry_schedule=[60])
    publish(project=subscription.project, event_type="a.b", data={})
    claim = claim_all()
    exchange = make_exchange(
        Outcome.HTTP_ERROR,
        status_code=503,
        response_headers=b"HTTP/1.1 503 Busy\r\nRetry-After: 900\r\n\r\n",
    )
    (delivery,) = claim.deliveries
    record_results([make_result(delivery, claim.snapshots[subscription.id], exchange)])
    due_at = Delivery.objects.get().next_attempt_at
    assert due_at is not None
    assert 890 < (due_at - timezone.now()).total_seconds() < 901


@pytest.mark.django_db
def test_a_worker_that_overran_its_lease_cannot_overwrite_its_successor() -> None:
    publish(project=make_subscription().project, event_type="a.b", data={})
    stale = claim_all()
    let_leases_lapse()
    current = claim_all()

    record_results(results_of(stale, **SERVER_ERROR))
    assert Delivery.objects.get().status == "sending"
    assert Subscription.objects.get().failure_streak == 0

    record_results(results_of(current, Outcome.SUCCEEDED, status_code=204))
    assert Delivery.objects.get().status == "succeeded"
    history = Attempt.objects.order_by("number").values_list("number", "outcome", "status_code")
    assert list(history) == [(1, "http_error", 500), (2, "succeeded", 204)]


@pytest.mark.django_db
def test_two_claims_of_one_delivery_in_one_batch_are_two_attempts_of_it() -> None:
    """After an outage of the database longer than a lease, a worker may hold both."""
    subscription = make_subscription(failure_streak=3)
    publish(project=subscription.project, event_type="a.b", data={})
    stale = claim_all()
    let_leases_lapse()
    current = claim_all()

    record_results(
        [
            *results_of(stale, Outcome.SUCCEEDED, status_code=200),
            *results_of(current, Outcome.SUCCEEDED, status_code=204),
        ]
    )

    history = Attempt.objects.order_by("number").values_list("number", "outcome", "status_code")
    assert list(history) == [(1, "succeeded", 200), (2, "succeeded", 204)]
    assert Delivery.objects.get().last_status_code == 204
    assert Subscription.objects.get().failure_streak == 0


@pytest.mark.django_db
def test_a_late_success_wins() -> None:
    publish(project=make_subscription().project, event_type="a.b", data={})
    stale = claim_all()
    let_leases_lapse()
    current = claim_all()
    record_results(results_of(stale, Outcome.SUCCEEDED, status_code=204))
    assert Delivery.objects.get().status == "succeeded"
    record_results(results_of(current, **SERVER_ERROR))
    assert Delivery.objects.get().status == "succeeded"
    assert Subscription.objects.get().failure_streak == 0


@pytest.mark.django_db
def test_a_late_result_without_an_interrupted_row_still_enters_the_history() -> None:
    publish(project=make_subscription().project, event_type="a.b", data={})
    claim = claim_all()
    Delivery.objects.update(status="failed", end_reason="expired", next_attempt_at=None)
    record_results(results_of(claim, Outcome.SUCCEEDED, status_code=204))
    assert Attempt.objects.get().outcome == "succeeded"
    assert Delivery.objects.get().status == "failed"


@pytest.mark.django_db
def test_handing_back_leaves_no_trace_and_spends_no_try() -> None:
    publish(project=make_subscription().project, event_type="a.b", data={})
    hand_back(claim_all().deliveries)
    row = Delivery.objects.get()
    assert (row.status, row.attempt_count, row.tries_used) == ("pending", 0, 0)
    assert not Attempt.objects.exists()
    assert len(claim_all().deliveries) == 1


@pytest.mark.django_db
def test_tests_never_count() -> None:
    subscription = make_subscription(failure_streak=9)
    publish_test(subscription)
    record_results(results_of(claim_all(), **SERVER_ERROR))
    assert Delivery.objects.get().status == "failed"
    subscription.refresh_from_db()
    assert (subscription.failure_streak, subscription.is_active) == (9, True)
    publish_test(subscription)
    record_results(results_of(claim_all(), Outcome.SUCCEEDED, status_code=200))
    subscription.refresh_from_db()
    assert subscription.failure_streak == 9


@pytest.mark.django_db(transaction=True)
def test_a_batch_is_stored_whole_or_not_at_all() -> None:
    subscription = make_subscription()
    publish_many(project=subscription.project, events=[NewEvent("a.b", n) for n in range(3)])
    claim = claim_all()
    good = results_of(claim, Outcome.SUCCEEDED, status_code=200)
    poison = replace(good[1], exchange=replace(good[1].exchange, duration_ms=2**40))
    if connection.vendor != "postgresql":
        poison = replace(good[1], exchange=replace(good[1].exchange, duration_ms=-1))
    with pytest.raises(DatabaseError):
        record_results([good[0], poison, good[2]])
    assert not Attempt.objects.exists()
    assert set(Delivery.objects.values_list("status", flat=True)) == {"sending"}


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("workers", [1, 2, 4])
def test_exactly_one_of_many_workers_deactivates_and_the_streak_is_exact(workers: int) -> None:
    subscription = make_subscription()
    publish_many(project=subscription.project, events=[NewEvent("a.b", n) for n in range(40)])
    claims = [claim_all(limit=40 // workers) for _ in range(workers)]
    deactivations: list[object] = []
    errors: list[BaseException] = []

    def record_in_small_batches(index: int) -> None:
        try:
            results = results_of(claims[index], **SERVER_ERROR)
            for start in range(0, len(results), 3):
                deactivations.extend(record_results(results[start : start + 3]))
        except BaseException as error:
            errors.append(error)
        finally:
            connection.close()

    threads = [
        threading.Thread(target=record_in_small_batches, args=[index]) for index in range(workers)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert not errors
    assert deactivations == [subscription.id]
    subscription.refresh_from_db()
    assert (subscription.failure_streak, subscription.is_active) == (10, False)
    assert Attempt.objects.count() == 40


@pytest.mark.postgres  # SQLite stores any text
@pytest.mark.django_db(transaction=True)
def test_a_row_that_the_database_refuses_does_not_block_its_neighbours() -> None:
    subscription = make_subscription()
    publish_many(project=subscription.project, events=[NewEvent("a.b", n) for n in range(5)])
    results = results_of(claim_all(), Outcome.SUCCEEDED, status_code=200)
    odd = replace(results[2].exchange, error="a NUL, which no text column can hold: \x00")
    results[2] = replace(results[2], exchange=odd)
    ledger._record_all(results)
    assert set(Delivery.objects.values_list("status", flat=True)) == {"succeeded"}
    assert Attempt.objects.count() == 5
