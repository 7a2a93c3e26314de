"""Addresses of a project's own pages; deliveries adds those about what was sent."""

from __future__ import annotations

from django.urls import URLPattern, path

from subscriptions.pages.audit_log import AuditLog
from subscriptions.pages.keys import KeyExpiry, KeyRevocation, Keys
from subscriptions.pages.members import MemberRemoval, MemberRole, Members

urlpatterns: list[URLPattern] = [
    path("members", Members.as_view(), name="members-page"),
    path("members/role", MemberRole.as_view(), name="member-role"),
    path("members/remove", MemberRemoval.as_view(), name="member-remove"),
    path("keys", Keys.as_view(), name="keys-page"),
    path("keys/<str:key>/expiry", KeyExpiry.as_view(), name="key-expiry"),
    path("keys/<str:key>/revoke", KeyRevocation.as_view(), name="key-revoke"),
    path("audit-log", AuditLog.as_view(), name="audit-log-page"),
]
