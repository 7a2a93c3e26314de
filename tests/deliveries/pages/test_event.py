"""The page of one event: its payload, who got it, and who did not and why."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from deliveries.history import events
from deliveries.history.matches import Reason
from deliveries.models import Delivery, Event
from deliveries.pages.event import WHY_NOT
from deliveries.publishing.ingest import publish
from subscriptions.access.portal import make_link
from subscriptions.ids import to_public
from subscriptions.models import Subscription
from tests.deliveries.pages.samples import EVIL, publish_one, signed_in
from tests.factories import make_project, make_subscription

pytestmark = pytest.mark.django_db


@pytest.fixture
def subscription() -> Subscription:
    return make_subscription(event_types=["Task.*"])


@pytest.fixture
def member(subscription: Subscription) -> Client:
    return signed_in(subscription.project)


def address(delivery: Delivery, name: str = "event-page") -> str:
    return reverse(name, args=[delivery.project.slug, to_public("evt", delivery.event_id)])


def test_it_says_who_got_it_and_who_did_not_and_why(
    member: Client, subscription: Subscription
) -> None:
    project = subscription.project
    other = make_subscription(project=project, event_types=["Phrase.*"], url="http://127.0.0.1:9/b")
    off = make_subscription(project=project, is_active=False, url="http://127.0.0.1:9/c")
    delivery = publish_one(subscription)
    late = make_subscription(project=project, url="http://127.0.0.1:9/d")
    page = member.get(address(delivery)).content.decode()
    got, missed = page.split('id="missed-title"')
    assert to_public("dlv", delivery.id) in got
    assert '<code class="foreign">Task.*</code>' in got
    for each, why in ((other, "None of its filters"), (off, "It was inactive."),
                      (late, "It was created after the event.")):  # fmt: skip
        assert why in missed.split(each.url)[1].split("</tr>")[0]
    assert subscription.url not in missed


def test_every_reason_but_a_delivery_has_words() -> None:
    assert set(WHY_NOT) == set(Reason) - {Reason.DELIVERED}


def test_the_payload_is_shown_escaped_and_given_exactly(
    member: Client, subscription: Subscription
) -> None:
    delivery = publish_one(subscription)
    Event.objects.update(data='{"n": 1.10,"x":"<script>alert(1)</script>"}')
    page = member.get(address(delivery)).content.decode()
    assert "<script>alert" not in page
    assert "&quot;n&quot;: 1.10," in page
    exact = member.get(address(delivery, "event-payload"))
    assert exact.content.decode() == Event.objects.get().data
    assert exact["Content-Disposition"].startswith("attachment")
    assert exact["Content-Type"] == "application/octet-stream"
    assert exact["X-Content-Type-Options"] == "nosniff"
    Event.objects.update(data='"' + "x" * 70_000 + '"')
    assert "Only the beginning is shown" in member.get(address(delivery)).content.decode()


def test_hostile_urls_are_escaped(member: Client, subscription: Subscription) -> None:
    delivery = publish_one(subscription)
    Subscription.objects.update(url=f"http://x.test/{EVIL}")
    assert b"<script>alert" not in member.get(address(delivery)).content


def test_queries_do_not_grow_with_the_subscriptions(
    member: Client, subscription: Subscription
) -> None:
    counts = []
    for more in (0, 29):
        for number in range(more):
            make_subscription(
                project=subscription.project, event_types=[("Task.*", "No.*")[number % 2]]
            )
        delivery = publish_one(subscription)
        place = address(delivery)
        with CaptureQueriesContext(connection) as queries:
            assert member.get(place).status_code == 200
        counts.append(len(queries))
    assert counts == [10, 10]


def test_an_event_that_nobody_wanted_says_so(member: Client, subscription: Subscription) -> None:
    published = publish(project=subscription.project, event_type="Nobody.cares", data=1)
    place = reverse("event-page", args=[subscription.project.slug, to_public("evt", published.id)])
    assert "Nobody: no subscription wanted it" in member.get(place).content.decode()


@pytest.mark.parametrize("name", ["event-page", "event-payload"])
def test_strangers_find_nothing_and_who_is_signed_out_signs_in(
    member: Client, subscription: Subscription, name: str
) -> None:
    delivery = publish_one(subscription)
    assert signed_in(make_project()).get(address(delivery, name)).status_code == 404
    assert Client().get(address(delivery, name)).status_code == 302
    foreign = publish_one(make_subscription())
    wrong = reverse(name, args=[subscription.project.slug, to_public("evt", foreign.event_id)])
    assert member.get(wrong).status_code == 404


def test_a_deleted_subscription_is_named_and_not_linked(
    member: Client, subscription: Subscription
) -> None:
    delivery = publish_one(subscription)
    gone = make_subscription(project=subscription.project, url="http://127.0.0.1:9/gone")
    Subscription.objects.filter(id=gone.id).update(
        deleted_at=timezone.now(), is_active=False, deactivated_at=timezone.now()
    )
    page = member.get(address(delivery)).content.decode()
    assert "http://127.0.0.1:9/gone" in page
    assert f"/subscriptions/{to_public('sub', gone.id)}" not in page


def test_a_portal_s_visitor_finds_their_delivery_behind_any_number_of_others(
    subscription: Subscription, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "DELIVERIES_SHOWN", 2)
    project = subscription.project
    others = [make_subscription(project=project, event_types=["Task.*"]) for _ in range(3)]
    deliveries = {each.subscription_id: each for each in publish_all(others[0])}
    last = max(deliveries.values(), key=lambda each: each.id)
    link = make_link(
        project,
        role="viewer",
        subscription_ids=[last.subscription_id],
        expires_in_seconds=600,
    )
    page = Client().get(f"/portal/{link.token}{address(last)}")
    assert page.status_code == 200
    assert to_public("dlv", last.id) in page.content.decode()


def publish_all(subscription: Subscription) -> list[Delivery]:
    """The deliveries of one event to all subscriptions of the project."""
    event_id = publish_one(subscription).event_id
    return list(Delivery.objects.filter(event_id=event_id))
