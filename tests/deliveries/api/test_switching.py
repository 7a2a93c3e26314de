"""Switching a subscription on and off over REST: safe to repeat, and what waits is cancelled."""

from __future__ import annotations

import pytest

from deliveries.models import Delivery
from deliveries.publishing.ingest import publish, publish_test
from subscriptions.access.audit_log import Action
from subscriptions.models import AuditEntry, Subscription
from tests.api_client import ApiClient, errors_of
from tests.factories import make_project, make_subscription

pytestmark = pytest.mark.django_db


def path_of(subscription: Subscription, verb: str = "") -> str:
    return f"subscriptions/sub_{subscription.id.hex}{verb}"


def entries(action: Action) -> int:
    return AuditEntry.objects.filter(action=action, actor_kind="api_key").count()


@pytest.mark.django_db(transaction=True)  # it cancels once the switch is committed
def test_switching_off_cancels_what_waits_but_tests() -> None:
    subscription = make_subscription()
    client = ApiClient(subscription.project)
    publish(project=subscription.project, event_type="a", data={})
    publish_test(subscription)

    response = client.post(path_of(subscription, "/deactivate"))

    assert response.status_code == 200
    shown = response.json()
    assert (shown["active"], shown["deactivation_reason"]) == (False, "by_hand")
    assert shown == client.get(path_of(subscription)).json()
    waiting = Delivery.objects.values_list("is_test", "status", "end_reason")
    assert set(waiting) == {(False, "cancelled", "deactivated"), (True, "pending", "")}
    assert entries(Action.SUBSCRIPTION_DEACTIVATED) == 1


def test_switching_on_begins_a_new_generation_with_a_streak_of_zero() -> None:
    subscription = make_subscription(is_active=False, failure_streak=10, generation=3)
    client = ApiClient(subscription.project)

    response = client.post(path_of(subscription, "/activate"), {})

    shown = response.json()
    assert (shown["active"], shown["failure_streak"], shown["deactivated_at"]) == (True, 0, None)
    subscription.refresh_from_db()
    assert subscription.generation == 4
    assert entries(Action.SUBSCRIPTION_REACTIVATED) == 1


@pytest.mark.parametrize("verb", ["activate", "deactivate"])
def test_doing_it_again_changes_nothing(verb: str) -> None:
    subscription = make_subscription(is_active=verb == "deactivate")
    client = ApiClient(subscription.project)
    first = client.post(path_of(subscription, f"/{verb}"))

    again = client.post(path_of(subscription, f"/{verb}"))

    assert again.json() == first.json()
    assert again["ETag"] == first["ETag"] == client.get(path_of(subscription))["ETag"]
    assert AuditEntry.objects.filter(action__startswith="subscription.").count() == 1


@pytest.mark.parametrize("verb", ["activate", "deactivate"])
def test_it_takes_nothing_and_needs_the_scope_manage_and_the_project_s_own_key(verb: str) -> None:
    subscription = make_subscription(is_active=verb == "deactivate")
    client, path = ApiClient(subscription.project), path_of(subscription, f"/{verb}")
    deleted = make_subscription(project=subscription.project)
    client.delete(path_of(deleted))

    assert errors_of(client.post(path, {"active": True}), 400) == {"active": "unknown"}
    errors_of(client.post(path, []), 400)
    errors_of(client.post(path_of(deleted, f"/{verb}")), 404)
    errors_of(client.post(f"subscriptions/dlv_{'0' * 32}/{verb}"), 404)
    errors_of(ApiClient(subscription.project, ["read"]).post(path), 403)
    errors_of(ApiClient(make_project()).post(path), 404)
    errors_of(client.get(path), 405)
    subscription.refresh_from_db()
    assert subscription.is_active == (verb == "deactivate")
