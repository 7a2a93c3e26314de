"""Claims: exclusive under concurrency, fair across subscriptions, leased, honest about lapses."""

from __future__ import annotations

import threading
from collections import Counter
from datetime import timedelta
from typing import Any
from unittest.mock import Mock
from uuid import UUID

import pytest
from django.db import close_old_connections, connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from deliveries import clock
from deliveries.models import Attempt, Delivery, Event
from deliveries.publishing.ingest import NewEvent, publish, publish_many, publish_test
from deliveries.queue_walk import KnownFloor
from deliveries.sending import preparation
from deliveries.sending.claim import claim_due
from deliveries.sending.transport import OutboundRequest
from subscriptions.deactivation import deactivate
from subscriptions.models import Project, Subscription
from tests.deliveries.history_rows import add_delivery, prepare_days
from tests.deliveries.sending.results import LEASE_SECONDS, claim_all
from tests.factories import make_subscription

LONG_AGO = timezone.now() - timedelta(days=20)


def publish_events(project: Project, count: int) -> None:
    publish_many(project=project, events=[NewEvent("a.b", {"n": n}) for n in range(count)])


def let_leases_lapse() -> None:
    Delivery.objects.filter(status="sending").update(
        next_attempt_at=timezone.now() - timedelta(seconds=1)
    )


@pytest.mark.django_db(transaction=True)
def test_concurrent_claims_never_take_a_delivery_twice() -> None:
    projects = [make_subscription().project for _ in range(20)]
    for project in projects:
        publish_events(project, 50)
    claimed: list[UUID] = []
    failures: list[BaseException] = []

    def claim_until_empty() -> None:
        try:
            while deliveries := claim_all(limit=37, per_subscription=7).deliveries:
                claimed.extend(delivery.id for delivery in deliveries)
        except BaseException as error:
            failures.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=claim_until_empty) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert not failures
    assert len(claimed) == 1000
    assert set(Counter(claimed).values()) == {1}
    assert set(Delivery.objects.values_list("attempt_count", "status")) == {(1, "sending")}


@pytest.mark.django_db
def test_each_subscription_gets_its_turn_beside_a_flood() -> None:
    flooded = make_subscription()
    publish_events(flooded.project, 300)
    others = [make_subscription() for _ in range(10)]
    for other in others:
        publish_events(other.project, 2)
    claimed = Counter(delivery.subscription_id for delivery in claim_all(limit=40).deliveries)
    assert all(claimed[other.id] == 2 for other in others)
    assert claimed[flooded.id] == 4  # its share of 40 among 11, rounded up


@pytest.mark.django_db
def test_claims_go_on_where_the_last_one_ended() -> None:
    subscriptions = [make_subscription() for _ in range(6)]
    for subscription in subscriptions:
        publish_events(subscription.project, 2)
    first = claim_all(limit=3, per_subscription=1)
    second = claim_all(limit=3, per_subscription=1, after=first.last_subscription)
    served = [delivery.subscription_id for delivery in (*first.deliveries, *second.deliveries)]
    assert sorted(served) == sorted(subscription.id for subscription in subscriptions)


@pytest.mark.django_db
def test_busy_subscriptions_are_left_out() -> None:
    busy, idle = make_subscription(), make_subscription()
    publish_events(busy.project, 3)
    publish_events(idle.project, 3)
    claim = claim_all(busy={busy.id})
    assert {delivery.subscription_id for delivery in claim.deliveries} == {idle.id}


@pytest.mark.django_db
def test_a_subscriptions_cap_bounds_its_part_of_a_claim() -> None:
    publish_events(make_subscription().project, 9)
    assert len(claim_all(per_subscription=4).deliveries) == 4


@pytest.mark.django_db
def test_the_longest_due_is_sent_first() -> None:
    subscription = make_subscription()
    publish_events(subscription.project, 3)
    keys = list(Delivery.objects.order_by("id").values_list("id", flat=True))
    for minutes, key in enumerate(keys):
        due_at = timezone.now() - timedelta(minutes=minutes)
        Delivery.objects.filter(id=key).update(next_attempt_at=due_at)
    assert [delivery.id for delivery in claim_all(limit=2).deliveries] == [keys[2], keys[1]]


