"""API keys over the API: made, listed, named, revoked by who holds a key with the scope `own`."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from subscriptions.access.api_keys import ALL_SCOPES, authenticate, make_key
from subscriptions.field_errors import FieldsRefused
from subscriptions.models import ApiKey, AuditEntry, IdempotentRequest, Project
from tests.api_client import ApiClient, OperatorClient, errors_of
from tests.factories import make_project

pytestmark = pytest.mark.django_db

FUTURE = "2100-01-31T00:00:00Z"


@pytest.fixture
def owner() -> ApiClient:
    return ApiClient(make_project(), ["own"])


def path_of(key: ApiKey) -> str:
    return f"keys/key_{key.public_id.hex}"


def test_a_new_key_is_told_once_and_works(owner: ApiClient) -> None:
    wanted = {"name": "Shop", "scopes": ["read", "publish"], "expires_at": FUTURE}
    made = owner.post("keys", wanted)

    assert made.status_code == 201
    assert "no-store" in made["Cache-Control"]
    plain = made.json()["key"]
    key = authenticate(plain)
    assert key is not None
    assert (key.project, key.name, key.scopes) == (owner.project, "Shop", ["publish", "read"])
    shown = owner.get(made["Location"])
    assert shown.json().keys() == made.json().keys() - {"key"}
    assert shown.json()["expires_at"] == FUTURE
    assert shown.json()["id"] == f"key_{key.public_id.hex}"
    assert plain not in owner.get("keys").content.decode()
    entry = AuditEntry.objects.filter(action="api_key.created").latest("id")
    assert entry.target_id == key.prefix
    assert entry.actor_id == owner.key.prefix
    assert plain not in str([entry.before, entry.after])


def test_a_repeated_creation_tells_the_same_key_and_keeps_it_encrypted(owner: ApiClient) -> None:
    headers = {"Idempotency-Key": "shop-key"}
    first = owner.post("keys", {"scopes": ["publish"]}, headers=headers)
    again = owner.post("keys", {"scopes": ["publish"]}, headers=headers)

    assert again.json() == first.json()
    assert "no-store" in again["Cache-Control"]
    assert first.json()["key"] not in IdempotentRequest.objects.get().answer
    assert ApiKey.objects.count() == 2


@pytest.mark.parametrize(
    ("bad", "errors"),
    [
        ({"scopes": None}, {"scopes": "null"}),
        ({"scopes": []}, {"scopes": "empty"}),
        ({"scopes": "publish"}, {"scopes": "not_a_list"}),
        ({"scopes": ["admin"]}, {"scopes.0": "invalid_choice"}),
        ({"scopes": ["read", "operate"]}, {"scopes.1": "invalid_choice"}),
        ({"scopes": [["read"]]}, {"scopes.0": "invalid_choice"}),
        ({"scopes": [None]}, {"scopes.0": "null"}),
        ({"name": "x" * 201}, {"name": "invalid"}),
        ({"name": "a\tb"}, {"name": "not_printable"}),
        ({"name": "a\0b"}, {"": "nul_character"}),
        ({"name": None}, {"name": "null"}),
        ({"name": ["x"]}, {"name": "invalid"}),
        ({"expires_at": "2020-01-01T00:00:00Z"}, {"expires_at": "past"}),
        ({"expires_at": "2100-01-01"}, {"expires_at": "invalid"}),
        ({"expires_at": "9999-12-31T00:00:00Z"}, {"expires_at": "out_of_range"}),
        ({"expires_at": 4102444800}, {"expires_at": "invalid"}),
        ({"project": "other"}, {"project": "unknown"}),
        ({"revoked_at": None}, {"revoked_at": "read_only"}),
        ({"key": "whd_mine"}, {"key": "unknown"}),
    ],
)
def test_a_bad_setting_is_refused_by_name_and_no_key_is_made(
    owner: ApiClient, bad: dict[str, Any], errors: dict[str, str]
) -> None:
    assert errors_of(owner.post("keys", {"scopes": ["read"], **bad}), 400) == errors
    assert ApiKey.objects.get() == owner.key


def test_scopes_must_be_said(owner: ApiClient) -> None:
    assert errors_of(owner.post("keys", {}), 400) == {"scopes": "required"}


@pytest.mark.parametrize("is_operators", [False, True])
def test_nobody_grants_a_project_s_key_the_scope_to_operate(is_operators: bool) -> None:
    project = make_project()
    client = OperatorClient(project) if is_operators else ApiClient(project)
    assert client.post("keys", {"scopes": list(ALL_SCOPES)}).status_code == 201
    refused = client.post("keys", {"scopes": ["operate"]})
    assert errors_of(refused, 400) == {"scopes.0": "invalid_choice"}


def test_the_list_has_keys_that_have_ended_and_only_the_project_s(owner: ApiClient) -> None:
    OperatorClient()
    ApiClient(make_project())
    revoked, _ = make_key(owner.project, ["read"], name="revoked")
    owner.delete(path_of(revoked))
    expired, _ = make_key(owner.project, ["read"], name="expired")
    ApiKey.objects.filter(pk=expired.pk).update(expires_at=timezone.now() - timedelta(days=1))

    listed = owner.get("keys").json()["results"]

    assert [row["name"] for row in listed] == ["expired", "revoked", ""]
    assert listed[1]["revoked_at"]
    assert listed[2]["last_used_at"]


def test_the_list_comes_in_pages(owner: ApiClient) -> None:
    made = [make_key(owner.project, ["read"])[0].prefix for _ in range(3)]
    first = owner.get("keys", {"limit": 2}).json()
    second = owner.follow(first["next"]).json()
    prefixes = [row["prefix"] for page in (first, second) for row in page["results"]]
    assert prefixes == [*reversed(made), owner.key.prefix]


def test_name_and_expiry_can_be_changed(owner: ApiClient) -> None:
    key, plain = make_key(owner.project, ["read"], name="before")

    changed = owner.patch(path_of(key), {"name": "after", "expires_at": FUTURE})

    assert changed.status_code == 200
    assert (changed.json()["name"], changed.json()["expires_at"]) == ("after", FUTURE)
    assert changed["ETag"] == owner.get(path_of(key))["ETag"]
    assert authenticate(plain)
    entry = AuditEntry.objects.get(action="api_key.changed")
    assert entry.before == {"name": "before", "expires_at": None}
    forever = owner.patch(path_of(key), {"expires_at": None})
    assert (forever.json()["name"], forever.json()["expires_at"]) == ("after", None)


@pytest.mark.parametrize(
    ("bad", "errors"),
    [
        ({"scopes": ["own"]}, {"scopes": "not_changeable"}),
        ({"expires_at": "2020-01-01T00:00:00Z"}, {"expires_at": "past"}),
        ({"name": "a\nb"}, {"name": "not_printable"}),
        ({"prefix": "whd_"}, {"prefix": "read_only"}),
        ({"id": "key_x"}, {"id": "read_only"}),
    ],
)
def test_what_stays_is_refused_by_name(
    owner: ApiClient, bad: dict[str, Any], errors: dict[str, str]
) -> None:
    key, _ = make_key(owner.project, ["read"], name="before")
    assert errors_of(owner.patch(path_of(key), {"name": "after", **bad}), 400) == errors
    key.refresh_from_db()
    assert (key.name, key.scopes, key.expires_at) == ("before", ["read"], None)


def test_what_has_ended_is_not_revived(owner: ApiClient) -> None:
    revoked, _ = make_key(owner.project, ["read"])
    owner.delete(path_of(revoked))
    expired, plain = make_key(owner.project, ["read"])
    ApiKey.objects.filter(pk=expired.pk).update(expires_at=timezone.now() - timedelta(days=1))

    for key in (revoked, expired):
        errors_of(owner.patch(path_of(key), {"expires_at": None}), 409)
    assert authenticate(plain) is None


def test_a_revoked_key_is_refused_at_once_and_stays_revoked(owner: ApiClient) -> None:
    other = ApiClient(owner.project, ["read"])
    assert owner.delete(path_of(other.key)).status_code == 204
    errors_of(other.get("subscriptions"), 401)
    revoked_at = owner.get(path_of(other.key)).json()["revoked_at"]
    assert owner.delete(path_of(other.key)).status_code == 204
    assert owner.get(path_of(other.key)).json()["revoked_at"] == revoked_at
    assert AuditEntry.objects.filter(action="api_key.revoked").count() == 1


def test_a_key_can_revoke_itself(owner: ApiClient) -> None:
    assert owner.delete(path_of(owner.key)).status_code == 204
    errors_of(owner.get("keys"), 401)


def test_a_change_of_something_else_than_was_read_is_refused(owner: ApiClient) -> None:
    key, plain = make_key(owner.project, ["read"])
    stale = {"If-Match": owner.get(path_of(key))["ETag"]}
    owner.patch(path_of(key), {"name": "changed"})
    assert owner.call("PATCH", path_of(key), {"name": "B"}, headers=stale).status_code == 412
    assert owner.call("DELETE", path_of(key), headers=stale).status_code == 412
    assert authenticate(plain)


def test_keys_of_others_are_not_found(owner: ApiClient) -> None:
    foreign, _ = make_key(make_project(), ["read"])
    operators, _ = make_key(None, ["read"])
    for key in (foreign, operators):
        errors_of(owner.get(path_of(key)), 404)
        errors_of(owner.patch(path_of(key), {"name": "mine"}), 404)
        errors_of(owner.delete(path_of(key)), 404)
    assert not ApiKey.objects.exclude(revoked_at=None).exists()


@pytest.mark.parametrize("identifier", ["key_x", "whd_abc", "1", "sub_" + "0" * 32, "%00", "key_"])
def test_what_is_no_id_is_not_found(owner: ApiClient, identifier: str) -> None:
    errors_of(owner.get(f"keys/{identifier}"), 404)


def test_a_project_has_a_hundred_live_keys_at_most(owner: ApiClient) -> None:
    made = [make_key(owner.project, ["read"])[0] for _ in range(99)]

    assert errors_of(owner.post("keys", {"scopes": ["read"]}), 400) == {"": "limit_reached"}

    assert ApiKey.objects.count() == 100
    ApiKey.objects.filter(pk=made[0].pk).update(expires_at=timezone.now() - timedelta(days=1))
    assert owner.post("keys", {"scopes": ["read"]}).status_code == 201
    errors_of(owner.post("keys", {"scopes": ["read"]}), 400)
    owner.delete(path_of(made[1]))
    assert owner.post("keys", {"scopes": ["read"]}).status_code == 201
    make_key(None)
    ApiClient(make_project())


@pytest.mark.django_db(transaction=True)
def test_keys_made_at_once_are_not_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("subscriptions.access.api_keys.KEYS_PER_PROJECT", 3)
    with ThreadPoolExecutor(6) as threads:
        made = list(threads.map(makes_one, [make_project()] * 12))
    assert sum(made) == ApiKey.objects.count() == 3


def makes_one(project: Project) -> bool:
    try:
        make_key(project)
    except FieldsRefused:
        return False
    finally:
        connection.close()
    return True
