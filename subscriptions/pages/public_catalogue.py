"""The catalogue of a project for anybody, where its owner allows it; else it does not exist."""

from __future__ import annotations

from typing import Final

from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from subscriptions.catalogue.entries import find_event_type
from subscriptions.models import EventType, Project
from subscriptions.pages.event_type_forms import indented

_ROWS: Final = 100


@require_safe
def public_catalogue(request: HttpRequest, project: str) -> HttpResponse:
    """`/catalogue/{project}`: what is published now, by name."""
    found = _find(project)
    types = EventType.objects.filter(project=found, is_archived=False)
    entries = types.defer("example", "schema").order_by("name")
    page = Paginator(entries, _ROWS).get_page(request.GET.get("page"))
    return render(request, "event_types/public.html", {"project": found, "page": page})


@require_safe
def public_event_type(request: HttpRequest, project: str, name: str) -> HttpResponse:
    """`/catalogue/{project}/{name}`; a name may hold slashes."""
    found = _find(project)
    entry = find_event_type(found, name)
    if entry is None or entry.is_archived:
        raise Http404
    context = {
        "project": found,
        "entry": entry,
        "example": indented(entry.example),
        "schema": indented(entry.schema),
    }
    return render(request, "event_types/public_one.html", context)


def _find(slug: str) -> Project:
    project = Project.objects.filter(slug=slug, is_catalogue_public=True).first()
    if project is None:
        raise Http404
    return project