@pytest.mark.django_db
def test_what_is_not_due_is_not_claimed() -> None:
    publish(project=make_subscription().project, event_type="a.b", data={})
    Delivery.objects.update(next_attempt_at=timezone.now() + timedelta(seconds=30))
    assert claim_all().deliveries == ()


@pytest.mark.django_db
def test_a_claim_is_a_lease() -> None:
    publish(project=make_subscription().project, event_type="a.b", data={"n": 1})
    before = timezone.now()
    (delivery,) = claim_all().deliveries
    row = Delivery.objects.get()
    assert (row.status, row.attempt_count) == ("sending", 1)
    assert row.next_attempt_at is not None
    lease_seconds = (row.next_attempt_at - before).total_seconds()
    assert LEASE_SECONDS - 5 < lease_seconds < LEASE_SECONDS + 5
    assert (delivery.event_type, delivery.data) == ("a.b", '{"n":1}')
    assert claim_all().deliveries == ()


@pytest.mark.django_db
def test_a_lapsed_lease_is_claimed_again_and_enters_the_history() -> None:
    subscription = make_subscription()
    publish(project=subscription.project, event_type="a.b", data={})
    claim_all()
    let_leases_lapse()
    (delivery,) = claim_all().deliveries
    assert delivery.attempt_count == 2
    attempt = Attempt.objects.get()
    assert (attempt.number, attempt.outcome) == (1, "interrupted")
    assert attempt.request_url == subscription.url


@pytest.mark.django_db
def test_nothing_is_sent_to_an_inactive_subscription_but_tests() -> None:
    subscription = make_subscription()
    publish(project=subscription.project, event_type="a.b", data={})
    deactivate(subscription)
    (test,) = publish_test(subscription).delivery_ids
    assert [delivery.id for delivery in claim_all().deliveries] == [test]
    row = Delivery.objects.exclude(id=test).get()
    assert (row.status, row.end_reason) == ("cancelled", "deactivated")
    assert row.finished_at is not None


@pytest.mark.django_db
def test_nothing_at_all_is_sent_to_a_deleted_subscription() -> None:
    subscription = make_subscription()
    publish_test(subscription)
    now = timezone.now()
    Subscription.objects.update(is_active=False, deactivated_at=now, deleted_at=now)
    assert claim_all().deliveries == ()
    assert Delivery.objects.get().end_reason == "deleted"


@pytest.mark.django_db
def test_a_subscription_row_that_vanished_cancels_its_deliveries() -> None:
    subscription = make_subscription()
    publish(project=subscription.project, event_type="a.b", data={})
    subscription.delete()
    assert claim_all().deliveries == ()
    assert Delivery.objects.get().end_reason == "deleted"


@pytest.mark.django_db
def test_an_event_that_was_pruned_is_claimed_without_data() -> None:
    publish(project=make_subscription().project, event_type="a.b", data={})
    Event.objects.all().delete()
    (delivery,) = claim_all().deliveries
    assert delivery.data is None


def make_old_delivery(subscription: Subscription) -> UUID:
    """A delivery that was made weeks ago, and is due again."""
    prepare_days(LONG_AGO)
    due: dict[str, Any] = {"status": "pending", "next_attempt_at": timezone.now()}
    return add_delivery(subscription, LONG_AGO, **due).id


@pytest.mark.django_db
def test_a_delivery_made_weeks_ago_is_found_when_it_is_due_again() -> None:
    old_id = make_old_delivery(make_subscription())
    assert [delivery.id for delivery in claim_all().deliveries] == [old_id]


@pytest.fixture
def known_floor(monkeypatch: pytest.MonkeyPatch) -> KnownFloor:
    """One on a clock that stands still; there are partitions of older days."""
    prepare_days(LONG_AGO)
    monkeypatch.setattr("deliveries.queue_walk.time", Mock(monotonic=lambda: 1000.0))
    return KnownFloor()


@pytest.mark.postgres  # SQLite has no days to look through
@pytest.mark.django_db
def test_older_days_are_not_looked_through_while_there_is_plenty_to_do(
    known_floor: KnownFloor,
) -> None:
    publish_events(make_subscription().project, 6)
    assert claim_all(limit=2, known_floor=known_floor).is_full
    old_id = make_old_delivery(make_subscription())

    second = claim_all(limit=3, known_floor=known_floor)
    third = claim_all(limit=3, known_floor=known_floor)

    assert second.is_full
    assert old_id not in {delivery.id for delivery in second.deliveries}
    assert len(third.deliveries) == 2
    assert old_id in {delivery.id for delivery in third.deliveries}
    assert set(Delivery.objects.values_list("attempt_count", "status")) == {(1, "sending")}


