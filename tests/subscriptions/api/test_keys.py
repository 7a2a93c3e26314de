"""API keys: shown once, stored as a digest, good until revoked or expired, within their scopes."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.core import serializers
from django.test import Client
from django.utils import timezone

from subscriptions.access.api_keys import authenticate, make_key
from subscriptions.models import ApiKey
from tests.api_client import ApiClient, errors_of
from tests.factories import make_project

pytestmark = pytest.mark.django_db


def test_a_key_is_recognised_with_its_project_and_scopes() -> None:
    project = make_project()
    made, plain = make_key(project, ["publish"], name="Till")

    key = authenticate(plain)

    assert key == made
    assert key.project == project
    assert key.scopes == ["publish"]
    assert plain.startswith(key.prefix)
    assert len(plain) >= len("whd_") + 43  # 32 random bytes


def test_only_the_digest_of_a_key_is_stored() -> None:
    _, plain = make_key(make_project())

    stored = serializers.serialize("json", ApiKey.objects.all())

    assert plain not in stored
    assert plain[16:] not in stored


def test_a_key_with_an_unknown_scope_is_not_made() -> None:
    with pytest.raises(ValueError, match="admin"):
        make_key(make_project(), ["publish", "admin"])


def test_a_revoked_key_is_refused_at_once() -> None:
    client = ApiClient(make_project())
    assert client.get("subscriptions").status_code == 200

    ApiKey.objects.filter(pk=client.key.pk).update(revoked_at=timezone.now())

    errors_of(client.get("subscriptions"), 401)


def test_a_key_is_good_until_it_expires() -> None:
    client = ApiClient(make_project())
    keys = ApiKey.objects.filter(pk=client.key.pk)

    keys.update(expires_at=timezone.now() + timedelta(minutes=1))
    assert client.get("subscriptions").status_code == 200
    keys.update(expires_at=timezone.now() - timedelta(seconds=1))
    errors_of(client.get("subscriptions"), 401)


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        "Bearer nonsense",
        "Bearer whd_" + "x" * 43,
        "Bearer " + "x" * 100_000,
        "Bearer \u00fc\u00fc",
        "Basic {key}",
        "{key}",
        "Bearer {key}x",
    ],
)
def test_without_a_good_key_the_answer_is_401_with_a_challenge(authorization: str | None) -> None:
    project = make_project()
    _, plain = make_key(project)
    headers = {} if authorization is None else {"Authorization": authorization.format(key=plain)}

    response = Client().get(f"/api/v1/projects/{project.slug}/subscriptions", headers=headers)

    errors_of(response, 401)
    assert response["WWW-Authenticate"].startswith("Bearer ")


def test_the_scheme_is_read_in_any_case() -> None:
    client = ApiClient(make_project())

    response = client.call(
        "GET", "subscriptions", headers={"Authorization": f"bEARER  {client.plain_key}"}
    )

    assert response.status_code == 200


ROUTES = [
    ("POST", "events", "publish"),
    ("GET", "subscriptions", "read"),
    ("POST", "subscriptions", "manage"),
    ("GET", "subscriptions/sub_x", "read"),
    ("PATCH", "subscriptions/sub_x", "manage"),
    ("DELETE", "subscriptions/sub_x", "manage"),
    ("GET", "subscriptions/sub_x/secret", "manage"),
    ("POST", "subscriptions/sub_x/test", "manage"),
    ("GET", "deliveries", "read"),
    ("GET", "deliveries/dlv_x", "read"),
    ("POST", "deliveries/dlv_x/redeliver", "manage"),
]


@pytest.mark.parametrize(("method", "path", "scope"), ROUTES)
def test_each_route_needs_its_scope_and_no_other(method: str, path: str, scope: str) -> None:
    project = make_project()
    others = {"publish", "read", "manage"} - {scope}

    refused = ApiClient(project, others).call(method, path, {})
    allowed = ApiClient(project, [scope]).call(method, path, {})

    errors_of(refused, 403)
    assert f"'{scope}'" in refused.json()["detail"]
    assert allowed.status_code in {200, 400, 404}


def test_reading_needs_the_same_scope_without_the_body() -> None:
    project = make_project()

    assert ApiClient(project, ["read"]).call("HEAD", "subscriptions").status_code == 200
    assert ApiClient(project, ["publish"]).call("HEAD", "subscriptions").status_code == 403


def test_the_last_use_is_written_once_a_minute_at_most(django_assert_num_queries: Any) -> None:
    key, plain = make_key(make_project())
    keys = ApiKey.objects.filter(pk=key.pk)
    authenticate(plain)
    first_use = keys.get().last_used_at
    assert first_use is not None

    with django_assert_num_queries(1):
        authenticate(plain)
    assert keys.get().last_used_at == first_use

    long_ago = timezone.now() - timedelta(seconds=61)
    keys.update(last_used_at=long_ago)
    authenticate(plain)
    renewed = keys.get().last_used_at
    assert renewed is not None
    assert renewed > long_ago + timedelta(seconds=30)
