"""The routes that reveal and rotate signing secrets, and the choice of the default one."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from subscriptions.models import SigningSecret, Subscription
from tests.api_client import ApiClient, errors_of
from tests.factories import make_project, make_subscription

pytestmark = pytest.mark.django_db

RECEIVER = "http://receiver.example/inbox"


@pytest.fixture
def client_of_project() -> ApiClient:
    return ApiClient(make_project())


def create(client: ApiClient, **members: Any) -> Any:
    body = {"url": RECEIVER, "event_types": ["*"]} | members
    response = client.post("subscriptions", body)
    assert response.status_code == 201, response.content
    return response.json()


def test_revealing_is_logged_without_the_secret(
    client_of_project: ApiClient, caplog: pytest.LogCaptureFixture
) -> None:
    created = create(client_of_project)

    with caplog.at_level(logging.INFO, "subscriptions"):
        response = client_of_project.get(f"subscriptions/{created['id']}/secret")

    assert response.json()["secret"] == created["secret"]
    assert response.json()["previous"] is None
    assert "no-store" in response["Cache-Control"]
    assert created["id"] in caplog.text
    assert created["secret"] not in caplog.text


def test_a_rotation_answers_with_the_new_secret_and_what_is_left_of_the_old(
    client_of_project: ApiClient,
) -> None:
    created = create(client_of_project)
    path = f"subscriptions/{created['id']}"

    rotated = client_of_project.post(f"{path}/secret/rotate", {"overlap_hours": 48})

    assert rotated.status_code == 200
    assert "no-store" in rotated["Cache-Control"]
    state = rotated.json()
    assert set(state) == {"secret", "created_at", "previous"}
    assert state["previous"]["hint"] == created["secret_hint"]
    assert client_of_project.get(f"{path}/secret").json() == state
    assert client_of_project.get(path).json()["secret_hint"] == f"…{state['secret'][-4:]}"
    conflict = client_of_project.post(f"{path}/secret/rotate")
    assert errors_of(conflict, 409) == {}
    assert "expire" in conflict.json()["detail"]

    expired = client_of_project.post(f"{path}/secret/expire")

    assert expired.json() == {**state, "previous": None}
    assert SigningSecret.objects.count() == 1


@pytest.mark.parametrize(
    ("body", "errors"),
    [
        ({"overlap_hours": -1}, {"overlap_hours": "min_value"}),
        ({"overlap_hours": 169}, {"overlap_hours": "max_value"}),
        ({"overlap_hours": "24"}, {"overlap_hours": "invalid"}),
        ({"overlap_hours": True}, {"overlap_hours": "invalid"}),
        ({"overlap_hours": 1.5}, {"overlap_hours": "invalid"}),
        ({"overlap_hours": None}, {"overlap_hours": "null"}),
        ({"secret": 5}, {"secret": "invalid"}),
        ({"secret": "too plain for standard"}, {"secret": "invalid"}),
        ({"hours": 1}, {"hours": "unknown"}),
        ([], {"": "invalid"}),
    ],
)
def test_a_wrong_rotation_changes_nothing(
    client_of_project: ApiClient, body: object, errors: dict[str, str]
) -> None:
    created = create(client_of_project)
    path = f"subscriptions/{created['id']}/secret"

    assert errors_of(client_of_project.post(f"{path}/rotate", body), 400) == errors

    state = client_of_project.get(path).json()
    assert (state["secret"], state["previous"]) == (created["secret"], None)


@pytest.mark.parametrize("path", ["secret", "secret/rotate", "secret/expire"])
@pytest.mark.parametrize("scope", ["read", "publish"])
def test_secrets_need_the_scope_manage(path: str, scope: str) -> None:
    subscription = make_subscription()
    client = ApiClient(subscription.project, [scope])
    method = "GET" if path == "secret" else "POST"

    for base in ("", f"subscriptions/sub_{subscription.id.hex}/"):
        errors_of(client.call(method, base + path), 403)


@pytest.mark.parametrize("path", ["secret", "secret/rotate", "secret/expire"])
def test_another_projects_secrets_are_not_found(client_of_project: ApiClient, path: str) -> None:
    foreign = make_subscription()
    method = "GET" if path == "secret" else "POST"

    errors_of(client_of_project.call(method, f"subscriptions/sub_{foreign.id.hex}/{path}"), 404)
    elsewhere = f"/api/v1/projects/{foreign.project.slug}/{path}"
    errors_of(client_of_project.call(method, elsewhere), 404)
    assert SigningSecret.objects.count() == 1


# ---- The project's default secret -----------------------------------------------------------


def test_the_first_rotation_makes_the_default_secret(client_of_project: ApiClient) -> None:
    missing = client_of_project.get("secret")
    assert errors_of(missing, 404) == {}
    assert "rotating makes one" in missing.json()["detail"]
    errors_of(client_of_project.post("secret/expire"), 404)

    made = client_of_project.post("secret/rotate", {"secret": "a verification token"})

    assert made.json()["secret"] == "a verification token"
    assert client_of_project.get("secret").json() == made.json()


def test_a_subscription_may_sign_with_the_default_secret(client_of_project: ApiClient) -> None:
    client_of_project.post("secret/rotate", {"secret": "a verification token"})

    created = create(client_of_project, wire_format="phrase", uses_default_secret=True)

    assert created["secret"] is None
    assert created["secret_hint"] == "…oken"
    path = f"subscriptions/{created['id']}"
    for method, name in [("GET", ""), ("POST", "/rotate"), ("POST", "/expire")]:
        errors_of(client_of_project.call(method, f"{path}/secret{name}"), 409)
    listed = client_of_project.get("subscriptions").json()["results"]
    assert [row["secret_hint"] for row in listed] == ["…oken"]

    back = client_of_project.patch(path, {"uses_default_secret": False})

    own = client_of_project.get(f"{path}/secret").json()["secret"]
    assert back.json()["secret_hint"] == f"…{own[-4:]}"
    assert own.startswith("whsec_")


def test_the_default_secret_must_exist_and_suit(client_of_project: ApiClient) -> None:
    wanted = {"url": RECEIVER, "event_types": ["*"], "uses_default_secret": True}

    missing = client_of_project.post("subscriptions", wanted)
    assert errors_of(missing, 400) == {"uses_default_secret": "unavailable"}
    client_of_project.post("secret/rotate", {"secret": "a verification token"})
    unsuitable = client_of_project.post("subscriptions", wanted)
    assert errors_of(unsuitable, 400) == {"signature_schemes": "unsuitable"}
    both = client_of_project.post("subscriptions", {**wanted, "secret": "my own secret"})
    assert errors_of(both, 400) == {"secret": "not_used"}
    not_a_flag = client_of_project.post("subscriptions", {**wanted, "uses_default_secret": 1})
    assert errors_of(not_a_flag, 400) == {"uses_default_secret": "invalid"}
    assert not Subscription.objects.exists()


def test_choosing_the_default_secret_later_is_checked_as_well(client_of_project: ApiClient) -> None:
    created = create(client_of_project)
    path = f"subscriptions/{created['id']}"
    client_of_project.post("secret/rotate", {"secret": "a verification token"})

    refused = client_of_project.patch(path, {"uses_default_secret": True, "description": "new"})

    assert errors_of(refused, 400) == {"signature_schemes": "unsuitable"}
    shown = client_of_project.get(path).json()
    assert (shown["uses_default_secret"], shown["description"]) == (False, "")
    both = {"uses_default_secret": True, "wire_format": "github"}
    assert client_of_project.patch(path, both).json()["secret_hint"] == "…oken"


# ---- The option of the repsona format -------------------------------------------------------


def test_repsona_fields_are_an_option_of_that_format_only(client_of_project: ApiClient) -> None:
    wanted = {"url": RECEIVER, "event_types": ["*"], "repsona_fields": True}
    refused = client_of_project.post("subscriptions", wanted)
    assert errors_of(refused, 400) == {"repsona_fields": "unsuitable"}

    created = create(client_of_project, wire_format="repsona", repsona_fields=True)

    assert created["repsona_fields"] is True
    path = f"subscriptions/{created['id']}"
    changed = client_of_project.patch(path, {"description": "new"})
    assert changed.json()["repsona_fields"] is True
    changed = client_of_project.patch(path, {"wire_format": "standard"})
    assert changed.json()["repsona_fields"] is False
    refused = client_of_project.patch(path, {"repsona_fields": True})
    assert errors_of(refused, 400) == {"repsona_fields": "unsuitable"}
