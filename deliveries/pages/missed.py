"""Offers to send what a subscription missed while it was off, and shows how far that is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import ClassVar, Final

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.utils.translation import gettext as _

from deliveries.costly_requests import ESTIMATES, Busy, turn
from deliveries.models import Recovery
from deliveries.pages.subscription import Context, SubscriptionPage
from deliveries.recoveries import recovery as recoveries
from deliveries.recoveries.missed import count_missed, missed_by, send_missed
from deliveries.recoveries.recovery import NotPossible
from subscriptions import deactivation
from subscriptions.ids import from_public
from subscriptions.inactive_time import InactiveTime
from subscriptions.models import Subscription
from subscriptions.pages.project_page import EDITOR, VIEWER
from subscriptions.pages.refusal_words import in_page_language

CHANGES: Final[Mapping[str, Callable[[Recovery], None]]] = {
    "pause": recoveries.pause,
    "resume": recoveries.resume,
    "cancel": recoveries.cancel,
}


class MissedEvents(SubscriptionPage):
    """`…/missed`: GET counts them, POST sends them."""

    roles: ClassVar = {"GET": VIEWER, "POST": EDITOR}

    def get(self, request: HttpRequest, **_path: str) -> HttpResponse:  # noqa: ARG002  # its name is the base's
        """Say how many there are; counting takes a second at most."""
        subscription = self.find_subscription()
        missed = missed_by(subscription)
        counted: Context = {"subscription": subscription, "missed": missed}
        if missed.time is not None and missed.is_offered:
            try:
                with turn(self.project, ESTIMATES):
                    counted["estimate"] = count_missed(subscription, missed.time)
            except Busy as busy:
                counted["wait_seconds"] = busy.wait_seconds
        if self.is_partial:
            return self.show("subscription/missed.html", counted)
        return self.show(self.template_name, self.pieces(subscription) | counted)

    def post(self, request: HttpRequest, **_path: str) -> HttpResponse:
        """Switch the subscription on where it is off, and begin to send."""
        subscription = self.find_subscription()
        missed = missed_by(subscription)
        if missed.time is None or not missed.is_offered:
            messages.info(request, _("There is nothing to send that was missed."))
            return self.back(subscription)
        if deactivation.reactivate(subscription):
            messages.success(request, _("The subscription is active again."))
            subscription = self.find_subscription()
        self._send(request, subscription, missed.time)
        return self.back(subscription)

    def _send(self, request: HttpRequest, subscription: Subscription, time: InactiveTime) -> None:
        try:
            with turn(self.project, ESTIMATES):
                send_missed(subscription, time)
        except Busy as busy:
            messages.error(
                request,
                _("Others are counting in this project: try again in %(seconds)d s.")
                % {"seconds": busy.wait_seconds},
            )
        except NotPossible as refusal:
            messages.error(request, in_page_language(str(refusal)))
        else:
            messages.success(request, _("Workers have begun to send what was missed."))


class RecoveryProgress(SubscriptionPage):
    """`…/recoveries/<recovery>`: how far it is; the page asks every other second."""

    roles: ClassVar = {"GET": VIEWER}

    def get(self, request: HttpRequest, **_path: str) -> HttpResponse:  # noqa: ARG002  # its name is the base's
        """Show it."""
        subscription = self.find_subscription()
        self.find_recovery(subscription)
        missed = missed_by(subscription)
        if not self.is_partial:
            return self.back(subscription)
        return self.show(
            "subscription/missed.html", {"subscription": subscription, "missed": missed}
        )

    def find_recovery(self, subscription: Subscription) -> Recovery:
        """Return the subscription's recovery that the path names, or raise a 404."""
        identifier = from_public("rcv", self.kwargs["recovery"])
        rows = Recovery.objects.filter(project=self.project, subscription_id=subscription.id)
        recovery = None if identifier is None else rows.filter(id=identifier).first()
        if recovery is None:
            raise Http404
        return recovery


class RecoveryChange(RecoveryProgress):
    """`…/recoveries/<recovery>/<change>`: pause, resume, cancel."""

    http_method_names = ["post"]
    roles: ClassVar = {"POST": EDITOR}

    def post(self, request: HttpRequest, **_path: str) -> HttpResponse:
        """Change it, and lead back."""
        subscription = self.find_subscription()
        recovery = self.find_recovery(subscription)
        change = CHANGES.get(self.kwargs["change"])
        if change is None:
            raise Http404
        try:
            change(recovery)
        except NotPossible:
            messages.error(request, _("The recovery has ended or was changed meanwhile."))
        return self.back(subscription)
