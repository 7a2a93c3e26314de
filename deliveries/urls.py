"""Routes of events and deliveries, and what of a subscription concerns them, below `/api/v1/`."""

from django.urls import path

from deliveries.api.audit import AuditDetail
from deliveries.api.deliveries import (
    DeliveryCancellation,
    DeliveryDetail,
    DeliveryList,
    DeliveryRedelivery,
)
from deliveries.api.event_batch import EventBatch
from deliveries.api.event_history import EventDetail, EventMatches
from deliveries.api.events import EventList
from deliveries.api.recoveries import (
    RecoveryCancellation,
    RecoveryDetail,
    RecoveryList,
    RecoveryPause,
    RecoveryResume,
)
from deliveries.api.stats import FilterPreview, ProjectStats, SubscriptionStats
from deliveries.api.subscriptions import (
    SubscriptionActivation,
    SubscriptionDeactivation,
    SubscriptionDetail,
    SubscriptionTest,
)
from deliveries.api.url_check import UrlCheckView

PROJECT = "projects/<slug:project>"

urlpatterns = [
    path(f"{PROJECT}/events", EventList.as_view(), name="events"),  # looked up in this order
    path(f"{PROJECT}/audit", AuditDetail.as_view(), name="audit"),
    path(f"{PROJECT}/events/batch", EventBatch.as_view(), name="events-batch"),
    path(f"{PROJECT}/events/<str:event_id>", EventDetail.as_view(), name="event"),
    path(f"{PROJECT}/events/<str:event_id>/matches", EventMatches.as_view(), name="event-matches"),
    path(f"{PROJECT}/deliveries", DeliveryList.as_view(), name="deliveries"),
    path(f"{PROJECT}/deliveries/<str:delivery_id>", DeliveryDetail.as_view(), name="delivery"),
    path(
        f"{PROJECT}/deliveries/<str:delivery_id>/redeliver",
        DeliveryRedelivery.as_view(),
        name="delivery-redeliver",
    ),
    path(
        f"{PROJECT}/deliveries/<str:delivery_id>/cancel",
        DeliveryCancellation.as_view(),
        name="delivery-cancel",
    ),
    path(f"{PROJECT}/recoveries", RecoveryList.as_view(), name="recoveries"),
    path(f"{PROJECT}/recoveries/<str:recovery_id>", RecoveryDetail.as_view(), name="recovery"),
    path(
        f"{PROJECT}/recoveries/<str:recovery_id>/pause",
        RecoveryPause.as_view(),
        name="recovery-pause",
    ),
    path(
        f"{PROJECT}/recoveries/<str:recovery_id>/resume",
        RecoveryResume.as_view(),
        name="recovery-resume",
    ),
    path(
        f"{PROJECT}/recoveries/<str:recovery_id>/cancel",
        RecoveryCancellation.as_view(),
        name="recovery-cancel",
    ),
    path(f"{PROJECT}/stats", ProjectStats.as_view(), name="stats"),
    path(
        f"{PROJECT}/subscriptions/preview",
        FilterPreview.as_view(),
        name="event-filter-preview",
    ),
    path(f"{PROJECT}/subscriptions/check-url", UrlCheckView.as_view(), name="url-check"),
    path(
        f"{PROJECT}/subscriptions/<str:subscription_id>",
        SubscriptionDetail.as_view(),
        name="subscription",
    ),
    path(
        f"{PROJECT}/subscriptions/<str:subscription_id>/stats",
        SubscriptionStats.as_view(),
        name="subscription-stats",
    ),
    path(
        f"{PROJECT}/subscriptions/<str:subscription_id>/activate",
        SubscriptionActivation.as_view(),
        name="subscription-activate",
    ),
    path(
        f"{PROJECT}/subscriptions/<str:subscription_id>/deactivate",
        SubscriptionDeactivation.as_view(),
        name="subscription-deactivate",
    ),
    path(
        f"{PROJECT}/subscriptions/<str:subscription_id>/test",
        SubscriptionTest.as_view(),
        name="subscription-test",
    ),
]
