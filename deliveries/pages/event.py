"""One event: its payload, who got it, and who did not and why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from django.http import Http404, HttpRequest, HttpResponse
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from deliveries.history.events import DELIVERIES_SHOWN, deliveries_of_event, find_event, matches_of
from deliveries.history.matches import Match, Reason
from deliveries.models import Delivery, Event
from deliveries.pages.attempt_view import body_shown
from deliveries.pages.delivery import as_file
from deliveries.pages.delivery_rows import DeliveryRow, rows_of
from subscriptions.ids import to_public
from subscriptions.models import Subscription
from subscriptions.pages.project_page import ProjectPage

SUBSCRIPTIONS_SHOWN: Final = 100
"""Of those that did not get it; the API has all of them."""

_PAYLOAD_CHARACTERS: Final = 64 * 1024

WHY_NOT: Final[dict[Reason, Promise]] = {
    Reason.TEST: _("The event was a test of one subscription."),
    Reason.CREATED_LATER: _("It was created after the event."),
    Reason.DELETED: _("It had been deleted."),
    Reason.INACTIVE: _("It was inactive."),
    Reason.TYPE_NOT_MATCHED: _("None of its filters wants this event type."),
    Reason.NEEDS_OBJECT: _("Its wire format needs data to be an object."),
    Reason.CHANGED_SINCE: _(
        "It would get such an event today: its settings were changed since, or it was off."
    ),
}


@dataclass(frozen=True, slots=True)
class Got:
    """A delivery of the event."""

    row: DeliveryRow
    subscription: Subscription | None
    filter: str | None
    """That wants the event type today."""


@dataclass(frozen=True, slots=True)
class Missed:
    """A subscription that did not get it."""

    subscription: Subscription
    reason: Promise
    match: Match


class _OfEvent(ProjectPage):
    """What the pages of one event share."""

    section = "deliveries-page"

    def find(self) -> Event:
        """Return the event that the path names, or raise a 404.

        Who sees some of the subscriptions only sees the events that went to these.
        """
        event = find_event(self.project, self.kwargs["event"])
        if event is None or not (self.sees_all or self.deliveries(event)):
            raise Http404
        return event

    def deliveries(self, event: Event) -> list[Delivery]:
        """Return those of the event's deliveries that the visitor may see, in order."""
        if self.sees_all:
            return deliveries_of_event(event)
        seen = self.subscriptions_ever.values_list("id", flat=True)
        return deliveries_of_event(event, among=list(seen))


class EventPage(_OfEvent):
    """`events/{event}`."""

    template_name = "deliveries/event.html"

    def context(self, _request: HttpRequest) -> dict[str, Any]:
        """Return the event, its deliveries, and who went without."""
        event = self.find()
        deliveries = self.deliveries(event)
        latest = list(self.subscriptions_ever.order_by("-id")[: SUBSCRIPTIONS_SHOWN + 1])
        subscriptions = latest[:SUBSCRIPTIONS_SHOWN]
        matches = {match.subscription: match for match in matches_of(event, subscriptions)}
        return {
            "event": event,
            "payload": body_shown(event.data, limit=_PAYLOAD_CHARACTERS),
            "got": self._got(deliveries, matches),
            "is_cut": len(deliveries) >= DELIVERIES_SHOWN,
            "missed": [
                Missed(subscription, WHY_NOT[match.reason], match)
                for subscription in subscriptions
                if (match := matches[subscription.id]).delivery is None
            ],
            "has_more_subscriptions": len(latest) > SUBSCRIPTIONS_SHOWN,
        }

    def _got(self, deliveries: list[Delivery], matches: dict[Any, Match]) -> list[Got]:
        ids = {delivery.subscription_id for delivery in deliveries}
        known = self.subscriptions_ever.in_bulk(list(ids)) if ids else {}
        got = []
        for delivery, row in zip(deliveries, rows_of(deliveries), strict=True):
            match = matches.get(delivery.subscription_id)
            got.append(
                Got(row, known.get(delivery.subscription_id), match.filter if match else None)
            )
        return got


class EventPayload(_OfEvent):
    """`events/{event}/payload`: exactly as it was published."""

    def get(self, request: HttpRequest, **_path: str) -> HttpResponse:  # noqa: ARG002  # as the base has it
        """Answer with a file."""
        event = self.find()
        return as_file(event.data, f"{to_public('evt', event.id)}.json")
