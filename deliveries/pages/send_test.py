"""Sends a test from the subscription's page, waits for it, and shows in place what became of it."""

from __future__ import annotations

from dataclasses import replace
from http import HTTPStatus
from typing import Any, ClassVar, Final
from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import ngettext

from deliveries.costly_requests import place
from deliveries.history.deliveries import attempts_of, deliveries_of, event_of
from deliveries.lifecycle.waiting import finished
from deliveries.models import Delivery
from deliveries.pages.attempt_view import show_attempts
from deliveries.pages.delivery_rows import rows_of
from deliveries.pages.new_test import errors_of, filled, new_test, read_test
from deliveries.pages.subscription import SubscriptionPage
from deliveries.pages.words import END_REASONS
from deliveries.publishing.ingest import EventRefused, publish_test
from subscriptions.ids import from_public, to_public
from subscriptions.models import Subscription
from subscriptions.pages.project_page import EDITOR, seconds_to_wait
from subscriptions.payload import PayloadRefused
from subscriptions.refusal import SettingRefused
from subscriptions.rest.rate_limit import MICROSECONDS, RatePolicy
from subscriptions.rest.rate_store import Limit

WAIT_SECONDS: Final = 6.0
"""A request has five seconds, and recording it takes milliseconds."""

PACE: Final = RatePolicy("page-tests-per-project", burst=30, interval_us=MICROSECONDS // 2)
"""Thirty at once, then two a second. Tests are stored even when the project's backlog is full, so
this alone bounds what pages add to it; the API's tests are bounded by their key's requests."""


class SendTest(SubscriptionPage):
    """`…/test`: GET shows the form with another type's example, POST sends."""

    roles: ClassVar = {"GET": EDITOR, "POST": EDITOR}

    def get(self, request: HttpRequest, **_path: str) -> HttpResponse:
        """Show the form with the example of the type that was chosen."""
        subscription = self.find_subscription()
        chosen = new_test(subscription, request.GET.get("event_type", ""))
        return self._form(subscription, test=chosen)

    def post(self, request: HttpRequest, **_path: str) -> HttpResponse:
        """Send a test, or say at the field why it was not sent."""
        subscription = self.find_subscription()
        event_type, data = request.POST.get("event_type", ""), request.POST.get("data", "")
        try:
            is_free = self.may_use_default_secret or not subscription.uses_default_secret
            name, payload = read_test(subscription, event_type, data, is_free=is_free)
            wait_seconds = seconds_to_wait([Limit(PACE, self.project.slug)])
            if wait_seconds:
                return self._too_fast(subscription, event_type, data, wait_seconds)
            published = publish_test(subscription, event_type=name, data=payload)
        except (EventRefused, PayloadRefused, SettingRefused) as refusal:
            form = replace(filled(subscription, event_type, data), errors=errors_of(refusal))
            return self._form(subscription, HTTPStatus.UNPROCESSABLE_ENTITY, test=form)
        delivery_id = published.delivery_ids[0]
        delivery = _result(delivery_id)
        if not self.is_partial:
            return redirect("delivery-page", self.project.slug, to_public("dlv", delivery_id))
        form = filled(subscription, event_type, data)
        return self._form(subscription, test=form, **result_of(delivery, delivery_id, subscription))

    def _too_fast(
        self, subscription: Subscription, event_type: str, data: str, wait_seconds: int
    ) -> HttpResponse:
        sentence = ngettext(
            "Too many requests came at once. Try again in %(seconds)s second.",
            "Too many requests came at once. Try again in %(seconds)s seconds.",
            wait_seconds,
        ) % {"seconds": wait_seconds}
        form = replace(filled(subscription, event_type, data), errors={"pace": [sentence]})
        response = self._form(subscription, HTTPStatus.TOO_MANY_REQUESTS, test=form)
        response.headers["Retry-After"] = str(wait_seconds)
        return response

    def _form(
        self, subscription: Subscription, status: int = HTTPStatus.OK, **more: Any
    ) -> HttpResponse:
        if self.is_partial:
            more |= {"subscription": subscription}
            return self.show("subscription/test.html", more, status)
        return self.show(self.template_name, self.pieces(subscription, **more), status)


class SentTest(SubscriptionPage):
    """`…/test/<delivery>`: what became of a test that took longer."""

    roles: ClassVar = {"GET": EDITOR}

    def get(self, request: HttpRequest, **_path: str) -> HttpResponse:  # noqa: ARG002  # its name is the base's
        """Show the result, or ask again soon."""
        subscription = self.find_subscription()
        identifier = from_public("dlv", self.kwargs["delivery"])
        tests = deliveries_of(self.project).filter(subscription_id=subscription.id, is_test=True)
        delivery = None if identifier is None else tests.filter(id=identifier).first()
        if delivery is None or identifier is None:
            raise Http404
        if not self.is_partial:
            return redirect("delivery-page", self.project.slug, self.kwargs["delivery"])
        is_finished = delivery.next_attempt_at is None
        result = result_of(delivery if is_finished else None, identifier, subscription)
        return self.show("subscription/test_result.html", {"subscription": subscription, **result})


def result_of(
    delivery: Delivery | None, delivery_id: UUID, subscription: Subscription
) -> dict[str, Any]:
    """Return what the template of a result needs; `None`: the test has not ended."""
    if delivery is None:
        return {"delivery_id": delivery_id}
    attempts = attempts_of(delivery)
    shown = show_attempts(
        attempts, delivery=delivery, event=event_of(delivery), project=subscription.project
    )
    return {
        "delivery_id": delivery_id,
        "row": rows_of([delivery])[0],
        "attempt": shown[-1] if shown else None,
        "end_reason": END_REASONS.get(delivery.end_reason, ""),
    }


def _result(delivery_id: UUID) -> Delivery | None:
    """Wait where a place is free; otherwise the page asks again by itself."""
    with place() as has_place:
        return finished(delivery_id, wait_seconds=WAIT_SECONDS if has_place else 0)