@pytest.mark.postgres
@pytest.mark.django_db
def test_older_days_are_looked_through_at_once_after_a_claim_that_was_not_full(
    known_floor: KnownFloor,
) -> None:
    publish_events(make_subscription().project, 2)
    assert not claim_all(limit=3, known_floor=known_floor).is_full
    old_id = make_old_delivery(make_subscription())
    publish_events(make_subscription().project, 2)

    claim = claim_all(limit=3, known_floor=known_floor)

    assert claim.is_full
    assert old_id in {delivery.id for delivery in claim.deliveries}
    with CaptureQueriesContext(connection) as queries:
        for _ in range(3):
            claim_all(limit=3, known_floor=known_floor)
    walks = [query for query in queries if "WITH RECURSIVE" in query["sql"]]
    assert len(walks) == 1 + 3, "the first by what was remembered, and again; the others once"


@pytest.mark.postgres
@pytest.mark.django_db
def test_older_days_are_looked_through_after_a_second_however_much_there_is_to_do(
    known_floor: KnownFloor, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish_events(make_subscription().project, 4)
    assert claim_all(limit=2, known_floor=known_floor).is_full
    old_id = make_old_delivery(make_subscription())
    later = Mock(monotonic=lambda: 1000.0 + KnownFloor.GOOD_SECONDS)
    monkeypatch.setattr("deliveries.queue_walk.time", later)

    claim = claim_all(limit=3, known_floor=known_floor)

    assert claim.is_full
    assert old_id in {delivery.id for delivery in claim.deliveries}


@pytest.mark.postgres  # SQLite has one writer: nobody can hold a row beside it
@pytest.mark.django_db(transaction=True)
def test_a_row_that_another_transaction_holds_is_skipped_not_waited_for() -> None:
    publish_events(make_subscription().project, 2)
    held, _ = Delivery.objects.order_by("id").values_list("id", flat=True)
    is_held, may_end = threading.Event(), threading.Event()

    def hold() -> None:
        from django.db import transaction

        with transaction.atomic():
            Delivery.objects.select_for_update().get(id=held)
            is_held.set()
            may_end.wait(10)
        close_old_connections()
        connection.close()

    thread = threading.Thread(target=hold)
    thread.start()
    assert is_held.wait(10)
    claimed = [delivery.id for delivery in claim_all().deliveries]
    may_end.set()
    thread.join()
    assert len(claimed) == 1
    assert held not in claimed


@pytest.mark.django_db
def test_a_claim_says_whether_more_is_probably_due() -> None:
    publish_events(make_subscription().project, 5)
    options: Any = {"per_subscription": 100, "lease_seconds": LEASE_SECONDS}
    assert claim_due(limit=5, **options).is_full
    assert not claim_due(limit=5, **options).is_full


class _AheadClock:
    """This machine's clock, ten minutes ahead of the database's."""

    now = staticmethod(lambda _=None: timezone.now() + timedelta(minutes=10))


@pytest.mark.postgres
@pytest.mark.django_db
def test_a_wrong_clock_is_corrected_in_what_is_signed(monkeypatch: pytest.MonkeyPatch) -> None:
    subscription = make_subscription(url="http://127.0.0.1:9999/inbox")
    publish(project=subscription.project, event_type="a.b", data={})
    assert claim_all().clock_ahead == timedelta()
    Delivery.objects.update(status="pending", next_attempt_at=timezone.now())
    monkeypatch.setattr(clock, "timezone", _AheadClock)
    monkeypatch.setattr(preparation, "datetime", _AheadClock)

    claim = claim_all()
    (delivery,) = claim.deliveries
    request = preparation.prepare(
        delivery,
        claim.snapshots[delivery.subscription_id],
        description="",
        clock_ahead=claim.clock_ahead,
    )

    assert abs(claim.clock_ahead - timedelta(minutes=10)) < timedelta(seconds=5)
    assert isinstance(request, OutboundRequest), request.error
    signed_at = int(dict(request.head.fields)["webhook-timestamp"])
    assert abs(signed_at - timezone.now().timestamp()) < 10
