"""Routes of subscriptions, below `/api/v1/`; see `deliveries.urls` for those that concern both."""

from django.urls import path

from subscriptions.api.audit_log import AuditLog
from subscriptions.api.secrets import Secret, SecretExpiry, SecretRotation
from subscriptions.api.subscriptions import SubscriptionList

PROJECT = "projects/<slug:project>"
SUBSCRIPTION = f"{PROJECT}/subscriptions/<str:subscription_id>"

urlpatterns = [
    path(f"{PROJECT}/subscriptions", SubscriptionList.as_view(), name="subscriptions"),
    path(f"{SUBSCRIPTION}/secret", Secret.as_view(), name="subscription-secret"),
    path(
        f"{SUBSCRIPTION}/secret/rotate",
        SecretRotation.as_view(),
        name="subscription-secret-rotate",
    ),
    path(
        f"{SUBSCRIPTION}/secret/expire", SecretExpiry.as_view(), name="subscription-secret-expire"
    ),
    path(f"{PROJECT}/secret", Secret.as_view(), name="default-secret"),
    path(f"{PROJECT}/secret/rotate", SecretRotation.as_view(), name="default-secret-rotate"),
    path(f"{PROJECT}/secret/expire", SecretExpiry.as_view(), name="default-secret-expire"),
    path(f"{PROJECT}/audit-log", AuditLog.as_view(), name="audit-log"),
]
