"""The list of deliveries: filters, pages, bars over time, and looking for news."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from deliveries import costly_requests
from deliveries.models import Delivery
from deliveries.pages.histogram import HISTOGRAM, buckets_of, histogram_of
from deliveries.pages.list_query import deliveries_wanted, read
from subscriptions.ids import to_public
from subscriptions.models import Member, Project, Subscription
from subscriptions.rest.cursor_pages import LIMIT_DEFAULT
from tests.deliveries.history_rows import add_delivery
from tests.deliveries.pages.samples import EVIL, pending, publish_one, signed_in
from tests.factories import make_project, make_subscription
from tests.queries import counted_queries

pytestmark = pytest.mark.django_db

ROW = re.compile(r'id="(dlv_[0-9a-f]{32})"')


@pytest.fixture
def subscription() -> Subscription:
    return make_subscription()


@pytest.fixture
def viewer(subscription: Subscription) -> Client:
    return signed_in(subscription.project, Member.Role.VIEWER)


def address(project: Project, name: str = "deliveries-page") -> str:
    return reverse(name, args=[project.slug])


def get(client: Client, project: Project, answer: int = 200, **query: str) -> str:
    response = client.get(address(project), query)
    assert response.status_code == answer, response.content
    return response.content.decode()


def shown(page: str) -> list[str]:
    return ROW.findall(page)


def public(*deliveries: Delivery) -> list[str]:
    return [to_public("dlv", delivery.id) for delivery in deliveries]


def test_deliveries_are_listed_newest_first_and_lead_to_their_pages(
    viewer: Client, subscription: Subscription
) -> None:
    first, second = publish_one(subscription), publish_one(subscription, last_status_code=503)
    page = get(viewer, subscription.project)
    assert shown(page) == public(second, first)
    assert f"/deliveries/{to_public('dlv', first.id)}" in page
    assert "<code>503</code>" in page


def test_a_project_without_deliveries_is_told_how_to_get_some(viewer: Client) -> None:
    project = Project.objects.get()
    assert "Nothing was delivered yet" in get(viewer, project)
    Subscription.objects.all().delete()
    assert "First say where events shall go." in get(viewer, project)
    assert "Add a subscription" not in get(viewer, project)  # a viewer may not


def test_filters_narrow_the_list_as_those_of_the_api(
    viewer: Client, subscription: Subscription
) -> None:
    project = subscription.project
    failed = publish_one(subscription, idempotency_key="order-7")
    other = make_subscription(project=project, event_types=["Phrase.*"])
    publish_one(subscription, status="succeeded", last_outcome="succeeded", last_status_code=200)
    moved = publish_one(other, event_type="Phrase.new", last_status_code=302)
    Delivery.objects.filter(event_id=moved.event_id).exclude(id=moved.id).delete()
    waiting = pending(subscription)
    cases: tuple[tuple[dict[str, Any], list[Delivery]], ...] = (
        ({"status": "pending"}, [waiting]),
        ({"outcome": "http_error"}, [moved, failed]),
        ({"status_class": "3xx"}, [moved]),
        ({"status_code": "401"}, [failed]),
        ({"event_type": "Phrase.new"}, [moved]),
        ({"subscription": to_public("sub", other.id)}, [moved]),
        ({"event": to_public("evt", failed.event_id)}, [failed]),
        ({"search": "order"}, [failed]),
        ({"search": to_public("evt", failed.event_id)}, [failed]),
        ({"since": "2099-01-01T00:00"}, []),
        ({"until": "1999-01-01T00:00"}, []),
        ({"status": "", "search": "  ", "unheard_of": "1"}, [waiting, moved]),
    )
    for query, expected in cases:
        found = shown(get(viewer, project, **query))
        assert found[: len(expected)] == public(*expected), query
        assert expected or not found, query


@pytest.mark.parametrize(
    ("field", "value"),
    [("status", "done"), ("outcome", "bad"), ("status_class", "6xx"), ("status_code", "x"),
     ("status_code", "9999"), ("event_type", "no type!"), ("subscription", "sub_1"),
     ("subscription", f"sub_{'0' * 32}"), ("event", "evt_1"), ("since", "yesterday"),
     ("until", "0001-01-01T00:00"), ("search", "x" * 256)],
)  # fmt: skip
def test_a_filter_that_makes_no_sense_is_an_error_at_its_field(
    viewer: Client, subscription: Subscription, field: str, value: str
) -> None:
    publish_one(subscription)
    page = get(viewer, subscription.project, answer=422, **{field: value})
    assert f'id="{field}-error"' in page
    assert re.search(rf'name="{field}"[^>]*aria-describedby="{field}-error', page) or (
        re.search(rf'aria-describedby="{field}-error[^>]*name="{field}"', page)
    )
    assert 'role="alert"' in page
    assert shown(page) == []


def test_an_interval_that_ends_before_it_begins_is_an_error(
    viewer: Client, subscription: Subscription
) -> None:
    publish_one(subscription)
    page = get(
        viewer, subscription.project, 422, since="2026-02-01T00:00", until="2026-01-01T00:00"
    )
    assert 'id="until-error"' in page


def test_hostile_filters_and_rows_are_escaped(viewer: Client, subscription: Subscription) -> None:
    Subscription.objects.update(url=f"http://127.0.0.1:9/{EVIL}")
    publish_one(subscription)
    for query in ({}, {"search": EVIL}, {"status": EVIL}, {"event_type": EVIL}, {"since": EVIL}):
        response = viewer.get(address(subscription.project), query)
        assert b"<script>alert" not in response.content


def test_a_search_for_a_delivery_leads_to_it(viewer: Client, subscription: Subscription) -> None:
    delivery = publish_one(subscription)
    (name,) = public(delivery)
    response = viewer.get(address(subscription.project), {"search": f" {name} "})
    assert response.status_code == 302
    assert response["Location"].endswith(f"/deliveries/{name}")


def test_cursors_lead_through_all_of_it_with_the_filters(
    viewer: Client, subscription: Subscription
) -> None:
    project, now = subscription.project, timezone.now()
    made = [
        add_delivery(subscription, now - timedelta(seconds=number), status="failed")
        for number in range(LIMIT_DEFAULT + 3)
    ]
    page = get(viewer, project, status="failed")
    assert shown(page) == public(*made[:LIMIT_DEFAULT])
    match = re.search(r'rel="next" href="([^"]+)"', page)
    assert match
    older = match[1].replace("&amp;", "&")
    assert "status=failed" in older
    page = viewer.get(older).content.decode()
    assert shown(page) == public(*made[LIMIT_DEFAULT:])
    assert 'rel="prev"' in page
    assert 'rel="next"' not in page
    assert "hx-get" not in page  # only the first page has news
    wrong = get(viewer, project, answer=422, cursor="made-up")
    assert "This page of the list is not known" in wrong


def test_queries_do_not_grow_with_the_rows(viewer: Client, subscription: Subscription) -> None:
    project, counts = subscription.project, []
    for rows in (1, 29):
        for number in range(rows):
            other = make_subscription(project=project)
            add_delivery(other, timezone.now() - timedelta(seconds=number))
        with counted_queries() as queries:
            get(viewer, project)
        counts.append(len(queries))
    assert counts == [11, 11]  # two for the list: near, and far


def test_another_project_is_not_found_and_signed_out_signs_in(subscription: Subscription) -> None:
    delivery = publish_one(subscription)
    for name in ("deliveries-page", "deliveries-live", "deliveries-export"):
        place = address(subscription.project, name)
        assert signed_in(make_project()).get(place).status_code == 404
        assert Client().get(place).status_code == 302
    own = make_subscription()
    client = signed_in(own.project)
    assert shown(get(client, own.project)) == []
    wanted = to_public("sub", delivery.subscription_id)
    assert "There is no such subscription." in get(client, own.project, 422, subscription=wanted)


# ---- Live ---------------------------------------------------------------------------------------


def test_news_are_sent_only_when_there_are_some(viewer: Client, subscription: Subscription) -> None:
    project = subscription.project
    delivery = pending(subscription)
    match = re.search(r'hx-get="([^"]+)"', get(viewer, project, status="pending"))
    assert match
    look = match[1].replace("&amp;", "&")
    assert "status=pending" in look
    assert viewer.get(look).status_code == 204
    newer = pending(subscription)
    response = viewer.get(look)
    assert shown(response.content.decode()) == public(newer, delivery)
    assert b"<html" not in response.content
    Delivery.objects.update(status="succeeded", next_attempt_at=None)
    assert shown(viewer.get(look).content.decode()) == []


# ---- Bars ---------------------------------------------------------------------------------------


def test_bars_count_what_the_filters_want(subscription: Subscription) -> None:
    now = timezone.now()
    for hours, status in ((0, "succeeded"), (0, "failed"), (0, "pending"), (5, "failed")):
        add_delivery(subscription, now - timedelta(hours=hours), status=status)
    found = histogram_of(subscription.project, read({}), None)
    assert found
    assert len(found.bars) == 24
    last, earlier = found.bars[-1], found.bars[-6]
    assert (last.succeeded, last.failed, last.others) == (1, 1, 1)
    assert (earlier.succeeded, earlier.failed, earlier.others) == (0, 1, 0)
    failed = histogram_of(subscription.project, read({"status": "failed"}), None)
    assert failed
    assert sum(bar.failed for bar in failed.bars) == 2
    assert sum(bar.succeeded + bar.others for bar in failed.bars) == 0
    for query, count in (
        ({"status_class": "5xx"}, 2), ({"status_code": "404"}, 0), ({"outcome": "succeeded"}, 1),
        ({"event_type": "Task.update"}, 4), ({"event_type": "Task.other"}, 0),
        ({"subscription": to_public("sub", subscription.id)}, 4),
    ):  # fmt: skip
        counted = histogram_of(subscription.project, read(query), None)
        assert counted
        assert sum(bar.succeeded + bar.failed + bar.others for bar in counted.bars) == count, query


def test_bars_count_only_what_a_visitor_may_see(subscription: Subscription) -> None:
    other = make_subscription(project=subscription.project)
    for each in (subscription, other, other):
        add_delivery(each, timezone.now() - timedelta(seconds=1))  # not in the last millisecond
    found = histogram_of(subscription.project, read({}), {other.id})
    assert found
    assert sum(bar.succeeded for bar in found.bars) == 2


def test_a_bar_leads_to_the_list_of_its_time(viewer: Client, subscription: Subscription) -> None:
    delivery = add_delivery(subscription, timezone.now(), status="failed")
    page = get(viewer, subscription.project, status="failed")
    links = re.findall(r'<a href="(\?[^"]+)" data-since', page)
    assert len(links) == 24
    assert "1 failed" in page
    narrowed = viewer.get(
        address(subscription.project) + links[-1].replace("&amp;", "&")
    ).content.decode()
    # The last bar ends now: what it counted is in it.
    assert shown(narrowed) == public(delivery)


def test_bars_have_a_round_width_and_never_more_than_thirty_days() -> None:
    now = timezone.now().replace(minute=30, second=0, microsecond=0)
    for length, width in (
        (timedelta(minutes=30), timedelta(minutes=1)),
        (timedelta(hours=2), timedelta(minutes=5)),
        (timedelta(hours=24), timedelta(hours=1)),
        (timedelta(days=20), timedelta(hours=24)),
    ):
        assert buckets_of({"since": now - length}, now).width == width
    assert buckets_of({"since": now - timedelta(days=300)}, now).whole.length == timedelta(days=30)
    assert len(buckets_of({}, now)) == 24
    assert len(buckets_of({"since": now + timedelta(days=1)}, now)) == 0


def test_the_list_is_shown_without_bars_when_it_is_not_the_projects_turn(
    viewer: Client, subscription: Subscription
) -> None:
    delivery = publish_one(subscription)
    with costly_requests.turn(subscription.project, HISTOGRAM):
        page = get(viewer, subscription.project)
    assert shown(page) == public(delivery)
    assert "reload to see it" in page


def test_a_visitor_of_some_subscriptions_finds_only_their_deliveries(
    subscription: Subscription,
) -> None:
    project = subscription.project
    other = make_subscription(project=project)
    hidden, seen = (add_delivery(each, timezone.now()) for each in (subscription, other))
    granted = Subscription.objects.filter(id=other.id)
    for query, expected in (
        ({}, [seen]),
        ({"event": to_public("evt", hidden.event_id)}, []),
        ({"search": to_public("evt", hidden.event_id)}, []),
    ):
        found, errors = deliveries_wanted(
            project, read(query), subscriptions=granted, among={other.id}
        )
        assert (list(found), errors) == (expected, {})
    wanted = read({"subscription": to_public("sub", subscription.id)})
    found, errors = deliveries_wanted(project, wanted, subscriptions=granted, among={other.id})
    assert set(errors) == {"subscription"}
    assert not found
