"""What a filter would have let through: counts, types and the newest events, tests left out."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from deliveries.figures import filter_preview, grouped_counts
from deliveries.models import Event
from tests.api_client import ApiClient, errors_of
from tests.deliveries.history_rows import add_event, prepare_days
from tests.factories import make_project, make_subscription

pytestmark = pytest.mark.django_db

PATH = "subscriptions/preview"
HOUR = timedelta(hours=1)


@pytest.fixture
def client() -> ApiClient:
    prepare_days(timezone.now() - timedelta(days=9))
    return ApiClient(make_project(), ["read"])


def add(client: ApiClient, event_type: str, *, hours_ago: float = 1, **fields: Any) -> Event:
    return add_event(client.project, timezone.now() - hours_ago * HOUR, event_type, **fields)


def preview(client: ApiClient, *event_types: str) -> dict[str, Any]:
    response = client.post(PATH, {"event_types": event_types})
    assert response.status_code == 200, response.content
    found: dict[str, Any] = response.json()
    return found


def test_it_counts_what_the_filter_wants_by_type_and_shows_the_newest_five(
    client: ApiClient,
) -> None:
    updates = [add(client, "Task.update", hours_ago=hours) for hours in range(1, 6)]
    created = add(client, "Task.create", hours_ago=0.5)
    add(client, "jobs:done")
    make_subscription(project=client.project)

    found = preview(client, "Task.*")

    assert (found["published"], found["received"], found["sampled"]) == (7, 6, False)
    assert found["types"] == [
        {"event_type": "Task.update", "count": 5},
        {"event_type": "Task.create", "count": 1},
    ]
    newest = [created, *updates[:4]]
    assert [event["id"] for event in found["events"]] == [f"evt_{each.id.hex}" for each in newest]
    assert set(found["events"][0]) == {"id", "type", "created_at"}
    assert preview(client, "jobs:*", "Task.create")["received"] == 2
    assert preview(client, "*")["received"] == 7
    assert preview(client, "Task") | {"since": ""} == {
        "since": "",
        "sampled": False,
        "published": 7,
        "received": 0,
        "types": [],
        "events": [],
    }


def test_tests_older_events_and_those_of_others_are_left_out(client: ApiClient) -> None:
    add(client, "a", is_test=True)
    add(client, "a", hours_ago=7 * 24 + 1)
    add_event(make_project(), timezone.now() - HOUR, "a")

    assert preview(client, "*")["published"] == 0


def test_a_rare_type_is_shown_although_the_newest_are_others(
    client: ApiClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    rare = add(client, "rare", hours_ago=20)
    for _ in range(5):
        add(client, "frequent")
    monkeypatch.setattr(filter_preview, "_NEWEST_READ", 3)

    found = preview(client, "rare")

    assert [event["id"] for event in found["events"]] == [f"evt_{rare.id.hex}"]


def test_beyond_some_events_it_is_an_estimate_and_says_so(
    client: ApiClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(160):
        add(client, f"t{number % 4}", hours_ago=number + 0.5)
    monkeypatch.setattr(grouped_counts, "EXACT_AT_MOST", 20)
    monkeypatch.setattr(grouped_counts, "_SLICE_ROWS", 4)
    monkeypatch.setattr(grouped_counts, "_SLICES", 16)

    found = preview(client, "t1", "t2")

    assert found["sampled"] is True
    assert found["published"] == pytest.approx(160, abs=4)
    assert found["received"] == pytest.approx(80, abs=12)
    assert len(found["events"]) == 5


@pytest.mark.parametrize(
    ("body", "place", "code"),
    [
        ({}, "event_types", "required"),
        ({"event_types": None}, "event_types", "null"),
        ({"event_types": "*"}, "event_types", "not_a_list"),
        ({"event_types": []}, "event_types", "invalid"),
        ({"event_types": ["Tas*"]}, "event_types", "invalid"),
        ({"event_types": [""]}, "event_types", "invalid"),
        ({"event_types": [5]}, "event_types.0", "invalid"),
        ({"event_types": ["a"] * 101}, "event_types", "invalid"),
        ({"event_types": ["*"], "days": 3}, "days", "unknown"),
    ],
)
def test_what_is_no_filter_is_refused(
    client: ApiClient, body: dict[str, Any], place: str, code: str
) -> None:
    assert errors_of(client.post(PATH, body), 400) == {place: code}


def test_it_needs_the_scope_read_and_the_project_s_own_key(client: ApiClient) -> None:
    body = {"event_types": ["*"]}

    errors_of(ApiClient(client.project, ["publish"]).post(PATH, body), 403)
    foreign = f"/api/v1/projects/{client.project.slug}/{PATH}"
    errors_of(ApiClient(make_project()).post(foreign, body), 404)
    errors_of(client.get(PATH), 405)
