"""Routes of subscriptions, below `/api/v1/`; see `deliveries.urls` for those that concern both."""

from django.urls import path

from subscriptions.api import SubscriptionList, SubscriptionSecret

urlpatterns = [
    path("projects/<slug:project>/subscriptions", SubscriptionList.as_view(), name="subscriptions"),
    path(
        "projects/<slug:project>/subscriptions/<str:subscription_id>/secret",
        SubscriptionSecret.as_view(),
        name="subscription-secret",
    ),
]
