"""The list of secrets that sign: enough to tell them apart, and nothing that signs."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from subscriptions.models import AuditEntry, SigningSecret
from subscriptions.secrets.secret_rotation import rotate
from tests.api_client import ApiClient, errors_of
from tests.factories import make_project, make_subscription

pytestmark = pytest.mark.django_db


def test_it_shows_ends_and_times_but_no_secret() -> None:
    subscription = make_subscription()
    path = f"subscriptions/sub_{subscription.id.hex}"
    reader = ApiClient(subscription.project, ["read"])
    before = reader.get(path).json()["secret_hint"]
    new = rotate(subscription, overlap_hours=2).secret
    entries = AuditEntry.objects.count()

    response = reader.get(f"{path}/secrets")

    newest, older = response.json()["results"]
    assert set(newest) == {"hint", "created_at", "expires_at"}
    assert (newest["hint"], newest["expires_at"]) == (f"…{new[-4:]}", None)
    assert older["hint"] == before
    assert older["expires_at"] > older["created_at"]
    assert new not in response.content.decode()
    assert AuditEntry.objects.count() == entries


def test_what_signs_no_more_is_not_listed() -> None:
    subscription = make_subscription()
    rotate(subscription)
    SigningSecret.objects.exclude(expires_at=None).update(
        expires_at=timezone.now() - timedelta(seconds=1)
    )

    listed = ApiClient(subscription.project).get(f"subscriptions/sub_{subscription.id.hex}/secrets")

    assert len(listed.json()["results"]) == 1


def test_the_default_secret_has_a_list_of_its_own() -> None:
    project = make_project()
    client = ApiClient(project)
    assert client.get("secrets").json() == {"results": []}
    rotate(project)

    assert len(client.get("secrets").json()["results"]) == 1

    subscription = make_subscription(project=project, uses_default_secret=True)
    assert errors_of(client.get(f"subscriptions/sub_{subscription.id.hex}/secrets"), 409) == {}


def test_it_needs_the_scope_read_and_the_project_s_own_key() -> None:
    subscription = make_subscription()
    path = f"subscriptions/sub_{subscription.id.hex}/secrets"

    errors_of(ApiClient(subscription.project, ["publish"]).get(path), 403)
    errors_of(ApiClient(make_project()).get(path), 404)
