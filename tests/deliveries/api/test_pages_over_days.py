"""Lists of deliveries and events over many days: near ones first, none twice, none left out."""

from __future__ import annotations

from datetime import timedelta
from itertools import chain
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from deliveries.history.deliveries import NEAR
from subscriptions.ids import to_public
from subscriptions.models import Project
from tests.api_client import ApiClient
from tests.deliveries.history_rows import add_delivery, add_event, prepare_days
from tests.factories import make_project, make_subscription

pytestmark = pytest.mark.django_db

DAYS_AGO = (20, 19.9, 12, 6.01, 6, 5.99, 3.01, 2.99, 1, 0.5, 0.1)
"""Around the edges of what is near to now, and to a page that begins at one of these."""


@pytest.fixture
def project() -> Project:
    prepare_days(timezone.now() - timedelta(days=max(DAYS_AGO)))
    return make_project()


def ids_of(pages: list[dict[str, Any]]) -> list[str]:
    return [row["id"] for row in chain.from_iterable(page["results"] for page in pages)]


@pytest.mark.parametrize("route", ["deliveries", "events"])
@pytest.mark.parametrize("limit", [1, 2, 3, 4, 10, 11, 12])
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
