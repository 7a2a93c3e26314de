"""A project's first page: how deliveries go, what waits, and what is in trouble.

The figures are those of the API's `/stats`, read with its budget, one request of a project at a
time. A visitor who may see some subscriptions only gets the figures of one of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.db.models import F, Q
from django.http import Http404, HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from deliveries.costly_requests import FIGURES, Busy, turn
from deliveries.figures.stats import Backlog, Stats, backlog_of, default_since, stats_of
from deliveries.history.deliveries import created_between, deliveries_of
from deliveries.models import Delivery
from deliveries.pages.overview_charts import Charts, charts_of
from deliveries.pages.words import outcome_name
from subscriptions.ids import from_public
from subscriptions.models import EventType, Project, Subscription
from subscriptions.pages.project_page import VIEWER, ProjectPage

_IN_TROUBLE_SHOWN: Final = 8
_FAILURES_SHOWN: Final = 8
_LATELY: Final = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Range:
    """A stretch of time that ends now."""

    title: Promise
    length: timedelta
    width: timedelta
    """Of one bar."""


RANGES: Final = {
    "1h": Range(_("1 hour"), timedelta(hours=1), timedelta(minutes=1)),
    "24h": Range(_("24 hours"), timedelta(hours=24), timedelta(minutes=30)),
    "7d": Range(_("7 days"), timedelta(days=7), timedelta(hours=3)),
    "30d": Range(_("30 days"), timedelta(days=30), timedelta(days=1)),
}
DEFAULT_RANGE: Final = "24h"


class Overview(ProjectPage):
    """`/projects/{project}/`."""

    template_name = "overview.html"
    roles = {"GET": VIEWER}
    section = "overview-page"

    def context(self, request: HttpRequest) -> dict[str, Any]:
        """Return figures, charts, and what needs somebody's attention."""
        name = request.GET.get("range", "")
        name = name if name in RANGES else DEFAULT_RANGE
        return {
            "ranges": RANGES,
            "chosen_range": name,
            **self._how_it_goes(request, RANGES[name]),
            "in_trouble": self._in_trouble(),
        }

    def _how_it_goes(self, request: HttpRequest, wanted: Range) -> dict[str, Any]:
        owner = self._owner(request)
        if owner is None:  # there is nothing yet: say how to begin
            return self._first_steps(request)
        until = timezone.now()
        since = default_since(until, wanted.width, wanted.length // wanted.width)
        found: dict[str, Any] = {
            "owner": owner,
            "subscriptions": self._choices(),
            "failures": self._failures(since),
        }
        try:
            with turn(self.project, FIGURES, owner=self.figures_owner):
                stats = stats_of(owner, since=since, until=until, width=wanted.width)
                backlog = backlog_of(owner)
        except Busy as busy:
            return {**found, "busy_seconds": busy.wait_seconds}
        if not stats.total.deliveries and not self._has_deliveries():
            found |= self._first_steps(request)
        return {**found, **_figures(stats, backlog, wanted)}

    def _owner(self, request: HttpRequest) -> Project | Subscription | None:
        """Return whose figures are shown: the project's where the visitor may see all of it."""
        if self.sees_all:
            return self.project if self.subscriptions_ever.exists() else None
        wanted = from_public("sub", request.GET.get("subscription", ""))
        subscriptions = self.subscriptions.order_by("id")
        if wanted is None:
            return subscriptions.first()
        chosen = subscriptions.filter(pk=wanted).first()
        if chosen is None:
            raise Http404
        return chosen

    def _choices(self) -> list[Subscription]:
        """Return between which subscriptions the visitor may choose; none where all are shown."""
        if self.sees_all:
            return []
        return list(self.subscriptions.order_by("id").only("id", "url", "description"))

    def _has_deliveries(self) -> bool:
        deliveries = deliveries_of(self.project)
        if not self.sees_all:
            deliveries = deliveries.filter(
                subscription_id__among=list(self.subscriptions_ever.values_list("id", flat=True))
            )
        return deliveries.exists()

    def _in_trouble(self) -> list[Subscription]:
        """Return subscriptions that were switched off lately or keep failing, the worst first."""
        lately = timezone.now() - _LATELY
        reasons = Subscription.DeactivationReason
        deactivated = Q(
            is_active=False,
            deactivated_at__gte=lately,
            deactivation_reason__in=[reasons.FAILURES, reasons.GONE],
        )
        rows = self.subscriptions.filter(deactivated | Q(is_active=True, failure_streak__gt=0))
        order = ("is_active", F("deactivated_at").desc(nulls_last=True), "-failure_streak", "id")
        return list(rows.defer("custom_headers").order_by(*order)[:_IN_TROUBLE_SHOWN])

    def _failures(self, since: datetime) -> list[dict[str, Any]]:
        """Return the newest deliveries of this time that failed, with where they went."""
        failed = created_between(
            deliveries_of(self.project).filter(status=Delivery.Status.FAILED, is_test=False),
            since,
            None,
        )
        urls = dict(self.subscriptions_ever.values_list("id", "url"))
        if not self.sees_all:
            failed = failed.filter(subscription_id__among=list(urls))
        return [
            {
                "delivery": delivery,
                "url": urls.get(delivery.subscription_id, ""),
                "outcome": outcome_name(delivery.last_outcome),
            }
            for delivery in failed.order_by("-id")[:_FAILURES_SHOWN]
        ]

    def _first_steps(self, request: HttpRequest) -> dict[str, Any]:
        """Return what a first event takes: an address and a type of the catalogue's."""
        types = EventType.objects.filter(project=self.project, is_archived=False)
        return {
            "is_new": True,
            "events_url": request.build_absolute_uri(reverse("events", args=[self.project.slug])),
            "event_type": types.values_list("name", flat=True).first() or "order.paid",
        }


def _figures(stats: Stats, backlog: Backlog, wanted: Range) -> dict[str, Any]:
    minutes = max(1.0, (stats.until - stats.since).total_seconds() / 60)
    charts: Charts | None = charts_of(stats, wanted.width) if stats.total.deliveries else None
    return {
        "stats": stats,
        "per_minute": stats.total.deliveries / minutes,
        "backlog": backlog,
        "charts": charts,
    }
