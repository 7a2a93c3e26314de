"""Lists of deliveries and events over many days: near ones first, none twice, none left out."""

from __future__ import annotations

from datetime import timedelta
from itertools import chain
from typing import Any
from unittest.mock import Mock
from urllib.parse import parse_qs, urlsplit

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from deliveries.history.deliveries import NEAR
from deliveries.models import Delivery
from subscriptions.ids import to_public
from subscriptions.models import Project
from subscriptions.rest import cursor_pages
from subscriptions.rest.cursor_pages import find_page
from tests.api_client import ApiClient
from tests.deliveries.history_rows import add_delivery, add_event, prepare_days
from tests.factories import make_project, make_subscription

pytestmark = pytest.mark.django_db

DAYS_AGO = (20, 19.9, 12, 6.01, 6, 5.99, 3.01, 2.99, 1, 0.5, 0.1, -0.5, -5)
"""Around the edges of what is near to now, and to a page that begins at one of these. Publishers'
clocks may be wrong."""


@pytest.fixture
def project() -> Project:
    prepare_days(timezone.now() - timedelta(days=max(DAYS_AGO)))
    return make_project()


def ids_of(pages: list[dict[str, Any]]) -> list[str]:
    return [row["id"] for row in chain.from_iterable(page["results"] for page in pages)]


@pytest.mark.parametrize("route", ["deliveries", "events"])
@pytest.mark.parametrize("limit", [1, 2, 3, 4, 12, 13, 14])
def test_following_next_then_previous_shows_every_day_once_each_way(
    project: Project, route: str, limit: int
) -> None:
    subscription = make_subscription(project=project)
    made_at = [timezone.now() - timedelta(days=days) for days in DAYS_AGO]
    if route == "deliveries":
        made = [to_public("dlv", add_delivery(subscription, at).id) for at in made_at]
    else:
        made = [to_public("evt", add_event(project, at, "a.b").id) for at in made_at]
    client = ApiClient(project)

    pages = [client.get(route, {"limit": limit}).json()]
    while pages[-1]["next"]:
        pages.append(client.follow(pages[-1]["next"]).json())
    back = [pages[-1]]
    while back[-1]["previous"]:
        back.append(client.follow(back[-1]["previous"]).json())

    assert ids_of(pages) == made[::-1]
    assert ids_of(back[::-1]) == made[::-1]


def readings_of(client: ApiClient, **filters: Any) -> list[str]:
    """The statements that read deliveries for a page."""
    with CaptureQueriesContext(
        connection,
    ) as queries:
        assert client.get("deliveries", filters).status_code == 200
    statements = [query["sql"] for query in queries]
    return [sql for sql in statements if 'FROM "deliveries_delivery"' in sql]


def test_a_page_that_near_ones_fill_reads_no_others(project: Project) -> None:
    subscription = make_subscription(project=project)
    for _ in range(3):
        add_delivery(subscription, timezone.now() - NEAR + timedelta(hours=1))
    client = ApiClient(project)

    assert len(readings_of(client, limit=2)) == 1
    assert len(readings_of(client, limit=3)) == 2  # is there another page?
    long_ago = (timezone.now() - timedelta(days=9)).isoformat()
    assert len(readings_of(client, until=long_ago)) == 1, "nothing of it is near to now"


def test_so_does_a_page_on_the_way_back(project: Project) -> None:
    subscription = make_subscription(project=project)
    for days in (20, 19, 18.9, 18.8, 1):
        add_delivery(subscription, timezone.now() - timedelta(days=days))
    client = ApiClient(project)
    oldest = client.follow(client.get("deliveries", {"limit": 4}).json()["next"]).json()
    cursor = parse_qs(urlsplit(oldest["previous"]).query)["cursor"][0]

    assert len(readings_of(client, limit=2, cursor=cursor)) == 1
    assert len(readings_of(client, limit=3, cursor=cursor)) == 2


@pytest.mark.postgres
def test_each_part_leaves_out_the_days_of_the_other(project: Project) -> None:
    rows = Delivery.objects.filter(project=project)
    today = f"deliveries_delivery_p{timezone.now():%Y%m%d}"
    near, far = (part[:3].explain() for part in cursor_pages._parts(rows, None, NEAR))

    assert today in near
    assert today not in far
    assert near.count("deliveries_delivery_p") < far.count("deliveries_delivery_p")


@pytest.mark.postgres
def test_the_time_is_for_both_parts(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    add_delivery(make_subscription(project=project), timezone.now())
    seconds = iter([0.0, 1.0, 2.5])
    monkeypatch.setattr(cursor_pages, "time", Mock(monotonic=lambda: next(seconds)))
    with CaptureQueriesContext(connection) as queries:
        find_page(
            Delivery.objects.filter(project=project),
            project=project,
            query={"limit": 3},
            near=NEAR,
        )
    timeouts = [query["sql"] for query in queries if "SET LOCAL" in query["sql"]]
    assert timeouts == [f"SET LOCAL statement_timeout = {left}" for left in (2000, 500)]
