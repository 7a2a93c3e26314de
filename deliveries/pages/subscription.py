"""The page of one subscription: its settings, its health, its latest deliveries; on and off.

`send_test`, `secret` and `missed` answer with the same page, or with their own piece of it.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from http import HTTPStatus
from typing import Any, ClassVar, Final

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.utils.translation import gettext as _

from deliveries.costly_requests import FIGURES, Busy, turn
from deliveries.figures.stats import Stats, stats_of
from deliveries.history.deliveries import deliveries_of
from deliveries.lifecycle import switching_off
from deliveries.models import Delivery
from deliveries.pages.attempt_view import host_of
from deliveries.pages.deactivated import deactivated
from deliveries.pages.delivery_rows import rows_of
from deliveries.pages.new_test import NewTest, new_test
from deliveries.pages.words import explain
from deliveries.recoveries.missed import missed_by
from subscriptions import deactivation
from subscriptions.custom_headers import masked
from subscriptions.ids import to_public
from subscriptions.models import Subscription
from subscriptions.pages.project_page import EDITOR, ProjectPage
from subscriptions.secrets.secret_rotation import DEFAULT_OVERLAP_HOURS, LiveSecret, list_live
from subscriptions.secrets.signing_secrets import signing_owner

_LATEST: Final = 10
_DAYS: Final = (1, 7)
"""What figures may be asked for."""

Context = dict[str, Any]


class SubscriptionPage(ProjectPage):
    """`subscriptions/<subscription>`."""

    template_name = "subscription/page.html"
    section = "subscriptions-page"

    def context(self, _request: HttpRequest) -> Context:
        """Return all pieces."""
        return self.pieces(self.find_subscription())

    def pieces(
        self, subscription: Subscription, *, test: NewTest | None = None, **more: Any
    ) -> Context:
        """Return all pieces of the page; what a form was filled in with is given."""
        return {
            "subscription": subscription,
            "retries": [_duration(seconds) for seconds in subscription.retry_schedule],
            "custom_headers": masked(subscription.custom_headers),
            "latest": rows_of(self._latest(subscription)),
            "deactivated": None if subscription.is_active else deactivated(subscription),
            "missed": missed_by(subscription),
            "live_secrets": self._live_secrets(subscription),
            "overlap_hours": DEFAULT_OVERLAP_HOURS,
            "test": test or new_test(subscription),
            **more,
        }

    def back(self, subscription: Subscription) -> HttpResponse:
        """Lead to the page as it is now."""
        identifier = to_public("sub", subscription.id)
        return redirect("subscription-page", self.project.slug, identifier)

    def answer(
        self, piece: str, subscription: Subscription, status: int = HTTPStatus.OK, **more: Any
    ) -> HttpResponse:
        """Answer with a piece where htmx asks for it, with the whole page where a form does."""
        template = f"subscription/{piece}.html" if self.is_partial else self.template_name
        return self.show(template, self.pieces(subscription, **more), status)

    def _live_secrets(self, subscription: Subscription) -> list[LiveSecret] | None:
        """Return what signs; `None`: the project's secret is none of a portal visitor's."""
        if subscription.uses_default_secret and self.grant is not None:
            return None
        return list_live(signing_owner(subscription))

    def _latest(self, subscription: Subscription) -> list[Delivery]:
        rows = deliveries_of(self.project).filter(subscription_id=subscription.id)
        return list(rows.order_by("-id")[:_LATEST])


class SubscriptionFigures(SubscriptionPage):
    """`…/figures`: counts of a day or a week, which may take a second or two."""

    def get(self, request: HttpRequest, **_path: str) -> HttpResponse:
        """Show them, or say that others are at it."""
        subscription = self.find_subscription()
        days = _DAYS[1] if request.GET.get("days") == "7" else _DAYS[0]
        figures: Context = {"subscription": subscription, "days": days}
        now = timezone.now()
        since, width = now - timedelta(days=days), timedelta(days=1)
        try:
            with turn(self.project, FIGURES, owner=self.figures_owner):
                stats = stats_of(subscription, since=since, until=now, width=width)
            figures |= _figures(stats, host_of(subscription.url))
        except Busy as busy:
            figures["wait_seconds"] = busy.wait_seconds
        if self.is_partial:
            return self.show("subscription/figures.html", figures)
        return self.show(self.template_name, self.pieces(subscription) | figures)


class _Switch(SubscriptionPage):
    """Switches the subscription, and leads back to its page."""

    http_method_names = ["post"]
    roles: ClassVar = {"POST": EDITOR}

    switch: Callable[[Subscription], bool]

    def _done(self) -> str:
        raise NotImplementedError

    def post(self, request: HttpRequest, **_path: str) -> HttpResponse:
        """Switch it; one that stands so already stays as it is."""
        subscription = self.find_subscription()
        if type(self).switch(subscription):
            messages.success(request, self._done())
        return self.back(subscription)


class SubscriptionActivation(_Switch):
    """`…/activate`."""

    switch = staticmethod(deactivation.reactivate)

    def _done(self) -> str:
        return _("The subscription is active again. Events are sent from now on.")


class SubscriptionDeactivation(_Switch):
    """`…/deactivate`."""

    switch = staticmethod(switching_off.switch_off)

    def _done(self) -> str:
        return _("The subscription is inactive. What was waiting for it is cancelled.")


def _figures(stats: Stats, host: str) -> Context:
    errors = [
        (
            error,
            explain(
                outcome=error.outcome,
                status_code=error.status_code,
                error=error.last_error,
                host=host,
            ),
        )
        for error in stats.errors
    ]
    return {"stats": stats, "errors": errors}


def _duration(seconds: int) -> str:
    """Write a delay in its largest whole unit."""
    if seconds % 3600 == 0:
        return _("%(count)d h") % {"count": seconds // 3600}
    if seconds % 60 == 0:
        return _("%(count)d min") % {"count": seconds // 60}
    return _("%(count)d s") % {"count": seconds}
