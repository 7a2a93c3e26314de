"""Finds every route of the API in the URLconf, and what its methods take: new ones come unasked.

A path parameter, body or filter that nobody here knows a value for is an error, so that no route is
left out in silence.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from django.urls import URLPattern, URLResolver, get_resolver
from rest_framework import serializers

from subscriptions.openapi.operations import Operation
from subscriptions.rest.api_view import ApiView
from subscriptions.rest.project_view import ProjectView
from subscriptions.rest.strict_fields import PublicId

ROOT = "api/v1/"
_Serializer = type[serializers.BaseSerializer[Any]]
_PARAMETER = re.compile(r"<(?:\w+:)?(\w+)>")


@dataclass(frozen=True)
class Route:
    """One method of one route."""

    method: str
    template: str
    view: type[ApiView]
    operation: Operation

    def __str__(self) -> str:
        return f"{self.method} {self.template}"

    @property
    def scope(self) -> str:
        """What a key needs."""
        return self.view.scopes[self.method]

    @property
    def is_of_project(self) -> bool:
        """Whether it lies below a project."""
        return issubclass(self.view, ProjectView)

    @property
    def parameters(self) -> list[str]:
        """The names in its path."""
        return _PARAMETER.findall(self.template)

    def path(self, values: Mapping[str, str]) -> str:
        """Return the path with values filled in; raises a `KeyError` for an unknown parameter."""
        filled = _PARAMETER.sub(lambda found: quote(values[found[1]]), self.template)
        return f"/{filled}"


def api_routes() -> list[Route]:
    """Return every method of every route that needs a key."""
    return [
        Route(method.upper(), template, view, getattr(view, method).operation)
        for template, view in _patterns()
        if view is not None and issubclass(view, ApiView)
        for method in view.http_method_names
        if method != "head" and hasattr(view, method)
    ]


def routes_without_a_key() -> set[str]:
    """Return what else lies below the API's root."""
    return {
        template
        for template, view in _patterns()
        if template.startswith("api/") and not (view and issubclass(view, ApiView))
    }


def ids_taken(serializer: _Serializer | None) -> Iterator[tuple[str, str]]:
    """Return the names and prefixes of the ids that a body or query takes; `name[]`: a list."""
    for name, field in _fields(serializer).items():
        if isinstance(field, PublicId):
            yield name, field.prefix
            continue
        inner = getattr(field, "child", field)
        if isinstance(inner, PublicId):
            yield f"{name}[]", inner.prefix
            continue
        takes_ids = isinstance(inner, serializers.Serializer) and any(ids_taken(type(inner)))
        assert not takes_ids, f"{serializer}.{name} has ids inside: teach the walk to send them"


def texts_taken(serializer: _Serializer | None) -> list[str]:
    """Return the names of a query's fields that take any text."""
    fields = _fields(serializer).items()
    return [name for name, field in fields if isinstance(field, serializers.CharField)]


def _fields(
    serializer: _Serializer | None,
) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
    if serializer is None or not issubclass(serializer, serializers.Serializer):
        return {}
    return {name: field for name, field in serializer().fields.items() if not field.read_only}


def _patterns() -> Iterator[tuple[str, Any]]:
    yield from _walk(get_resolver(), "")


def _walk(resolver: URLResolver, before: str) -> Iterator[tuple[str, Any]]:
    for entry in resolver.url_patterns:
        template = before + str(entry.pattern).removeprefix("^")
        if isinstance(entry, URLResolver):
            yield from _walk(entry, template)
        elif isinstance(entry, URLPattern):
            yield template, getattr(entry.callback, "cls", None)


def page_paths(values: Mapping[str, str]) -> list[str]:
    """Return the path of every page below a project; raises a `KeyError` for an unknown parameter.

    Of no page is it known which methods it has: that is found by asking.
    """
    below = "projects/<slug:project>/"
    templates = [path for path in _page_templates(get_resolver()) if path.startswith(below)]
    return [
        f"/{_PARAMETER.sub(lambda found: quote(values[found[1]]), template)}"
        for template in templates
    ]


def _page_templates(resolver: URLResolver, before: str = "") -> Iterator[str]:
    for entry in resolver.url_patterns:
        template = before + str(entry.pattern)
        if isinstance(entry, URLResolver):
            yield from _page_templates(entry, template)
        elif isinstance(entry, URLPattern):
            yield template
