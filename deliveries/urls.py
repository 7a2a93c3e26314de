"""Routes of events and deliveries, and what of a subscription concerns them, below `/api/v1/`."""

from django.urls import path

from deliveries.api.audit import AuditDetail
from deliveries.api.deliveries import DeliveryDetail, DeliveryList, DeliveryRedelivery
from deliveries.api.events import EventList
from deliveries.api.subscriptions import SubscriptionDetail, SubscriptionTest

PROJECT = "projects/<slug:project>"

urlpatterns = [
    path(f"{PROJECT}/audit", AuditDetail.as_view(), name="audit"),
    path(f"{PROJECT}/events", EventList.as_view(), name="events"),
    path(f"{PROJECT}/deliveries", DeliveryList.as_view(), name="deliveries"),
    path(f"{PROJECT}/deliveries/<str:delivery_id>", DeliveryDetail.as_view(), name="delivery"),
    path(
        f"{PROJECT}/deliveries/<str:delivery_id>/redeliver",
        DeliveryRedelivery.as_view(),
        name="delivery-redeliver",
    ),
    path(
        f"{PROJECT}/subscriptions/<str:subscription_id>",
        SubscriptionDetail.as_view(),
        name="subscription",
    ),
    path(
        f"{PROJECT}/subscriptions/<str:subscription_id>/test",
        SubscriptionTest.as_view(),
        name="subscription-test",
    ),
]
