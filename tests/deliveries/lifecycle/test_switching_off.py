"""Switching a subscription off or deleting it ends what waits for it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.db import transaction

from deliveries.lifecycle import switching_off
from deliveries.models import Delivery
from deliveries.publishing.ingest import publish
from subscriptions.models import Subscription
from tests.factories import make_subscription

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def subscription() -> Subscription:
    subscription = make_subscription()
    publish(project=subscription.project, event_type="Task.update", data={})
    return subscription


def test_switching_off_cancels_once(subscription: Subscription) -> None:
    assert switching_off.switch_off(subscription)

    delivery = Delivery.objects.get()
    assert (delivery.status, delivery.end_reason) == ("cancelled", "deactivated")
    subscription.refresh_from_db()
    assert not subscription.is_active
    assert not switching_off.switch_off(subscription)
    assert Delivery.objects.get().finished_at == delivery.finished_at


def test_deleting_cancels_once(subscription: Subscription) -> None:
    assert switching_off.delete(subscription)

    delivery = Delivery.objects.get()
    assert (delivery.status, delivery.end_reason) == ("cancelled", "deleted")
    assert not switching_off.delete(subscription)
    assert Delivery.objects.get().finished_at == delivery.finished_at


@pytest.mark.parametrize("switch", [switching_off.switch_off, switching_off.delete])
def test_what_waits_is_cancelled_after_the_switch_is_committed(
    subscription: Subscription, switch: Callable[[Subscription], bool]
) -> None:
    with transaction.atomic():
        assert switch(subscription)
        assert Delivery.objects.get().status == "pending", "or others wait for a whole backlog"

    assert Delivery.objects.get().status == "cancelled"


def test_a_switch_that_is_rolled_back_cancels_nothing(subscription: Subscription) -> None:
    with transaction.atomic():
        switching_off.change(subscription, {"is_active": False})
        transaction.set_rollback(True)

    subscription.refresh_from_db()
    assert subscription.is_active
    assert Delivery.objects.get().status == "pending"
