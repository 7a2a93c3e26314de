"""Pages of a project's event types: the catalogue with how much each is used, and one of them."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, ClassVar, Final

from django.contrib import messages
from django.core.paginator import Paginator
from django.db.models import Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import gettext as _

from deliveries.costly_requests import FIGURES, Busy, turn
from deliveries.figures.type_usage import DAYS, Usage, usage_of
from deliveries.pages.charts import HEIGHT, round_top, stacked_bars
from subscriptions.access.project_scope import wanting
from subscriptions.access.projects import change_project
from subscriptions.catalogue.entries import (
    EventTypeExists,
    EventTypeGone,
    change_event_type,
    create_event_type,
    delete_event_type,
    find_event_type,
)
from subscriptions.catalogue.imports import CATALOGUES, import_catalogue
from subscriptions.event_types import is_event_type
from subscriptions.field_errors import FieldsRefused
from subscriptions.models import EventType
from subscriptions.pages.event_type_forms import ChangeForm, NewForm, indented, tag_of
from subscriptions.pages.form_errors import add_errors
from subscriptions.pages.project_page import EDITOR, OWNER, VIEWER, ProjectPage
from subscriptions.pages.refusal_words import in_page_language
from subscriptions.rest.preconditions import ChangedMeanwhile, unchanged

_ROWS: Final = 100
_SUBSCRIPTIONS_SHOWN: Final = 20
_UNKNOWN_SHOWN: Final = 20
_UNKNOWN_SEARCHED: Final = 500


class EventTypePages(ProjectPage):
    """What both pages need."""

    roles: ClassVar = {"GET": VIEWER, "POST": EDITOR}
    section = "event-types-page"

    def refuse_visitors(self) -> None:
        """Raise a 404 for who looks through a portal: the catalogue is the provider's."""
        if not self.may_catalogue:
            raise Http404

    def usage(self) -> Usage | None:
        """Return how much is published, if it is the project's turn and the visitor's to know."""
        if not self.sees_all:
            return None
        try:
            with turn(self.project, FIGURES):
                return usage_of(self.project)
        except Busy:
            return None


class EventTypes(EventTypePages):
    """`/projects/{project}/event-types`."""

    template_name = "event_types/list.html"

    def context(self, request: HttpRequest) -> dict[str, Any]:
        """Return a page of the catalogue, by name, and what the forms begin with."""
        search, shown = request.GET.get("search", "").strip(), request.GET.get("show", "current")
        found = _searched(EventType.objects.filter(project=self.project), search)
        if shown != "all":
            found = found.filter(is_archived=shown == "archived")
        page = Paginator(found.order_by("name"), _ROWS).get_page(request.GET.get("page"))
        usage = self.usage()
        is_first = not search and page.number == 1
        return {
            "search": search,
            "shown": shown,
            "page": page,
            "rows": [(entry, usage.types.get(entry.name) if usage else None) for entry in page],
            "usage": usage,
            "usage_days": DAYS,
            "unknown": self._unknown(usage) if usage and is_first else [],
            "catalogues": CATALOGUES,
            "form": NewForm(initial={"name": request.GET.get("name", "")[:128]}),
            "public_url": self._public_url(request),
        }

    def post(self, request: HttpRequest, **_path: str) -> HttpResponse:
        """Add an event type, or show the catalogue to the public, or stop that."""
        self.refuse_visitors()
        if "public" in request.POST:
            return self._set_public(is_public=request.POST["public"] == "yes")
        form = NewForm(request.POST)
        if form.is_valid():
            try:
                created = create_event_type(self.project, form.settings())
            except FieldsRefused as refused:
                add_errors(form, refused)
            except EventTypeExists:
                form.add_error("name", _("The catalogue has an event type of this name already."))
            else:
                said = _("%(name)s is in the catalogue now.") % {"name": created.name}
                messages.success(request, said)
                return redirect("event-type-page", self.project.slug, created.name)
        context = self.context(request) | {"form": form}
        return self.show(self.template_name, context, status=HTTPStatus.UNPROCESSABLE_ENTITY)

    def _set_public(self, *, is_public: bool) -> HttpResponse:
        if not self.may(OWNER):
            raise Http404
        change_project(self.project, {"is_catalogue_public": is_public})
        said = (
            _("Anybody who has its address may read the catalogue now.")
            if is_public
            else _("Only members of the project may read the catalogue now.")
        )
        messages.success(self.request, said)
        return redirect("event-types-page", self.project.slug)

    def _public_url(self, request: HttpRequest) -> str:
        if self.grant is not None:
            return ""
        return request.build_absolute_uri(reverse("public-catalogue", args=[self.project.slug]))

    def _unknown(self, usage: Usage) -> list[tuple[str, int]]:
        """Return what is published and not in the catalogue, the most frequent first."""
        frequent = sorted(usage.types.items(), key=lambda item: -item[1].count)
        names = [name for name, _used in frequent[:_UNKNOWN_SEARCHED] if is_event_type(name)]
        known = set(
            EventType.objects.filter(project=self.project, name__in=names).values_list(
                "name", flat=True
            )
        )
        unknown = [(name, usage.types[name].count) for name in names if name not in known]
        return unknown[:_UNKNOWN_SHOWN]


