"""Sends tests from the admin, waits a moment for them, and says in messages what became of them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from deliveries.costly_requests import place
from deliveries.history.deliveries import attempts_of
from deliveries.lifecycle.waiting import finished
from deliveries.models import Delivery
from deliveries.publishing.ingest import EventRefused, publish_test
from subscriptions.models import Subscription

WAIT_SECONDS = 6.0
"""For all of them together: a request has five seconds, and recording it takes milliseconds."""


def send_and_say(
    request: HttpRequest, subscriptions: Sequence[Subscription], *, event_type: str | None = None
) -> None:
    """Send a test to each subscription, and add a message about each."""
    sent: list[tuple[Subscription, UUID]] = []
    for subscription in subscriptions:
        try:
            published = publish_test(subscription, event_type=event_type)
        except EventRefused as refusal:
            messages.error(request, f"No test to {subscription.url}: {refusal}")
        else:
            sent.append((subscription, published.delivery_ids[0]))
    wait_until = time.monotonic() + WAIT_SECONDS
    with place() as has_place:
        for subscription, delivery_id in sent:
            patience = max(0.0, wait_until - time.monotonic()) if has_place else 0.0
            delivery = finished(delivery_id, wait_seconds=patience)
            _say(request, subscription, delivery_id, delivery)


def _say(
    request: HttpRequest, subscription: Subscription, delivery_id: UUID, delivery: Delivery | None
) -> None:
    if delivery is None:
        result, level = "not finished yet", messages.WARNING
    else:
        is_good = delivery.status == Delivery.Status.SUCCEEDED
        result, level = _result(delivery), messages.SUCCESS if is_good else messages.ERROR
    messages.add_message(
        request,
        level,
        format_html("Test to {}: {}. {}", subscription.url, result, link_to(delivery_id)),
    )


def _result(delivery: Delivery) -> str:
    attempts = attempts_of(delivery)
    if not attempts:
        return delivery.get_end_reason_display() or delivery.status
    attempt = attempts[-1]
    parts = [attempt.outcome]
    if attempt.status_code:
        parts.append(f"status {attempt.status_code}")
    parts.append(f"{attempt.duration_ms} ms")
    error = f": {attempt.error.removesuffix('.')}" if attempt.error else ""
    return ", ".join(parts) + error


def link_to(delivery_id: UUID) -> SafeString:
    """Return a link to the delivery's page."""
    page = reverse("admin:deliveries_delivery_change", args=[delivery_id])
    return format_html('<a href="{}" class="underline">See the delivery</a>', page)
