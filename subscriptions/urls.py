"""Routes of subscriptions, below `/api/v1/`; see `deliveries.urls` for those that concern both."""

from django.urls import path

from subscriptions.api.audit_log import AuditLog
from subscriptions.api.event_types import EventTypeDetail, EventTypeImport, EventTypeList
from subscriptions.api.keys import KeyDetail, KeyList
from subscriptions.api.members import MemberDetail, MemberList
from subscriptions.api.portal_links import PortalLinkList
from subscriptions.api.projects import ProjectDetail, ProjectList
from subscriptions.api.secrets import Secret, SecretExpiry, SecretList, SecretRotation
from subscriptions.api.subscriptions import SubscriptionList

PROJECT = "projects/<slug:project>"
SUBSCRIPTION = f"{PROJECT}/subscriptions/<str:subscription_id>"

urlpatterns = [
    path(f"{PROJECT}/event-types", EventTypeList.as_view(), name="event-types"),
    path(f"{PROJECT}/event-types/import", EventTypeImport.as_view(), name="event-types-import"),
    path(f"{PROJECT}/event-types/<path:event_type>", EventTypeDetail.as_view(), name="event-type"),
    path("projects", ProjectList.as_view(), name="projects"),
    path(PROJECT, ProjectDetail.as_view(), name="project"),
    path(f"{PROJECT}/keys", KeyList.as_view(), name="keys"),
    path(f"{PROJECT}/keys/<str:key_id>", KeyDetail.as_view(), name="key"),
    path(f"{PROJECT}/members", MemberList.as_view(), name="members"),
    path(f"{PROJECT}/members/<str:user>", MemberDetail.as_view(), name="member"),
    path(f"{PROJECT}/portal-links", PortalLinkList.as_view(), name="portal-links"),
    path(f"{PROJECT}/subscriptions", SubscriptionList.as_view(), name="subscriptions"),
    path(f"{SUBSCRIPTION}/secrets", SecretList.as_view(), name="subscription-secrets"),
    path(f"{SUBSCRIPTION}/secret", Secret.as_view(), name="subscription-secret"),
    path(
        f"{SUBSCRIPTION}/secret/rotate",
        SecretRotation.as_view(),
        name="subscription-secret-rotate",
    ),
    path(
        f"{SUBSCRIPTION}/secret/expire", SecretExpiry.as_view(), name="subscription-secret-expire"
    ),
    path(f"{PROJECT}/secrets", SecretList.as_view(), name="default-secrets"),
    path(f"{PROJECT}/secret", Secret.as_view(), name="default-secret"),
    path(f"{PROJECT}/secret/rotate", SecretRotation.as_view(), name="default-secret-rotate"),
    path(f"{PROJECT}/secret/expire", SecretExpiry.as_view(), name="default-secret-expire"),
    path(f"{PROJECT}/audit-log", AuditLog.as_view(), name="audit-log"),
]