class EventTypeImport(EventTypePages):
    """`/projects/{project}/event-types/import`; no event type has this name."""

    http_method_names = ["post"]

    def post(self, request: HttpRequest, **_path: str) -> HttpResponse:
        """Add a ready catalogue; what is there already stays as it is."""
        self.refuse_visitors()
        wanted = request.POST.get("catalogue", "")
        if wanted not in CATALOGUES:
            messages.error(request, _("There is no such ready catalogue."))
            return redirect("event-types-page", self.project.slug)
        try:
            done = import_catalogue(self.project, wanted)
        except FieldsRefused as refused:
            sentences = (in_page_language(error.message) for error in refused.errors)
            messages.error(request, " ".join(sentences))
        else:
            said = _("%(added)d event types were added; %(existing)d were there already.")
            messages.success(request, said % {"added": done.added, "existing": done.existing})
        return redirect("event-types-page", self.project.slug)


class EventTypePage(EventTypePages):
    """`/projects/{project}/event-types/{name}`; a name may hold slashes."""

    template_name = "event_types/one.html"

    def context(self, _request: HttpRequest) -> dict[str, Any]:
        """Return the event type, how much it is used, and who wants it."""
        entry = self._find()
        wanted_by = wanting(self.subscriptions, entry.name)
        subscriptions = wanted_by.defer("custom_headers").order_by("id")
        usage = self.usage()
        return {
            "entry": entry,
            "example": indented(entry.example),
            "schema": indented(entry.schema),
            "usage": usage,
            "usage_days": DAYS,
            **_chart(usage, entry.name),
            "subscriptions": list(subscriptions[:_SUBSCRIPTIONS_SHOWN]),
            "subscription_count": wanted_by.count(),
            "form": ChangeForm.of(entry),
        }

    def post(self, request: HttpRequest, **_path: str) -> HttpResponse:
        """Change or delete the event type."""
        self.refuse_visitors()
        entry = self._find()
        if "delete" in request.POST:
            delete_event_type(entry)
            said = _("%(name)s is not in the catalogue any more.") % {"name": entry.name}
            messages.success(request, said)
            return redirect("event-types-page", self.project.slug)
        form = ChangeForm.of(entry, request.POST)
        if form.is_valid():
            try:
                with unchanged(EventType.objects.filter(pk=entry.pk), [form.tag], tag_of):
                    change_event_type(entry, form.settings())
            except FieldsRefused as refused:
                add_errors(form, refused)
            except EventTypeGone:
                raise Http404 from None
            except ChangedMeanwhile:  # since it was read above
                form = ChangeForm.of(self._find(), request.POST)
            else:
                messages.success(request, _("The event type was changed."))
                return redirect("event-type-page", self.project.slug, entry.name)
        context = self.context(request) | {"form": form}
        return self.show(self.template_name, context, status=HTTPStatus.UNPROCESSABLE_ENTITY)

    def _find(self) -> EventType:
        entry = find_event_type(self.project, self.kwargs["name"])
        if entry is None:
            raise Http404
        return entry


def _searched(entries: QuerySet[EventType], search: str) -> QuerySet[EventType]:
    """Keep what has the text in its name or description; a NUL is in none."""
    if "\0" in search:
        return entries.none()
    if search:
        entries = entries.filter(Q(name__icontains=search) | Q(description__icontains=search))
    return entries.defer("example", "schema")


def _chart(usage: Usage | None, name: str) -> dict[str, Any]:
    used = usage.types.get(name) if usage else None
    if usage is None or used is None:
        return {"used": None}
    bars = stacked_bars({"ok": used.by_day}, round_top(max(used.by_day)))
    return {
        "used": used,
        "chart_height": HEIGHT,
        "days": list(zip(usage.days, used.by_day, bars, strict=True)),
    }
