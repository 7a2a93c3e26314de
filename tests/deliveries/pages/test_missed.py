"""Sending what a subscription missed, from its page: offered, counted, begun, followed, ended."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.test import Client

from deliveries.costly_requests import ESTIMATES, turn
from deliveries.models import Delivery, Recovery
from deliveries.recoveries.missed import missed_by
from subscriptions import deactivation
from subscriptions.ids import to_public
from subscriptions.inactive_time import last_inactive_time
from subscriptions.models import AuditEntry, Subscription
from tests.deliveries.history_rows import add_event
from tests.deliveries.pages.test_subscription import HTMX, address, signed_in
from tests.deliveries.recoveries.samples import publish_some, run
from tests.factories import make_project, make_subscription

pytestmark = pytest.mark.django_db


@pytest.fixture
def subscription() -> Subscription:
    """One that was switched off, and three events since; one more came before."""
    subscription = make_subscription(event_types=["order.*"])
    publish_some(subscription.project, ["order.paid"])
    deactivation.deactivate(subscription)
    publish_some(subscription.project, ["order.paid", "order.sent", "order.paid", "other.thing"])
    subscription.refresh_from_db()
    return subscription


@pytest.fixture
def client(subscription: Subscription) -> Client:
    return signed_in(subscription.project)


def piece(client: Client, subscription: Subscription, rest: str = "/missed") -> str:
    response = client.get(address(subscription, rest), headers=HTMX)
    assert response.status_code == 200
    shown = response.content.decode()
    assert "<html" not in shown
    return shown


def whole(client: Client, subscription: Subscription) -> str:
    return client.get(address(subscription)).content.decode()


def of_recovery(recovery: Recovery, rest: str = "") -> str:
    return f"/recoveries/{to_public('rcv', recovery.id)}{rest}"


def test_the_offer_counts_itself_and_only_what_was_missed(
    subscription: Subscription, client: Client
) -> None:
    assert f'hx-get="{address(subscription, "/missed")}"' in whole(client, subscription)

    shown = piece(client, subscription)
    assert "Reactivate and send what was missed (3 events)" in shown
    assert "hx-get" not in shown


def test_one_button_reactivates_and_sends(subscription: Subscription, client: Client) -> None:
    response = client.post(address(subscription, "/missed"))

    subscription.refresh_from_db()
    recovery = Recovery.objects.get()
    assert response["Location"] == address(subscription)
    assert subscription.is_active
    assert (recovery.kind, recovery.estimated_count) == ("missed", 3)
    run(recovery)
    assert Delivery.objects.filter(subscription=subscription).count() == 4


def test_an_event_with_an_id_from_just_before_the_switch_is_found_once_and_not_twice(
    subscription: Subscription, client: Client
) -> None:
    off_at = subscription.deactivated_at
    assert off_at is not None
    Subscription.objects.update(created_at=off_at - timedelta(hours=1))
    add_event(subscription.project, off_at - timedelta(seconds=30), "order.paid")
    add_event(subscription.project, off_at - timedelta(minutes=30), "order.paid")

    client.post(address(subscription, "/missed"))
    run(Recovery.objects.get())

    made = Delivery.objects.filter(subscription=subscription).values_list("event_id", flat=True)
    assert len(made) == len(set(made)) == 5  # one as usual, and 3 + 1 that were missed


def test_what_was_published_before_the_subscription_was_there_was_not_missed(
    subscription: Subscription, client: Client
) -> None:
    created_at = subscription.created_at
    add_event(subscription.project, created_at - timedelta(seconds=5), "order.paid")

    assert "(3 events)" in piece(client, subscription)


def test_after_reactivating_the_offer_stays(subscription: Subscription, client: Client) -> None:
    client.post(address(subscription, "/activate"))
    publish_some(subscription.project, ["order.paid"])

    assert "Send what was missed (3 events)" in piece(client, subscription)
    client.post(address(subscription, "/missed"))
    run(Recovery.objects.get())
    assert Delivery.objects.filter(subscription=subscription).count() == 5


def test_progress_is_followed_until_it_is_done(subscription: Subscription, client: Client) -> None:
    client.post(address(subscription, "/missed"))
    recovery = Recovery.objects.get()
    polling = f'hx-get="{address(subscription, of_recovery(recovery))}"'

    assert polling in whole(client, subscription)
    assert polling in piece(client, subscription, of_recovery(recovery))
    run(recovery)
    done = piece(client, subscription, of_recovery(recovery))
    assert polling not in done
    assert "3 of about 3 events." in done
    assert "Send what was missed" not in done


def test_it_is_paused_resumed_and_cancelled(subscription: Subscription, client: Client) -> None:
    client.post(address(subscription, "/missed"))
    recovery = Recovery.objects.get()

    for change, status in [("pause", "paused"), ("resume", "running"), ("cancel", "cancelled")]:
        client.post(address(subscription, of_recovery(recovery, f"/{change}")))
        recovery.refresh_from_db()
        assert recovery.status == status
    late = client.post(address(subscription, of_recovery(recovery, "/pause")), follow=True)
    assert "has ended" in late.content.decode()
    assert "Send what was missed (3 events)" in piece(client, subscription)


def test_where_nothing_was_missed_nothing_is_offered() -> None:
    subscription = make_subscription()
    deactivation.deactivate(subscription)
    subscription.refresh_from_db()
    client = signed_in(subscription.project)

    assert "No event was missed so far." in piece(client, subscription)
    deactivation.reactivate(subscription)
    assert "<section" not in piece(client, subscription)


def test_a_subscription_that_was_never_off_is_offered_nothing() -> None:
    never_off = make_subscription()
    member = signed_in(never_off.project)

    assert "missed" not in whole(member, never_off).replace('id="missed"', "")
    member.post(address(never_off, "/missed"))
    assert not Recovery.objects.exists()


def test_while_others_count_the_page_says_so(subscription: Subscription, client: Client) -> None:
    with turn(subscription.project, ESTIMATES):
        shown = piece(client, subscription)
        client.post(address(subscription, "/missed"))

    assert "Reactivate and send what was missed" in shown
    assert "hx-get" not in shown
    assert not Recovery.objects.exists()
    assert "try again in" in whole(client, subscription)


def test_too_many_recoveries_are_refused_in_words(
    subscription: Subscription, client: Client
) -> None:
    client.post(address(subscription, "/missed"))
    first = Recovery.objects.get()
    Recovery.objects.bulk_create(
        Recovery(
            project=first.project, kind="failed", floor=first.floor, ceiling=first.ceiling,
            status="paused",
        )
        for _ in range(10)
    )  # fmt: skip
    client.post(address(subscription, of_recovery(first, "/cancel")))

    shown = client.post(address(subscription, "/missed"), follow=True).content.decode()

    assert "recoveries of the project are under way" in shown


def test_a_viewer_looks_and_a_stranger_finds_nothing(subscription: Subscription) -> None:
    viewer = signed_in(subscription.project, "viewer")
    stranger = signed_in(make_project())

    assert "3 events were missed" in piece(viewer, subscription)
    assert "<button" not in piece(viewer, subscription)
    assert viewer.post(address(subscription, "/missed")).status_code == 403
    assert stranger.get(address(subscription, "/missed")).status_code == 404
    assert stranger.post(address(subscription, "/missed")).status_code == 404


def test_another_subscriptions_recovery_is_not_found(
    subscription: Subscription, client: Client
) -> None:
    client.post(address(subscription, "/missed"))
    recovery = Recovery.objects.get()
    other = make_subscription(project=subscription.project)

    assert client.get(address(other, of_recovery(recovery)), headers=HTMX).status_code == 404
    assert client.post(address(other, of_recovery(recovery, "/cancel"))).status_code == 404
    assert client.post(address(subscription, of_recovery(recovery, "/delete"))).status_code == 404
    recovery.refresh_from_db()
    assert recovery.status == "running"


def test_the_time_is_known_after_reactivation_from_the_audit_log(
    subscription: Subscription,
) -> None:
    off = last_inactive_time(subscription)
    deactivation.reactivate(subscription)
    subscription.refresh_from_db()
    on = last_inactive_time(subscription)

    assert off is not None
    assert off.until is None
    assert on is not None
    assert on.until is not None
    assert abs((on.since - off.since).total_seconds()) < 5
    assert on.since <= on.until


def test_of_several_times_off_the_last_one_counts(subscription: Subscription) -> None:
    for _ in range(3):
        deactivation.reactivate(subscription)
        deactivation.deactivate(subscription)
    deactivation.reactivate(subscription)
    subscription.refresh_from_db()

    entries = AuditEntry.objects.filter(action="subscription.deactivated").order_by("-id")
    time = missed_by(subscription).time
    assert time is not None
    assert time.since == entries[0].at


def test_what_an_earlier_recovery_made_up_for_does_not_hide_a_new_offer(
    subscription: Subscription, client: Client
) -> None:
    client.post(address(subscription, "/missed"))
    run(Recovery.objects.get())
    subscription.refresh_from_db()
    deactivation.deactivate(subscription)
    publish_some(subscription.project, ["order.paid"])

    assert "Reactivate and send what was missed (1 event)" in piece(client, subscription)
    client.post(address(subscription, "/activate"))
    assert "Send what was missed (1 event)" in piece(client, subscription)
