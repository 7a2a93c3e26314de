"""Cuts a page's list with the cursors that the API's lists have."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from django.db.models import QuerySet
from django.http import HttpRequest

from subscriptions.models import Project
from subscriptions.pages.refusal_words import in_page_language
from subscriptions.rest.cursor_pages import Page, find_page
from subscriptions.rest.problems import Problem

ROWS: Final = 50


@dataclass(frozen=True, slots=True)
class Listed:
    """Rows, and the queries of the pages beside them: the filters of this one, another cursor."""

    rows: list[Any]
    older: str | None = None
    newer: str | None = None
    refusal: str = ""
    """Why there are none: a sentence."""


def page_of(request: HttpRequest, rows: QuerySet[Any], project: Project) -> Listed:
    """Read the page that the request's `cursor` names, by descending id."""
    query: dict[str, Any] = {"limit": ROWS}
    if "cursor" in request.GET:
        query["cursor"] = request.GET["cursor"]
    try:
        page: Page = find_page(rows, project=project, query=query)
    except Problem as problem:
        return Listed([], refusal=in_page_language(str(problem.detail)))
    return Listed(page.rows, _query(request, page.older), _query(request, page.newer))


def _query(request: HttpRequest, cursor: str | None) -> str | None:
    if cursor is None:
        return None
    query = request.GET.copy()
    query["cursor"] = cursor
    return query.urlencode()
