"""The pages of subscriptions but for the one of a single one: list, create, edit, delete."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, ClassVar, Final
from urllib.parse import urlsplit

from django import forms
from django.contrib import messages
from django.core.paginator import Page, Paginator
from django.db.models import OuterRef, Q, QuerySet, Subquery
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from deliveries.costly_requests import FIGURES, Busy, turn
from deliveries.figures.last_day import Hours, LastDay, last_day_of
from deliveries.lifecycle import switching_off
from deliveries.models import Delivery
from deliveries.pages.sparkline import Sparkline, sparkline
from subscriptions.deactivation import Reason
from subscriptions.models import Project, Subscription
from subscriptions.pages.project_page import EDITOR, VIEWER, ProjectPage

PAGE_SIZE: Final = 50

_TYPES_SHOWN: Final = 3

_STATES: Final = {
    "active": Q(is_active=True),
    "deactivated": Q(is_active=False) & ~Q(deactivation_reason=Reason.BY_HAND),
    "paused": Q(is_active=False, deactivation_reason=Reason.BY_HAND),
}


class ListFilters(forms.Form):
    """Which subscriptions are looked for."""

    q = forms.CharField(
        label=gettext_lazy("URL or description"),
        required=False,
        max_length=500,
        widget=forms.TextInput(attrs={"type": "search"}),
    )
    state = forms.ChoiceField(
        label=gettext_lazy("State"),
        required=False,
        choices=[
            ("", gettext_lazy("All")),
            ("active", gettext_lazy("Active")),
            ("deactivated", gettext_lazy("Deactivated")),
            ("paused", gettext_lazy("Paused by hand")),
        ],
    )

    def apply(self, subscriptions: QuerySet[Subscription]) -> QuerySet[Subscription]:
        """Keep what the filters that make sense want."""
        self.full_clean()
        text, state = self.cleaned_data.get("q"), self.cleaned_data.get("state")
        if state:
            subscriptions = subscriptions.filter(_STATES[state])
        if text:
            is_wanted = Q(url__icontains=text) | Q(description__icontains=text)
            subscriptions = subscriptions.filter(is_wanted)
        return subscriptions


@dataclass(frozen=True, slots=True)
class Row:
    """A subscription in the list."""

    subscription: Subscription
    event_types: list[str]
    """The first few."""
    more_event_types: list[str]
    chart: Sparkline | None
    """`None` where figures could not be read now."""
    success_rate: float | None


class SubscriptionListPage(ProjectPage):
    """`subscriptions`."""

    template_name = "subscriptions/list.html"
    roles: ClassVar = {"GET": VIEWER}
    section = "subscriptions-page"

    def context(self, request: HttpRequest) -> dict[str, Any]:
        """Return a page of what the filters want, with figures of the last day."""
        filters = ListFilters(request.GET, label_suffix="")
        found = filters.apply(self.subscriptions).order_by("-id")
        newest = Delivery.objects.filter(subscription=OuterRef("pk")).order_by("-id")
        rows = found.annotate(last_delivery_at=Subquery(newest.values("created_at")[:1]))
        page = Paginator(rows, PAGE_SIZE).get_page(request.GET.get("page"))
        day = _figures(self.project, self.figures_owner) if page.object_list else None
        is_filtered = any(filters.cleaned_data.values())
        return {
            "filters": filters,
            "is_filtered": is_filtered or bool(filters.errors),
            "page": page,
            "rows": list(_rows(page, day)),
            "day": day,
            "api_url": request.build_absolute_uri(
                reverse("subscriptions", args=[self.project.slug])
            ),
            "page_links": _page_links(page, request),
        }


def _figures(project: Project, owner: str) -> LastDay | None:
    """Count the last day; `None` while the same owner reads other figures."""
    try:
        with turn(project, FIGURES, owner=owner):
            return last_day_of(project)
    except Busy:
        return None


def _rows(page: Page[Any], day: LastDay | None) -> Iterator[Row]:
    subscription: Subscription
    for subscription in page.object_list:
        hours = Hours() if day is None else day.by_subscription.get(subscription.id, Hours())
        names = subscription.event_types
        yield Row(
            subscription,
            names[:_TYPES_SHOWN],
            names[_TYPES_SHOWN:],
            None if day is None else sparkline(hours.succeeded, hours.failed),
            hours.success_rate,
        )


def _page_links(page: Page[Any], request: HttpRequest) -> dict[str, str]:
    """Return the addresses of the neighbouring pages, filters kept."""
    links = {}
    for name, has, number in (
        ("newer", page.has_previous(), page.number - 1),
        ("older", page.has_next(), page.number + 1),
    ):
        if has:
            query = request.GET.copy()
            query["page"] = str(number)
            links[name] = f"?{query.urlencode()}"
    return links


class SubscriptionDeletePage(ProjectPage):
    """`subscriptions/{id}/delete`: asks first, for the host name of the URL."""

    template_name = "subscriptions/delete.html"
    roles: ClassVar = {"GET": EDITOR, "POST": EDITOR}
    section = "subscriptions-page"

    def context(self, _request: HttpRequest) -> dict[str, Any]:
        """Return what is to be deleted."""
        subscription = self.find_subscription()
        return {"subscription": subscription, "host": _host_of(subscription), "error": ""}

    def post(self, request: HttpRequest, **_path: str) -> HttpResponse:
        """Delete it if its host's name was typed."""
        subscription = self.find_subscription()
        host = _host_of(subscription)
        if request.POST.get("host", "").strip().casefold() != host:
            error = _("This is not the host name. Nothing was deleted.")
            context = {"subscription": subscription, "host": host, "error": error}
            return self.show(self.template_name, context, status=HTTPStatus.UNPROCESSABLE_ENTITY)
        if not switching_off.delete(subscription):
            raise Http404  # somebody else was faster
        done = _("The subscription to %(host)s was deleted. Its history stays.")
        messages.success(request, done % {"host": host})
        return redirect("subscriptions-page", self.project.slug)


def _host_of(subscription: Subscription) -> str:
    return urlsplit(subscription.url).hostname or subscription.url.casefold()
