"""Switching a subscription off or deleting it ends what waits for it."""

from __future__ import annotations

import pytest

from deliveries import switching_off
from deliveries.ingest import publish
from deliveries.models import Delivery
from subscriptions.models import Subscription
from tests.factories import make_subscription

pytestmark = pytest.mark.django_db


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
