"""Creating, changing and deleting subscriptions, for whoever asks: API, forms, admin."""

from __future__ import annotations

import pytest

from subscriptions.field_errors import FieldsRefused
from subscriptions.models import Subscription
from subscriptions.secrets.signing_secrets import reveal_newest
from subscriptions.subscription_changes import (
    SubscriptionGone,
    change_subscription,
    create_subscription,
    delete_subscription,
)
from subscriptions.subscription_settings import Settings
from tests.factories import make_project, make_subscription

pytestmark = pytest.mark.django_db


def refused(settings: dict[str, object]) -> dict[str, str]:
    with pytest.raises(FieldsRefused) as caught:
        create_subscription(make_project(), settings)  # type: ignore[arg-type]  # on purpose
    assert not Subscription.objects.exists()
    return {error.field: error.code for error in caught.value.errors}


def test_what_is_created_can_be_signed_with_the_secret_that_is_returned() -> None:
    created = create_subscription(
        make_project(), Settings(url="https://receiver.example/", event_types=["*"])
    )

    assert reveal_newest(created.subscription) == created.secret
    assert Subscription.objects.get() == created.subscription


def test_every_field_is_checked_without_the_api_in_front() -> None:
    assert refused({}) == {"url": "required", "event_types": "required"}
    wrong: dict[str, object] = {
        "url": None,
        "description": 5,
        "event_types": "*",
        "wire_format": None,
        "signature_schemes": "standard",
        "retry_schedule": 5,
        "custom_headers": [],
    }
    assert refused(wrong) == dict.fromkeys(wrong, "invalid")
    assert refused({"url": "https://a.example/", "event_types": ["*"], "description": "\0"}) == {
        "description": "invalid"
    }


def test_what_was_deleted_meanwhile_is_not_changed() -> None:
    subscription = make_subscription()
    assert delete_subscription(subscription)

    with pytest.raises(SubscriptionGone):
        change_subscription(subscription, Settings(description="new", is_active=True))

    subscription.refresh_from_db()
    assert subscription.description == ""
    assert not subscription.is_active


def test_only_one_of_two_deletions_did_it() -> None:
    subscription = make_subscription()

    assert delete_subscription(subscription)
    first_at = Subscription.objects.get().deleted_at
    assert not delete_subscription(subscription)
    assert Subscription.objects.get().deleted_at == first_at


def test_a_change_tells_whether_it_switched_off() -> None:
    subscription = make_subscription()

    assert not change_subscription(subscription, Settings(description="new")).was_deactivated
    assert change_subscription(subscription, Settings(is_active=False)).was_deactivated
    assert not change_subscription(subscription, Settings(is_active=False)).was_deactivated


def test_columns_that_others_write_meanwhile_are_left_alone() -> None:
    stale = make_subscription()
    Subscription.objects.update(failure_streak=9, last_error="The server answered 500.")

    changed = change_subscription(stale, Settings(description="new")).subscription

    assert changed.failure_streak == 9
    assert changed.last_error == "The server answered 500."
