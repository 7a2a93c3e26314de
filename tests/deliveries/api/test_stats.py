"""The routes of figures: what they answer, which intervals they take, and whose they are."""

from __future__ import annotations

import time
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import pytest
from django.utils import timezone

from deliveries import costly_requests
from deliveries.costly_requests import FIGURES, PLACES, place, turn
from subscriptions.models import Subscription
from tests.api_client import ApiClient, errors_of
from tests.deliveries.history_rows import add_delivery, prepare_days
from tests.factories import make_project, make_subscription

pytestmark = pytest.mark.django_db

DAY, HOUR, MINUTE = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1)


@pytest.fixture
def subscription() -> Subscription:
    prepare_days(timezone.now() - 8 * DAY)
    return make_subscription()


@pytest.fixture
def client(subscription: Subscription) -> ApiClient:
    return ApiClient(subscription.project, ["read"])


def path_of(subscription: Subscription) -> str:
    return f"subscriptions/sub_{subscription.id.hex}/stats"


def text(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


def moment(written: str) -> datetime:
    return datetime.fromisoformat(written)


def test_a_subscription_s_figures(client: ApiClient, subscription: Subscription) -> None:
    made_at = timezone.now() - MINUTE
    add_delivery(subscription, made_at, durations_ms=(20,))
    add_delivery(subscription, made_at, status="failed", durations_ms=(40,))

    figures = client.get(path_of(subscription)).json()

    counts = {
        "succeeded": 1,
        "failed": 1,
        "cancelled": 0,
        "pending": 0,
        "sending": 0,
        "success_rate": 0.5,
        "attempts": 2,
        "latency": {"p50_ms": 20, "p95_ms": 40, "p99_ms": 40, "measured": 2},
    }
    assert figures["sampled"] is False
    assert figures["total"] == counts
    assert [bucket["succeeded"] for bucket in figures["buckets"]].count(1) == 1
    full = next(bucket for bucket in figures["buckets"] if bucket["succeeded"])
    assert full == {"start": full["start"], **counts}
    (error,) = figures["errors"]
    assert moment(error.pop("last_at")) == made_at + timedelta(seconds=1)
    assert error == {
        "outcome": "http_error",
        "status_code": 500,
        "count": 1,
        "last_error": "Attempt 1 went wrong.",
    }


def test_seven_days_today_included_are_the_interval_if_none_is_given(
    client: ApiClient, subscription: Subscription
) -> None:
    figures = client.get(path_of(subscription)).json()

    until = moment(figures["until"])
    assert timezone.now() - until < MINUTE
    midnight = until.replace(hour=0, minute=0, second=0, microsecond=0)
    assert moment(figures["since"]) == midnight - 6 * DAY
    assert len(figures["buckets"]) == 7
    assert figures["total"]["success_rate"] is None


@pytest.mark.parametrize(
    ("bucket", "count", "width"), [("minute", 60, MINUTE), ("hour", 24, HOUR), ("day", 7, DAY)]
)
def test_buckets_are_as_long_as_asked_for(
    client: ApiClient, subscription: Subscription, bucket: str, count: int, width: timedelta
) -> None:
    buckets = client.get(path_of(subscription), {"bucket": bucket}).json()["buckets"]

    starts = [moment(each["start"]) for each in buckets]
    assert len(starts) == count
    assert {after - before for before, after in pairwise(starts)} == {width}


def test_the_interval_is_the_one_asked_for_and_ends_now_at_the_latest(
    client: ApiClient, subscription: Subscription
) -> None:
    since = datetime.now(UTC) - 2 * DAY
    given = {"since": text(since), "until": text(since + 5 * DAY)}

    figures = client.get(path_of(subscription), given).json()

    assert moment(figures["since"]) == since
    assert moment(figures["until"]) <= datetime.now(UTC)


@pytest.mark.parametrize(
    "query",
    [
        {"since": "1970-01-01T00:00:00Z", "until": "1970-01-01T00:00:00Z"},
        {"until": "1970-01-01T00:00:00Z"},
        {"until": "1970-01-02T00:00:00Z", "bucket": "hour"},
        {"since": "9998-12-01T00:00:00Z", "until": "9998-12-31T00:00:00Z"},
        {"until": "9998-12-31T00:00:00Z"},
    ],
)
def test_odd_times_find_nothing(
    client: ApiClient, subscription: Subscription, query: dict[str, str]
) -> None:
    response = client.get(path_of(subscription), query)

    assert response.status_code == 200, response.content
    assert response.json()["total"]["attempts"] == 0


@pytest.mark.parametrize(
    ("query", "field", "code"),
    [
        ({"since": "2026-01-02T00:00:00Z", "until": "2026-01-01T00:00:00Z"}, "until", "reversed"),
        ({"since": "2026-01-01T00:00:00Z", "until": "2026-01-31T00:00:01Z"}, "since", "too_long"),
        ({"since": "1970-01-01T00:00:00Z"}, "since", "too_long"),
        (
            {"since": "2026-01-01T00:00:00Z", "until": "2026-01-08T00:00:01Z", "bucket": "hour"},
            "since",
            "too_long",
        ),
        (
            {"since": "2026-01-01T00:00:00Z", "until": "2026-01-01T03:00:01Z", "bucket": "minute"},
            "since",
            "too_long",
        ),
        ({"since": "yesterday"}, "since", "invalid"),
        ({"until": "2026-01-01"}, "until", "invalid"),
        ({"bucket": "week"}, "bucket", "invalid_choice"),
        ({"bucket": ""}, "bucket", "invalid_choice"),
        ({"limit": "5"}, "limit", "unknown"),
    ],
)
@pytest.mark.parametrize("of_project", [True, False])
def test_what_is_no_interval_is_refused(
    client: ApiClient,
    subscription: Subscription,
    of_project: bool,
    query: dict[str, str],
    field: str,
    code: str,
) -> None:
    path = "stats" if of_project else path_of(subscription)

    assert errors_of(client.get(path, query), 400) == {field: code}


def test_a_project_s_figures_are_those_of_all_its_subscriptions_with_what_waits(
    client: ApiClient, subscription: Subscription
) -> None:
    made_at = timezone.now() - MINUTE
    add_delivery(subscription, made_at)
    beside = make_subscription(project=subscription.project)
    add_delivery(beside, made_at, status="pending")
    add_delivery(make_subscription(), made_at, status="pending")

    figures = client.get("stats").json()

    assert (figures["total"]["succeeded"], figures["total"]["pending"]) == (1, 1)
    backlog: dict[str, Any] = figures["backlog"]
    assert (backlog["unfinished"], backlog["sampled"]) == (1, False)
    assert backlog["oldest_overdue_seconds"] == pytest.approx(60, abs=30)


def test_they_need_the_scope_read_and_the_project_s_own_key(
    client: ApiClient, subscription: Subscription
) -> None:
    other = make_project()

    errors_of(ApiClient(subscription.project, ["publish"]).get(path_of(subscription)), 403)
    errors_of(ApiClient(other).get(path_of(subscription)), 404)
    errors_of(ApiClient(other).get(f"/api/v1/projects/{subscription.project.slug}/stats"), 404)
    errors_of(client.get(f"subscriptions/sub_{'0' * 32}/stats"), 404)
    errors_of(client.get("subscriptions/nonsense/stats"), 404)
    errors_of(client.post(path_of(subscription), {}), 405)


def test_when_all_places_are_taken_nobody_waits(
    client: ApiClient, subscription: Subscription
) -> None:
    with ExitStack() as places:
        taken = [places.enter_context(place()) for _ in range(PLACES)]
        assert all(taken)
        began_at = time.monotonic()
        busy = client.get(path_of(subscription))
        seconds = time.monotonic() - began_at
        preview = client.post("subscriptions/preview", {"event_types": ["*"]})

    assert errors_of(busy, 429) == errors_of(preview, 429) == {"": "busy"}
    assert busy["Retry-After"] == "2"
    assert seconds < 1
    assert client.get(path_of(subscription)).status_code == 200


def test_a_project_reads_for_one_request_at_a_time(
    client: ApiClient, subscription: Subscription, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped = SimpleNamespace(monotonic=lambda: 0.0)  # no turn takes so long that a rest follows
    monkeypatch.setattr(costly_requests, "time", stopped)
    with turn(subscription.project, FIGURES):
        assert errors_of(client.get("stats"), 429) == {"": "busy"}
        assert ApiClient(make_project(), ["read"]).get("stats").status_code == 200

    assert client.get("stats").status_code == 200
