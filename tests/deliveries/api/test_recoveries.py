"""Recoveries over REST: asking, asking what it would be, following, pausing; and bad input."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from deliveries.costly_requests import ESTIMATES, turn
from deliveries.models import Delivery, Recovery
from deliveries.recoveries import recovery as recoveries
from subscriptions.models import AuditEntry, Project, Subscription
from tests.api_client import ApiClient, errors_of
from tests.deliveries.recoveries.samples import end, publish_some, run, statuses, switch_off
from tests.factories import make_project, make_subscription

pytestmark = pytest.mark.django_db

SINCE = (timezone.now() - timedelta(days=1)).isoformat()


@pytest.fixture
def project() -> Project:
    return make_project()


@pytest.fixture
def subscription(project: Project) -> Subscription:
    return make_subscription(project=project)


@pytest.fixture
def client(project: Project) -> ApiClient:
    return ApiClient(project)


def public(subscription: Subscription) -> str:
    return f"sub_{subscription.id.hex}"


def body(**members: Any) -> dict[str, Any]:
    return {"kind": "failed", "since": SINCE, **members}


# ---- Asking ---------------------------------------------------------------------------------


def test_a_recovery_is_accepted_and_can_be_followed(
    client: ApiClient, project: Project, subscription: Subscription
) -> None:
    rows = publish_some(project, ["Task.update", "Task.update", "Note.update"])
    end(*rows, last_status_code=500)
    asked = body(
        subscription=public(subscription),
        event_types=["Task.*", "Task.*"],
        outcomes=["http_error"],
        status_class="5xx",
        rate_per_second=100,
    )

    response = client.post("recoveries", asked)

    assert response.status_code == 202, response.content
    answer = response.json()
    assert response["Location"] == f"/api/v1/projects/{project.slug}/recoveries/{answer['id']}"
    assert client.get(response["Location"]).json() == answer
    for name in ("created_at", "until", "since"):
        assert answer.pop(name).endswith("Z")
    recovery = Recovery.objects.get()
    assert answer == {
        "id": f"rcv_{recovery.id.hex}",
        "kind": "failed",
        "subscription": public(subscription),
        "event_types": ["Task.*"],
        "outcomes": ["http_error"],
        "status_class": "5xx",
        "rate_per_second": 100,
        "status": "running",
        "error": None,
        "estimated": 2,
        "recovered": 0,
        "skipped": 0,
        "percent": 0,
        "position": None,
        "finished_at": None,
    }
    run(recovery)
    after = client.get(f"recoveries/{answer['id']}").json()
    assert (after["status"], after["recovered"], after["percent"]) == ("completed", 2, 100)
    assert after["finished_at"].endswith("Z")
    assert after["position"].endswith("Z")
    (entry,) = AuditEntry.objects.filter(action="recovery.created")
    assert (entry.actor_kind, entry.target_id) == ("api_key", answer["id"])
    assert entry.after is not None
    assert entry.after["subscription"] == public(subscription)


def test_progress_is_by_what_was_estimated(client: ApiClient, project: Project) -> None:
    make_subscription(project=project)
    end(*publish_some(project, ["a.b"] * 3))
    identifier = client.post("recoveries", body()).json()["id"]
    Recovery.objects.update(recovered_count=1, skipped_count=1)

    assert client.get(f"recoveries/{identifier}").json()["percent"] == 66
    Recovery.objects.update(recovered_count=9)
    assert client.get(f"recoveries/{identifier}").json()["percent"] == 99


def test_a_dry_run_counts_and_sends_nothing(
    client: ApiClient, project: Project, subscription: Subscription
) -> None:
    rows = publish_some(project, ["a.b"] * 7)
    end(*rows)
    asked = body(subscription=public(subscription), rate_per_second=2, dry_run=True)

    response = client.post("recoveries", asked)

    assert response.status_code == 200, response.content
    answer = response.json()
    assert [row.pop("created_at")[-1] for row in answer["sample"]] == ["Z"] * 5
    assert answer == {
        "count": 7,
        "is_exact": True,
        "skipped": 0,
        "seconds": 4,
        "sample": [
            {
                "delivery": f"dlv_{row.id.hex}",
                "event": f"evt_{row.event_id.hex}",
                "event_type": "a.b",
                "subscription": public(subscription),
            }
            for row in rows[:5]
        ],
    }
    assert not Recovery.objects.exists()
    assert set(statuses(*rows)) == {"failed"}


def test_a_dry_run_of_what_was_missed_names_events(client: ApiClient, project: Project) -> None:
    make_subscription(project=project)
    publish_some(project, ["a.b"])
    late = make_subscription(project=project)
    switch_off(late)
    asked = body(kind="missed", subscription=public(late), dry_run=True)

    answer = client.post("recoveries", asked).json()

    assert answer["count"] == 1
    assert answer["sample"][0]["delivery"] is None
    errors_of(client.post("recoveries", asked | {"dry_run": False}), 409)


def test_what_is_too_much_to_count_is_estimated_and_said_so(
    client: ApiClient, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_subscription(project=project)
    rows = publish_some(project, ["a.b"] * 4)
    end(*rows)
    monkeypatch.setattr(recoveries, "COUNTED_AT_MOST", 2)
    monkeypatch.setattr(recoveries, "_COUNTED_AT_ONCE", 2)

    answer = client.post("recoveries", body(dry_run=True)).json()

    assert answer["is_exact"] is False
    assert answer["count"] >= 2


def test_until_in_the_future_is_now(client: ApiClient) -> None:
    answer = client.post("recoveries", body(until="9000-01-01T00:00:00Z")).json()

    assert answer["until"] <= answer["created_at"]


def test_null_is_as_if_not_given(client: ApiClient) -> None:
    asked = body(subscription=None, rate_per_second=None)
    assert client.post("recoveries", asked).status_code == 202


def test_asking_twice_with_one_key_recovers_once(client: ApiClient) -> None:
    headers = {"Idempotency-Key": "after the outage"}
    first, second = (client.post("recoveries", body(), headers=headers) for _ in range(2))

    assert first.json() == second.json()
    assert Recovery.objects.count() == 1


# ---- Pausing and ending ---------------------------------------------------------------------


def test_a_recovery_is_paused_resumed_and_cancelled(client: ApiClient) -> None:
    path = f"recoveries/{client.post('recoveries', body()).json()['id']}"

    assert client.post(f"{path}/pause").json()["status"] == "paused"
    errors_of(client.post(f"{path}/pause"), 409)
    assert client.post(f"{path}/resume").json()["status"] == "running"
    errors_of(client.post(f"{path}/resume"), 409)
    answer = client.post(f"{path}/cancel", {}).json()
    assert answer["status"] == "cancelled"
    assert answer["finished_at"].endswith("Z")
    for action in ("pause", "resume", "cancel"):
        errors_of(client.post(f"{path}/{action}"), 409)
    assert errors_of(client.post(f"{path}/cancel", {"now": True}), 400) == {"now": "unknown"}


# ---- Lists and tenants ----------------------------------------------------------------------


def test_the_list_is_the_projects_newest_first(client: ApiClient) -> None:
    ApiClient(make_project()).post("recoveries", body())
    ids = [client.post("recoveries", body()).json()["id"] for _ in range(3)]

    first = client.get("recoveries", {"limit": 2}).json()
    second = client.follow(first["next"]).json()

    assert [row["id"] for row in first["results"] + second["results"]] == ids[::-1]
    assert errors_of(client.get("recoveries", {"kind": "failed"}), 400) == {"kind": "unknown"}


@pytest.mark.parametrize("public_id", ["rcv_" + "0" * 32, "x", "sub_" + "0" * 32, "%00", None])
@pytest.mark.parametrize(
    ("method", "rest"),
    [("GET", ""), ("POST", "/pause"), ("POST", "/resume"), ("POST", "/cancel")],
)
def test_an_id_that_is_none_of_the_projects_is_404(
    client: ApiClient, public_id: str | None, method: str, rest: str
) -> None:
    foreign = ApiClient(make_project()).post("recoveries", body()).json()["id"]

    errors_of(client.call(method, f"recoveries/{public_id or foreign}{rest}"), 404)
    assert Recovery.objects.get().status == "running"


def test_another_projects_subscription_is_not_found(client: ApiClient) -> None:
    foreign = make_subscription()
    end(*publish_some(foreign.project))

    for identifier in (public(foreign), "sub_" + "0" * 32):
        response = client.post("recoveries", body(subscription=identifier, dry_run=True))
        assert errors_of(response, 404) == {"subscription": "not_found"}
    assert client.post("recoveries", body(dry_run=True)).json()["count"] == 0
    assert Delivery.objects.get().status == "failed"


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "recoveries"), ("POST", "recoveries/rcv_x/pause"), ("GET", "recoveries")],
)
def test_each_route_wants_its_scope(project: Project, method: str, path: str) -> None:
    scope = "manage" if method == "GET" else "read"
    errors_of(ApiClient(project, [scope]).call(method, path), 403)


# ---- Bad input ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("members", "errors"),
    [
        ({"kind": "lost"}, {"kind": "invalid_choice"}),
        ({"kind": None}, {"kind": "null"}),
        ({"kind": ["failed"]}, {"kind": "invalid_choice"}),
        ({"kind": ...}, {"kind": "required"}),
        ({"since": ...}, {"since": "required"}),
        ({"since": None}, {"since": "null"}),
        ({"since": "yesterday"}, {"since": "invalid"}),
        ({"since": 1769860800}, {"since": "invalid"}),
        ({"since": "9000-01-01T00:00:00Z"}, {"since": "out_of_range"}),
        ({"until": "2020-01-01T00:00:00Z"}, {"until": "reversed"}),
        ({"until": None}, {"until": "null"}),
        ({"subscription": 5}, {"subscription": "invalid"}),
        ({"subscription": "dlv_" + "0" * 32}, {"subscription": "invalid"}),
        ({"kind": "missed"}, {"subscription": "required"}),
        ({"kind": "missed", "subscription": None}, {"subscription": "required"}),
        (
            {"kind": "missed", "outcomes": ["timeout"], "status_class": "5xx"},
            {"subscription": "required", "outcomes": "not_used", "status_class": "not_used"},
        ),
        ({"event_types": []}, {"event_types": "invalid"}),
        ({"event_types": "Task.*"}, {"event_types": "not_a_list"}),
        ({"event_types": ["Task*"]}, {"event_types": "invalid"}),
        ({"event_types": [None]}, {"event_types.0": "null"}),
        ({"event_types": [5]}, {"event_types.0": "invalid"}),
        ({"event_types": ["a.b"] * 101}, {"event_types": "invalid"}),
        ({"event_types": None}, {"event_types": "null"}),
        ({"outcomes": []}, {"outcomes": "empty"}),
        ({"outcomes": ["succeeded"]}, {"outcomes.0": "invalid_choice"}),
        ({"outcomes": "timeout"}, {"outcomes": "not_a_list"}),
        ({"outcomes": ["timeout"] * 99}, {"outcomes": "max_length"}),
        ({"outcomes": [{"a": 1}]}, {"outcomes.0": "invalid_choice"}),
        ({"status_class": "5XX"}, {"status_class": "invalid_choice"}),
        ({"status_class": 500}, {"status_class": "invalid_choice"}),
        ({"rate_per_second": 0}, {"rate_per_second": "min_value"}),
        ({"rate_per_second": 10_001}, {"rate_per_second": "max_value"}),
        ({"rate_per_second": "5"}, {"rate_per_second": "invalid"}),
        ({"rate_per_second": 1.5}, {"rate_per_second": "invalid"}),
        ({"rate_per_second": True}, {"rate_per_second": "invalid"}),
        ({"dry_run": "true"}, {"dry_run": "invalid"}),
        ({"dry_run": None}, {"dry_run": "null"}),
        ({"all": True}, {"all": "unknown"}),
    ],
)
def test_what_means_nothing_is_400_and_nothing_is_stored(
    client: ApiClient, members: dict[str, Any], errors: dict[str, str]
) -> None:
    asked = {name: value for name, value in body(**members).items() if value is not ...}

    assert errors_of(client.post("recoveries", asked), 400) == errors
    assert not Recovery.objects.exists()


@pytest.mark.parametrize("is_dry_run", [True, False])
def test_estimates_take_a_place_and_their_project_s_turn(
    client: ApiClient, project: Project, is_dry_run: bool
) -> None:
    with turn(project, ESTIMATES):
        busy = client.post("recoveries", body(dry_run=is_dry_run))

    assert errors_of(busy, 429) == {"": "busy"}
    assert not Recovery.objects.exists()
