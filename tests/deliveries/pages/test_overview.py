"""The overview: figures of a time, what is in trouble, and how to begin."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client
from django.utils import timezone

from deliveries import costly_requests
from deliveries.costly_requests import FIGURES
from subscriptions.access.portal import make_link
from subscriptions.ids import to_public
from subscriptions.models import Project, Subscription
from tests.deliveries.history_rows import add_delivery, prepare_days
from tests.factories import make_project, make_subscription
from tests.queries import counted_queries
from tests.subscriptions.pages.people import signed_in

pytestmark = pytest.mark.django_db

EVIL = '<script>alert("1")</script>'


@pytest.fixture
def now() -> datetime:
    moment = timezone.now()
    prepare_days(moment - timedelta(days=30))
    return moment


@pytest.fixture
def project() -> Project:
    return make_project()


@pytest.fixture
def viewer(project: Project) -> Client:
    return signed_in(project, "viewer")


def overview_of(project: Project, query: str = "") -> str:
    return f"/projects/{project.slug}/{query}"


def text_of(response: Any) -> str:
    assert response.status_code == 200, response.content
    cache.clear()  # the project may ask again at once
    return re.sub(r"\s+", " ", response.content.decode())


def test_figures_of_the_time_that_is_asked_for(
    project: Project, viewer: Client, now: datetime
) -> None:
    subscription = make_subscription(project=project)
    for minutes in range(1, 7):
        add_delivery(subscription, now - timedelta(minutes=minutes), durations_ms=(100,))
    add_delivery(subscription, now - timedelta(minutes=3), status="failed", durations_ms=(900,))
    add_delivery(subscription, now - timedelta(hours=3), status="pending")
    add_delivery(subscription, now - timedelta(days=3), status="failed")

    hour = text_of(viewer.get(overview_of(project, "?range=1h")))
    assert '<span class="figure">7</span>deliveries' in hour
    assert "85.7 %" in hour
    assert "p50 100 ms, p99 900 ms" in hour
    assert "the oldest is overdue by 10" in hour
    assert hour.count('<rect class="ok"') == 6
    assert hour.count('<rect class="fail"') == 1
    day = text_of(viewer.get(overview_of(project)))
    assert '<span class="figure">8</span>deliveries' in day
    assert '<option value="24h" selected>' in day
    for longer in ("?range=7d", "?range=30d"):
        shown = text_of(viewer.get(overview_of(project, longer)))
        assert '<span class="figure">9</span>deliveries' in shown
    assert '<option value="24h" selected>' in text_of(viewer.get(overview_of(project, "?range=x")))


def test_charts_have_names_and_say_the_same_as_a_table(
    project: Project, viewer: Client, now: datetime
) -> None:
    subscription = make_subscription(project=project)
    add_delivery(subscription, now - timedelta(minutes=5), durations_ms=(123,))
    shown = text_of(viewer.get(overview_of(project, "?range=1h")))
    charts = re.findall(r'<svg class="chart[^>]*>', shown)
    assert len(charts) == 3
    assert all('role="img"' in chart and "aria-labelledby" in chart for chart in charts)
    assert "1 per minute; 1 succeeded, 0 failed" in shown
    assert shown.count('<th scope="row">') in {60, 61}
    assert '<td class="number">123 ms</td>' in shown
    assert " style=" not in shown


def test_subscriptions_in_trouble_are_named_the_worst_first(
    project: Project, viewer: Client, now: datetime
) -> None:
    make_subscription(project=project, url="https://fine.test/")
    make_subscription(
        project=project, url="https://fails.test/", failure_streak=4, last_error=EVIL,
        last_error_at=now,
    )  # fmt: skip
    for url, reason, days in (
        ("https://off.test/", "failures", 1), ("https://by-hand.test/", "by_hand", 1),
        ("https://long-ago.test/", "failures", 40),
    ):  # fmt: skip
        make_subscription(
            project=project, url=url, is_active=False, deactivation_reason=reason,
            deactivated_at=now - timedelta(days=days),
        )  # fmt: skip
    make_subscription(url="https://foreign.test/", failure_streak=9)

    shown = text_of(viewer.get(overview_of(project)))
    found = re.findall(r"https://([a-z-]+)\.test/", shown)
    assert found == ["off", "fails"]
    assert "4 failures in a row" in shown
    assert EVIL not in shown


def test_the_latest_failures_lead_to_their_deliveries(
    project: Project, viewer: Client, now: datetime
) -> None:
    subscription = make_subscription(project=project, url="https://shown.test/<b>")
    failed = add_delivery(subscription, now - timedelta(minutes=2), status="failed")
    test = add_delivery(subscription, now - timedelta(minutes=1), status="failed", is_test=True)
    old = add_delivery(subscription, now - timedelta(days=2), status="failed")
    shown = text_of(viewer.get(overview_of(project)))
    assert f"/deliveries/{to_public('dlv', failed.id)}" in shown
    assert "https://shown.test/&lt;b&gt;" in shown
    assert to_public("dlv", test.id) not in shown
    assert to_public("dlv", old.id) not in shown


def test_without_a_subscription_it_says_how_to_begin(project: Project) -> None:
    editor = text_of(signed_in(project, "editor").get(overview_of(project)))
    assert f"/projects/{project.slug}/subscriptions/new" in editor
    viewer = text_of(signed_in(project, "viewer").get(overview_of(project)))
    assert "/subscriptions/new" not in viewer
    assert "An editor or an owner of this project can make one." in viewer


def test_without_events_it_shows_a_command_that_publishes_one(project: Project) -> None:
    make_subscription(project=project)
    owner = signed_in(project, "owner")
    shown = text_of(owner.get(overview_of(project), headers={"Host": "localhost:8000"}))
    assert f"curl http://localhost:8000/api/v1/projects/{project.slug}/events" in shown
    assert "Authorization: Bearer YOUR_API_KEY" in shown
    assert 'data-copy="#first-event"' in shown
    assert f"/projects/{project.slug}/keys" in shown


def test_a_quiet_time_is_not_taken_for_a_beginning(
    project: Project, viewer: Client, now: datetime
) -> None:
    add_delivery(make_subscription(project=project), now - timedelta(days=20))
    shown = text_of(viewer.get(overview_of(project)))
    assert "Nothing was sent in this time." in shown
    assert "curl" not in shown


def test_figures_are_counted_for_one_request_at_a_time(
    project: Project, viewer: Client, now: datetime
) -> None:
    add_delivery(make_subscription(project=project, failure_streak=1), now)
    with costly_requests.turn(project, FIGURES):
        busy = viewer.get(overview_of(project)).content.decode()
    assert "Load the page again in" in busy
    assert "Subscriptions in trouble" in busy
    assert 'class="figure"' not in busy


def test_its_queries_do_not_grow_with_what_is_shown(
    project: Project, viewer: Client, now: datetime
) -> None:
    def count() -> int:
        with counted_queries() as queries:
            text_of(viewer.get(overview_of(project)))
        return len(queries)

    first = make_subscription(project=project, failure_streak=1)
    add_delivery(first, now, status="failed", durations_ms=(5,))
    few = count()
    for _ in range(10):
        subscription = make_subscription(project=project, failure_streak=2)
        add_delivery(subscription, now, status="failed", durations_ms=(5,))
    assert count() == few
    assert few <= 18


def test_strangers_and_the_signed_out_see_nothing(project: Project) -> None:
    assert signed_in(make_project(), "owner").get(overview_of(project)).status_code == 404
    assert Client().get(overview_of(project)).status_code == 302


# ---- Through a portal ----------------------------------------------------------------------------


def portal_of(project: Project, *shown: Subscription) -> str:
    ids = [each.id for each in shown]
    link = make_link(project, role="viewer", subscription_ids=ids, expires_in_seconds=600)
    return f"/portal/{link.token}/projects/{project.slug}/"


def test_a_portal_s_visitor_sees_figures_of_their_subscriptions_only(
    project: Project, now: datetime
) -> None:
    first, second, hidden = (make_subscription(project=project) for _ in range(3))
    for subscription, count in ((first, 2), (second, 3), (hidden, 4)):
        for _ in range(count):
            add_delivery(subscription, now - timedelta(minutes=1), status="failed")
    path = portal_of(project, first, second)
    assert '<span class="figure">2</span>deliveries' in text_of(Client().get(path))
    chosen = text_of(Client().get(f"{path}?subscription={to_public('sub', second.id)}"))
    assert '<span class="figure">3</span>deliveries' in chosen
    assert chosen.count("/deliveries/dlv_") == 5
    foreign = Client().get(f"{path}?subscription={to_public('sub', hidden.id)}")
    assert foreign.status_code == 404


def test_a_portal_teaches_no_api_keys(project: Project) -> None:
    shown = text_of(Client().get(portal_of(project, make_subscription(project=project))))
    assert "curl" not in shown
    assert "As soon as an event is sent" in shown
