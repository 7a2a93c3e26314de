"""The route of the audit log: its own project's entries, filtered, in pages."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from subscriptions.access.audit_log import Action, Target, record, target_of
from tests.api_client import ApiClient, errors_of
from tests.factories import make_project

pytestmark = pytest.mark.django_db


@pytest.fixture
def client_of_project() -> ApiClient:
    """A project with one entry, that of the key."""
    return ApiClient(make_project())


def listed(client: ApiClient, **query: Any) -> list[dict[str, Any]]:
    response = client.get("audit-log", query)
    assert response.status_code == 200, response.content
    assert "no-store" in response["Cache-Control"]
    results: list[dict[str, Any]] = response.json()["results"]
    return results


def test_an_entry_says_who_did_what_to_what_when_and_from_where(
    client_of_project: ApiClient,
) -> None:
    response = client_of_project.post("secret/rotate", headers={"X-Request-Id": "from-the-proxy"})
    entry, made = listed(client_of_project)

    assert list(entry) == ["id", "at", "action", "actor", "target", "before", "after", "address",
                           "request_id"]  # fmt: skip
    assert entry["id"].startswith("aud_")
    assert entry["at"].endswith("Z")
    assert entry["action"] == "secret.rotated"
    assert entry["actor"] == {"kind": "api_key", "id": client_of_project.key.prefix, "label": ""}
    assert entry["target"] == {"kind": "project", "id": client_of_project.project.slug}
    assert (entry["before"], entry["after"]["overlap_hours"]) == ({"hint": None}, 24)
    assert entry["address"] == "127.0.0.1"
    assert entry["request_id"] == response["X-Request-Id"] == "from-the-proxy"
    assert (made["action"], made["actor"]["kind"]) == ("api_key.created", "system")
    assert (made["address"], made["request_id"]) == (None, None)


def test_another_project_s_entries_and_the_installation_s_are_not_there(
    client_of_project: ApiClient,
) -> None:
    ApiClient(make_project())
    record(Action.USER_LOGGED_IN, Target("user", "1", None))
    assert len(listed(client_of_project)) == 1


def test_filters_keep_what_they_name(client_of_project: ApiClient) -> None:
    client_of_project.post("secret/rotate")
    client_of_project.get("secret")
    slug, key = client_of_project.project.slug, client_of_project.key.prefix
    now = timezone.now()
    recent, later = (now - timedelta(hours=1)).isoformat(), (now + timedelta(hours=1)).isoformat()

    def actions(**query: str) -> list[str]:
        return [entry["action"].partition(".")[2] for entry in listed(client_of_project, **query)]

    assert actions() == ["revealed", "rotated", "created"]
    assert actions(action="secret.revealed") == ["revealed"]
    assert actions(actor=key) == ["revealed", "rotated"]
    assert actions(actor="system") == ["created"]
    assert actions(target=slug) == ["revealed", "rotated"]
    assert actions(target=key) == ["created"]
    assert actions(since=recent, until=later) == actions()
    assert actions(since=later) == actions(until=recent) == []
    assert actions(actor=key, action="api_key.created") == []


@pytest.mark.parametrize(
    ("query", "errors"),
    [
        ({"action": "secret"}, {"action": "invalid_choice"}),
        ({"since": "yesterday"}, {"since": "invalid"}),
        ({"since": "2026-02-01T00:00:00Z", "until": "2026-01-01T00:00:00Z"}, {"until": "reversed"}),
        ({"project": "other"}, {"project": "unknown"}),
    ],
)
def test_filters_that_make_no_sense_are_refused(
    client_of_project: ApiClient, query: dict[str, str], errors: dict[str, str]
) -> None:
    assert errors_of(client_of_project.get("audit-log", query), 400) == errors


def test_pages_follow_one_another(client_of_project: ApiClient) -> None:
    for _ in range(4):
        record(Action.PROJECT_CHANGED, target_of(client_of_project.project))
    page = client_of_project.get("audit-log", {"limit": 3}).json()
    rest = client_of_project.follow(page["next"]).json()
    assert [len(page["results"]), len(rest["results"])] == [3, 2]
    assert rest["next"] is None


def test_reading_it_takes_the_scope_manage_and_nothing_changes_it() -> None:
    assert ApiClient(make_project(), ["read", "publish"]).get("audit-log").status_code == 403
    client = ApiClient(make_project())
    for method in ("POST", "PATCH", "DELETE"):
        assert client.call(method, "audit-log").status_code == 405
