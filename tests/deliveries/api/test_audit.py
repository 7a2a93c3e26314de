"""The audit over REST: one project's, of some days, and never for long."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings
from django.utils import timezone

from deliveries.api import audit as route
from deliveries.auditing import turns
from deliveries.models import Delivery
from deliveries.publishing.ingest import publish
from subscriptions.models import Project
from tests.api_client import ApiClient, errors_of
from tests.factories import make_project, make_subscription

pytestmark = pytest.mark.django_db


@pytest.fixture
def project() -> Project:
    project = make_project()
    make_subscription(project=project)
    return project


@pytest.fixture
def client(project: Project) -> ApiClient:
    return ApiClient(project, ["read"])


def day(days_ago: int) -> str:
    return (timezone.now().date() - timedelta(days=days_ago)).isoformat()


def publish_one(project: Project) -> Delivery:
    published = publish(project=project, event_type="a.b", data={})
    return Delivery.objects.get(id=published.delivery_ids[0])


def test_it_says_that_all_adds_up(client: ApiClient, project: Project) -> None:
    publish_one(project)

    response = client.get("audit")

    assert response.status_code == 200
    document = response.json()
    (row,) = document.pop("days")
    assert (row["day"], row["project"]) == (day(0), project.slug)
    assert (row["events"], row["matched"], row["pending"], row["difference"]) == (1, 1, 1, 0)
    assert document == {
        "balanced": True,
        "complete": True,
        "since": day(route.DAYS_DEFAULT - 1),
        "until": day(0),
        "unbalanced": [],
        "strays": [],
        "truncated": False,
    }


def test_it_names_the_event_whose_delivery_was_deleted(client: ApiClient, project: Project) -> None:
    delivery = publish_one(project)
    delivery.delete()

    document = client.get("audit").json()

    assert not document["balanced"]
    event = f"evt_{delivery.event_id.hex}"
    assert document["unbalanced"] == [
        {"project": project.slug, "event": event, "matched": 1, "counted": 0}
    ]


def test_another_projects_losses_are_not_seen(client: ApiClient) -> None:
    other = make_subscription().project
    publish_one(other).delete()

    assert client.get("audit").json()["days"] == []
    errors_of(client.get(f"/api/v1/projects/{other.slug}/audit"), 404)


def test_it_needs_the_scope_read(project: Project) -> None:
    errors_of(ApiClient(project, ["publish", "manage"]).get("audit"), 403)


def test_since_chooses_the_first_day(client: ApiClient) -> None:
    assert client.get("audit", {"since": day(0)}).json()["since"] == day(0)
    # So far back is allowed, but those days are being pruned.
    earliest = client.get("audit", {"since": day(route.DAYS_MAX)}).json()["since"]
    assert earliest > day(settings.DISPATCHER_RETENTION_DAYS)


@pytest.mark.parametrize(
    ("query", "errors"),
    [
        ({"since": day(route.DAYS_MAX + 1)}, {"since": "out_of_range"}),
        ({"since": day(-3)}, {"since": "out_of_range"}),
        ({"since": "yesterday"}, {"since": "invalid"}),
        ({"since": "2026-11-21T00:00:00Z"}, {"since": "invalid"}),
        ({"until": day(0)}, {"until": "unknown"}),
    ],
)
def test_a_query_that_cannot_be_answered_is_refused(
    client: ApiClient, query: dict[str, str], errors: dict[str, str]
) -> None:
    assert errors_of(client.get("audit", query), 400) == errors


def test_when_time_runs_out_it_says_what_was_judged(
    client: ApiClient, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish_one(project).delete()
    monkeypatch.setattr(turns, "BUDGET_SECONDS", 0)

    document = client.get("audit").json()

    assert (document["complete"], document["since"], document["days"]) == (False, None, [])


def test_what_took_next_to_no_time_makes_nobody_wait(
    client: ApiClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        turns, "TURN", replace(turns.TURN, rest_factor=0.001)
    )  # this machine may be slow
    assert [client.get("audit").status_code for _ in range(3)] == [200, 200, 200]


def test_a_project_that_takes_long_waits_for_its_next_turn_and_others_do_not(
    client: ApiClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns, "TURN", replace(turns.TURN, rest_factor=1_000_000))
    client.get("audit")

    refused = client.get("audit")

    errors_of(refused, 429)
    assert int(refused["Retry-After"]) > 0
    assert ApiClient(make_project()).get("audit").status_code == 200


def test_one_web_process_counts_for_one_request_at_once(client: ApiClient) -> None:
    with turns._place:
        errors_of(client.get("audit"), 429)
    assert client.get("audit").status_code == 200


def test_an_audit_that_fails_gives_its_place_back(
    client: ApiClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns, "BUDGET_SECONDS", "no number")
    assert client.get("audit").status_code == 500
    monkeypatch.undo()
    assert client.get("audit").status_code == 200


@pytest.mark.postgres
def test_without_a_cache_audits_go_on(
    client: ApiClient,
    settings: Any,
    caplog: pytest.LogCaptureFixture,
) -> None:
    away = {**settings.CACHES["default"], "LOCATION": "redis://127.0.0.1:1/0"}
    settings.CACHES = {"default": away}
    assert [client.get("audit").status_code for _ in range(2)] == [200, 200]
    assert caplog.text.count("cache unreachable, audits") == 1
