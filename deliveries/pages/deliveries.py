"""The history: a project's deliveries, newest first, by filters, with bars over time.

Pages are found by cursors, and nothing is counted but in the histogram, whose cost is bounded: so
it stays fast however many deliveries there are.
"""

from __future__ import annotations

import time
import zlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cached_property
from http import HTTPStatus
from typing import Any, Final
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _

from deliveries.costly_requests import Busy, turn
from deliveries.history.deliveries import deliveries_of, near_of
from deliveries.history.delivery_query import OUTCOMES, STATUS_CLASSES
from deliveries.models import Delivery
from deliveries.pages.delivery_rows import DeliveryRow, rows_of
from deliveries.pages.histogram import HISTOGRAM, Histogram, histogram_of
from deliveries.pages.list_query import ListQuery, deliveries_wanted, read
from deliveries.pages.words import OUTCOME_NAMES, STATUS_NAMES
from subscriptions.ids import from_public
from subscriptions.models import EventType, Subscription
from subscriptions.pages.project_page import ProjectPage
from subscriptions.rest.cursor_pages import LIMIT_DEFAULT, find_page
from subscriptions.rest.problems import Problem

SUBSCRIPTIONS_LISTED: Final = 500
EVENT_TYPES_LISTED: Final = 200

_QUICK_SECONDS: Final = 0.5
"""A list that takes longer to find does not refresh itself."""


@dataclass(frozen=True, slots=True)
class Line:
    """One row of the list."""

    row: DeliveryRow
    subscription: Subscription | None


@dataclass(frozen=True, slots=True)
class Listed:
    """One page of the list."""

    lines: list[Line]
    older: str | None
    newer: str | None
    """Cursors."""
    errors: Mapping[str, str]
    version: str
    """The same as long as it would look the same."""
    is_live: bool

    @property
    def general_error(self) -> str:
        """What is wrong with all of it."""
        return self.errors.get("", "")


class HistoryPage(ProjectPage):
    """What list, live part and export share: filters, and what the visitor may see of them."""

    section = "deliveries-page"

    @cached_property
    def query(self) -> ListQuery:
        """What is asked for."""
        return read(self.request.GET.dict())

    @cached_property
    def among(self) -> Collection[UUID] | None:
        """The subscriptions that the visitor may see; `None`: all of the project's."""
        if self.sees_all:
            return None
        return set(self.subscriptions_ever.values_list("id", flat=True))

    def find(self) -> Listed:
        """Read the page that is asked for."""
        started_at = time.monotonic()
        deliveries, errors = deliveries_wanted(
            self.project, self.query, subscriptions=self.subscriptions_ever, among=self.among
        )
        cursor = self.query.given.get("cursor")
        page_query = {"limit": LIMIT_DEFAULT, "cursor": cursor}
        try:
            page = find_page(
                deliveries, project=self.project, query=page_query, near=near_of(self.query.given)
            )
        except Problem as problem:  # a cursor of another list, or it took too long
            errors[""] = _problem_sentence(problem)
            page = None
        rows = page.rows if page else []
        is_quick = time.monotonic() - started_at < _QUICK_SECONDS
        return Listed(
            self._lines(rows),
            older=page.older if page else None,
            newer=page.newer if page else None,
            errors=errors,
            version=_version(rows),
            is_live=not errors and cursor is None and is_quick and "until" not in self.query.given,
        )

    def _lines(self, deliveries: list[Delivery]) -> list[Line]:
        """Read the subscriptions of all rows at once."""
        ids = {delivery.subscription_id for delivery in deliveries}
        known = self.subscriptions_ever.in_bulk(list(ids)) if ids else {}
        return [
            Line(row, known.get(delivery.subscription_id))
            for delivery, row in zip(deliveries, rows_of(deliveries), strict=True)
        ]


class DeliveriesPage(HistoryPage):
    """`deliveries`."""

    template_name = "deliveries/deliveries.html"

    def get(self, request: HttpRequest, **_path: str) -> HttpResponse:
        """Show the list; who searches for a delivery's id is led to it."""
        searched = self.query.given.get("search", "")
        if from_public("dlv", searched) is not None:
            return redirect("delivery-page", self.project.slug, searched)
        context = self.context(request)
        wrong = HTTPStatus.UNPROCESSABLE_ENTITY if context["listed"].errors else HTTPStatus.OK
        return self.show(self.template_name, context, status=wrong)

    def context(self, _request: HttpRequest) -> dict[str, Any]:
        """Return filters, histogram and rows."""
        listed = self.find()
        histogram, busy_seconds = (None, 0) if listed.errors else self._histogram()
        is_empty = not listed.lines and not listed.errors
        return {
            "listed": listed,
            "query": self.query,
            "finds_beginnings": self.sees_all,
            "histogram": histogram,
            "busy_seconds": busy_seconds,
            "has_no_deliveries": is_empty and (not self.query.filters or not self._has_any()),
            **self._choices(),
        }

    def _histogram(self) -> tuple[Histogram | None, int]:
        """Return the bars; if the project's turn is taken, none, and how many seconds to wait."""
        try:
            with turn(self.project, HISTOGRAM, owner=self.figures_owner):
                return histogram_of(self.project, self.query, self.among), 0
        except Busy as busy:
            return None, busy.wait_seconds

    def _has_any(self) -> bool:
        deliveries = deliveries_of(self.project)
        if self.among is not None:
            deliveries = deliveries.filter(subscription_id__among=list(self.among))
        return deliveries.exists()

    def _choices(self) -> dict[str, Any]:
        subscriptions = self.subscriptions_ever.order_by("-id").only("id", "url", "deleted_at")
        names = EventType.objects.filter(project=self.project).order_by("name")
        return {
            "subscriptions": list(subscriptions[:SUBSCRIPTIONS_LISTED]),
            "statuses": STATUS_NAMES,
            "outcomes": {outcome: OUTCOME_NAMES[outcome] for outcome in OUTCOMES},
            "status_classes": STATUS_CLASSES,
            "event_types": list(names.values_list("name", flat=True)[:EVENT_TYPES_LISTED]),
        }


class DeliveriesLive(HistoryPage):
    """`deliveries/live`: the first page's rows, for a page that has older ones."""

    def get(self, request: HttpRequest, **_path: str) -> HttpResponse:
        """Show them, unless the page has the same already."""
        listed = self.find()
        if request.GET.get("seen") == listed.version:
            return HttpResponse(status=HTTPStatus.NO_CONTENT)
        return self.show("deliveries/list.html", {"listed": listed, "query": self.query})


def _version(deliveries: list[Delivery]) -> str:
    seen = [(each.id.int, each.status, each.attempt_count) for each in deliveries]
    return f"{zlib.crc32(repr(seen).encode()):08x}"


def _problem_sentence(problem: Problem) -> str:
    code = problem.errors[0].code if problem.errors else ""
    if code == "too_slow":
        return _("Finding these took too long: narrow it with “since” and “until”.")
    return _("This page of the list is not known: begin with the first one.")
