"""One delivery: where it stands, each attempt, why it was made; sending it again, cancelling it."""

from __future__ import annotations

from datetime import timedelta
from http import HTTPStatus
from typing import Any, Final

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.utils.translation import gettext as _

from deliveries.history.deliveries import (
    ATTEMPTS_SHOWN,
    attempts_of,
    event_of,
    find_delivery,
    request_body_of,
)
from deliveries.lifecycle.cancellation import cancel
from deliveries.lifecycle.redelivery import NotRedeliverable, redeliver
from deliveries.models import Delivery
from deliveries.pages.attempt_view import show_attempts
from deliveries.pages.delivery_rows import rows_of
from deliveries.pages.words import END_REASONS
from subscriptions.ids import to_public
from subscriptions.matching import why
from subscriptions.models import Subscription
from subscriptions.pages.project_page import EDITOR, ProjectPage
from subscriptions.pages.refusal_words import in_page_language

_SOON: Final = timedelta(minutes=1)


class _OfDelivery(ProjectPage):
    """What the pages of one delivery share."""

    section = "deliveries-page"

    def find(self) -> tuple[Delivery, Subscription]:
        """Return the delivery that the path names, with its subscription, or raise a 404."""
        delivery = find_delivery(self.project, self.kwargs["delivery"])
        if delivery is None:
            raise Http404
        subscription = self.subscriptions_ever.filter(pk=delivery.subscription_id).first()
        if subscription is None:
            raise Http404
        return delivery, subscription

    def back(self) -> HttpResponse:
        """Lead to the delivery's page."""
        return redirect("delivery-page", self.project.slug, self.kwargs["delivery"])


class DeliveryPage(_OfDelivery):
    """`deliveries/{delivery}`."""

    template_name = "deliveries/delivery.html"

    def context(self, _request: HttpRequest) -> dict[str, Any]:
        """Return the delivery with its attempts, newest first."""
        delivery, subscription = self.find()
        event = event_of(delivery)
        attempts = attempts_of(delivery)
        shown = show_attempts(attempts, delivery=delivery, event=event, project=self.project)
        is_finished = delivery.next_attempt_at is None
        return {
            "delivery": delivery,
            "row": rows_of([delivery])[0],
            "subscription": subscription,
            "event": event,
            "attempts": shown[::-1],
            "attempts_left_out": delivery.attempt_count > ATTEMPTS_SHOWN,
            "end_reason": END_REASONS.get(delivery.end_reason, ""),
            "filter": why(subscription.event_types, delivery.event_type),
            "is_finished": is_finished,
            "is_redeliverable": is_finished and subscription.is_active and event is not None,
            "is_cancellable": delivery.status == Delivery.Status.PENDING,
            "version": _version(delivery),
            "poll": _poll(delivery),
        }


class DeliveryLive(DeliveryPage):
    """`deliveries/{delivery}/live`: the part that changes, while it does."""

    template_name = "deliveries/delivery_live.html"

    def get(self, request: HttpRequest, **_path: str) -> HttpResponse:
        """Show it, unless the page has it already: what is open there stays open."""
        if request.GET.get("seen") == _version(self.find()[0]):
            return HttpResponse(status=HTTPStatus.NO_CONTENT)
        return super().get(request)


class AttemptBody(_OfDelivery):
    """`deliveries/{delivery}/attempts/{number}/body`: what was sent, byte by byte."""

    def get(self, request: HttpRequest, **path: Any) -> HttpResponse:  # noqa: ARG002  # as the base has it
        """Answer with a file."""
        delivery, _subscription = self.find()
        attempts = [each for each in attempts_of(delivery) if each.number == path["number"]]
        body = request_body_of(attempts[-1], event_of(delivery)) if attempts else None
        if body is None:
            raise Http404
        return as_file(body, f"{to_public('dlv', delivery.id)}-{path['number']}.json")


class RedeliverPiece(_OfDelivery):
    """`deliveries/{delivery}/redeliver`."""

    roles = {"POST": EDITOR}
    http_method_names = ["post"]

    def post(self, request: HttpRequest, **_path: str) -> HttpResponse:
        """Send a finished delivery again, once."""
        delivery, _subscription = self.find()
        try:
            redeliver(delivery)
        except NotRedeliverable as refusal:
            messages.error(request, in_page_language(str(refusal)))
        else:
            messages.success(request, _("It is sent again now."))
        return self.back()


class CancelPiece(_OfDelivery):
    """`deliveries/{delivery}/cancel`."""

    roles = {"POST": EDITOR}
    http_method_names = ["post"]

    def post(self, request: HttpRequest, **_path: str) -> HttpResponse:
        """Cancel a pending delivery."""
        delivery, _subscription = self.find()
        if cancel(delivery):
            messages.success(request, _("It was cancelled. It can be sent again later."))
        else:
            messages.error(
                request, _("It is being sent just now, or has ended: it cannot be cancelled.")
            )
        return self.back()


def as_file(content: str, name: str) -> HttpResponse:
    """Answer with what browsers keep as a file and never show: whoever published it wrote it."""
    return HttpResponse(
        content.encode(),
        content_type="application/octet-stream",
        headers={
            "Content-Disposition": f'attachment; filename="{name}"',
            "X-Content-Type-Options": "nosniff",
        },
    )


def _version(delivery: Delivery) -> str:
    """Say what a page shows of it: the same as long as nothing has changed."""
    changed = delivery.redelivered_at
    moment = int(changed.timestamp()) if changed else 0
    return f"{delivery.status}-{delivery.attempt_count}-{moment}"


def _poll(delivery: Delivery) -> str:
    """Say how often to look for news, as htmx takes it; empty: never again."""
    if delivery.next_attempt_at is None:
        return ""
    is_far = delivery.next_attempt_at > timezone.now() + _SOON
    return "every 20s" if is_far else "every 2s"
