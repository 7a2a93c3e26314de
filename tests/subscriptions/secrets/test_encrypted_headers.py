"""Values of custom headers may be credentials: encrypted at rest, masked wherever shown."""

from __future__ import annotations

from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.contrib.auth import get_user_model
from django.core import serializers
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.test import Client

from subscriptions.custom_headers import mask, masked, unmasked
from subscriptions.models import AuditEntry, Subscription
from subscriptions.secrets.encrypted_fields import UnreadableHeaders
from tests.api_client import ApiClient, errors_of
from tests.factories import make_project, make_subscription

VALUE = "Bearer 0123456789abcdef"
HEADERS = {"Authorization": VALUE, "X-Team": "billing"}
SHOWN = {"Authorization": "…cdef", "X-Team": "…"}


def raw() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT custom_headers FROM subscriptions_subscription")
        (value,) = cursor.fetchone()
    return str(value)


def test_a_mask_shows_the_end_of_what_is_long_enough() -> None:
    assert [mask(value) for value in ("x", "billing-123", "billing-1234")] == ["…", "…", "…1234"]
    assert masked(HEADERS) == SHOWN


def test_only_a_mask_given_back_under_its_name_stands_for_the_value() -> None:
    given = {"Authorization": "…cdef", "X-Other": "…cdef", "X-Team": "…ling"}
    assert unmasked(given, HEADERS) == {**given, "Authorization": VALUE}
    assert unmasked(None, HEADERS) is None


@pytest.mark.django_db
def test_headers_are_stored_as_one_token_and_none_as_nothing() -> None:
    make_subscription(custom_headers=HEADERS)
    assert raw().startswith("gAAAA")
    assert Subscription.objects.get().custom_headers == HEADERS
    Subscription.objects.update(custom_headers={})
    assert raw() == ""
    assert Subscription.objects.get().custom_headers == {}


@pytest.mark.django_db
def test_the_api_answers_masks_and_takes_them_back() -> None:
    client = ApiClient(make_project())
    subscription = make_subscription(project=client.project, custom_headers=HEADERS)
    path = f"subscriptions/sub_{subscription.id.hex}"
    assert client.get(path).json()["custom_headers"] == SHOWN

    kept = {**SHOWN, "X-Team": "ops", "X-New": "1"}
    assert client.patch(path, {"custom_headers": kept}).json()["custom_headers"] == {
        "Authorization": "…cdef",
        "X-Team": "…",
        "X-New": "…",
    }
    stored = Subscription.objects.get().custom_headers
    assert stored == {"Authorization": VALUE, "X-Team": "ops", "X-New": "1"}
    entry = AuditEntry.objects.get(action="subscription.changed")
    shown = {"Authorization": "…cdef", "X-Team": "…", "X-New": "…"}
    assert entry.after == {"custom_headers": shown}

    assert client.patch(path, {"custom_headers": {"X-New": "1"}}).status_code == 200
    assert Subscription.objects.get().custom_headers == {"X-New": "1"}


@pytest.mark.django_db
@pytest.mark.parametrize("wrong", [{"Authorization": "…abcd"}, {"X-Other": "…cdef"}])
def test_a_mask_of_nothing_stored_is_refused(wrong: dict[str, str]) -> None:
    client = ApiClient(make_project())
    subscription = make_subscription(project=client.project, custom_headers=HEADERS)
    refused = client.patch(f"subscriptions/sub_{subscription.id.hex}", {"custom_headers": wrong})
    assert errors_of(refused, 400) == {"custom_headers": "invalid"}
    assert "mask" in refused.content.decode()
    assert Subscription.objects.get().custom_headers == HEADERS


@pytest.mark.django_db
def test_the_admin_shows_masks_and_saving_them_keeps_the_values() -> None:
    subscription = make_subscription(url="http://receiver.example/", custom_headers=HEADERS)
    client = Client()
    client.force_login(get_user_model().objects.create_superuser("operator"))
    page = f"/admin/subscriptions/subscription/{subscription.id}/change/"
    shown = client.get(page)
    assert VALUE not in shown.content.decode()
    assert "Authorization: …cdef\nX-Team: …" in shown.content.decode()

    posted = {
        "url": subscription.url,
        "event_types": "*",
        "wire_format": "standard",
        "signature_schemes": ["standard"],
        "custom_headers": "Authorization: …cdef\nX-Team: …\nX-New: 1",
        "signing_secrets-TOTAL_FORMS": 0,
        "signing_secrets-INITIAL_FORMS": 0,
    }
    assert client.post(page, posted).status_code == 302
    assert Subscription.objects.get().custom_headers == {**HEADERS, "X-New": "1"}


@pytest.mark.django_db
def test_headers_of_a_lost_key_hide_nothing_else_and_survive_a_change(settings: Any) -> None:
    client = ApiClient(make_project())
    subscription = make_subscription(project=client.project, custom_headers=HEADERS)
    right, token = settings.DISPATCHER_ENCRYPTION_KEYS, raw()
    settings.DISPATCHER_ENCRYPTION_KEYS = (Fernet.generate_key().decode(),)

    answer = client.get(f"subscriptions/sub_{subscription.id.hex}").json()
    assert answer["custom_headers"] is None
    assert answer["url"] == subscription.url
    row = Subscription.objects.get()
    assert isinstance(row.custom_headers, UnreadableHeaders)
    row.save()

    assert raw() == token
    settings.DISPATCHER_ENCRYPTION_KEYS = right
    assert Subscription.objects.get().custom_headers == HEADERS


@pytest.mark.django_db
def test_a_dump_by_django_holds_the_token_and_loads_again() -> None:
    make_subscription(custom_headers=HEADERS)
    dump = serializers.serialize("json", Subscription.objects.all())
    assert VALUE not in dump
    assert "billing" not in dump
    (loaded,) = serializers.deserialize("json", dump)
    assert loaded.object.custom_headers == HEADERS  # type: ignore[attr-defined]  # a subscription


@pytest.mark.django_db(transaction=True)
def test_headers_of_before_are_encrypted_by_the_migration_and_it_can_be_undone() -> None:
    make_subscription(custom_headers=HEADERS)
    migrate(("subscriptions", "0003_subscription_repsona_fields"))
    try:
        assert "billing" in raw()
    finally:
        # Of all apps: what builds on the migration was undone with it.
        migrate(*MigrationExecutor(connection).loader.graph.leaf_nodes())
    assert raw().startswith("gAAAA")
    assert Subscription.objects.get().custom_headers == HEADERS


def migrate(*targets: tuple[str, str]) -> None:
    MigrationExecutor(connection).migrate(list(targets))
