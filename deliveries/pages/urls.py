"""Addresses of the pages about subscriptions, deliveries and figures."""

from __future__ import annotations

from django.urls import URLPattern, path

from deliveries.pages.deliveries import DeliveriesLive, DeliveriesPage
from deliveries.pages.delivery import (
    AttemptBody,
    CancelPiece,
    DeliveryLive,
    DeliveryPage,
    RedeliverPiece,
)
from deliveries.pages.event import EventPage, EventPayload
from deliveries.pages.event_types import EventTypeImport, EventTypePage, EventTypes
from deliveries.pages.export import ExportPage
from deliveries.pages.missed import MissedEvents, RecoveryChange, RecoveryProgress
from deliveries.pages.overview import Overview
from deliveries.pages.secret import SecretOverlapEnd, SecretReveal, SecretRotation
from deliveries.pages.send_test import SendTest, SentTest
from deliveries.pages.signature_debugger import SignatureDebuggerPage
from deliveries.pages.subscription import (
    SubscriptionActivation,
    SubscriptionDeactivation,
    SubscriptionFigures,
    SubscriptionPage,
)
from deliveries.pages.subscription_edit import (
    NewSubscriptionPage,
    SubscriptionEditPage,
    UrlVerdict,
    WirePreview,
)
from deliveries.pages.subscriptions import SubscriptionDeletePage, SubscriptionListPage

_SUBSCRIPTION = "subscriptions/<str:subscription>"

_of_a_subscription: list[URLPattern] = [
    path(_SUBSCRIPTION, SubscriptionPage.as_view(), name="subscription-page"),
    path(f"{_SUBSCRIPTION}/figures", SubscriptionFigures.as_view(), name="subscription-figures"),
    path(
        f"{_SUBSCRIPTION}/activate", SubscriptionActivation.as_view(), name="activate-subscription"
    ),
    path(
        f"{_SUBSCRIPTION}/deactivate",
        SubscriptionDeactivation.as_view(),
        name="deactivate-subscription",
    ),
    path(f"{_SUBSCRIPTION}/test", SendTest.as_view(), name="send-test"),
    path(
        f"{_SUBSCRIPTION}/test/<str:delivery>",
        SentTest.as_view(),
        name="subscription-test-result",
    ),
    path(
        f"{_SUBSCRIPTION}/secret/reveal", SecretReveal.as_view(), name="subscription-secret-reveal"
    ),
    path(
        f"{_SUBSCRIPTION}/secret/rotate",
        SecretRotation.as_view(),
        name="rotate-secret",
    ),
    path(
        f"{_SUBSCRIPTION}/secret/end-overlap",
        SecretOverlapEnd.as_view(),
        name="subscription-secret-end-overlap",
    ),
    path(f"{_SUBSCRIPTION}/missed", MissedEvents.as_view(), name="subscription-missed"),
    path(
        f"{_SUBSCRIPTION}/recoveries/<str:recovery>",
        RecoveryProgress.as_view(),
        name="subscription-recovery",
    ),
    path(
        f"{_SUBSCRIPTION}/recoveries/<str:recovery>/<str:change>",
        RecoveryChange.as_view(),
        name="subscription-recovery-change",
    ),
]

_history: list[URLPattern] = [
    path("deliveries", DeliveriesPage.as_view(), name="deliveries-page"),
    path("deliveries/live", DeliveriesLive.as_view(), name="deliveries-live"),
    path("deliveries/export", ExportPage.as_view(), name="deliveries-export"),
    path("deliveries/<str:delivery>", DeliveryPage.as_view(), name="delivery-page"),
    path("deliveries/<str:delivery>/live", DeliveryLive.as_view(), name="delivery-live"),
    path(
        "deliveries/<str:delivery>/attempts/<int:number>/body",
        AttemptBody.as_view(),
        name="attempt-body",
    ),
    path(
        "deliveries/<str:delivery>/redeliver", RedeliverPiece.as_view(), name="redeliver-delivery"
    ),
    path("deliveries/<str:delivery>/cancel", CancelPiece.as_view(), name="cancel-delivery"),
    path("events/<str:event>", EventPage.as_view(), name="event-page"),
    path("events/<str:event>/payload", EventPayload.as_view(), name="event-payload"),
]

urlpatterns: list[URLPattern] = [
    path("subscriptions", SubscriptionListPage.as_view(), name="subscriptions-page"),
    path("subscriptions/new", NewSubscriptionPage.as_view(), name="new-subscription-page"),
    path("subscriptions/url-verdict", UrlVerdict.as_view(), name="url-verdict"),
    path("subscriptions/wire-preview", WirePreview.as_view(), name="wire-preview"),
    path(
        "subscriptions/<str:subscription>/edit",
        SubscriptionEditPage.as_view(),
        name="subscription-edit-page",
    ),
    path(
        "subscriptions/<str:subscription>/wire-preview",
        WirePreview.as_view(),
        name="subscription-wire-preview",
    ),
    path(
        "subscriptions/<str:subscription>/delete",
        SubscriptionDeletePage.as_view(),
        name="subscription-delete",
    ),
    path("event-types", EventTypes.as_view(), name="event-types-page"),
    path("event-types/import", EventTypeImport.as_view(), name="event-type-import"),
    path("event-types/<path:name>", EventTypePage.as_view(), name="event-type-page"),
    path("", Overview.as_view(), name="overview-page"),
    *_of_a_subscription,
    *_history,
    path("signature-debugger", SignatureDebuggerPage.as_view(), name="signature-debugger-page"),
]
