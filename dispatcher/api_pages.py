"""Serves the API's OpenAPI description, and a page to browse it: both need no key.

The description is made from the code once per process, and is the same in each.
"""

from __future__ import annotations

import hashlib
import json
from functools import cache

from django.http import HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.utils.cache import get_conditional_response, patch_cache_control
from rest_framework.request import Request
from rest_framework.views import APIView

_FRESH_SECONDS = 300
"""Afterwards its tag is asked for: a new version is seen within minutes."""


class _Public(APIView):
    """A route that needs no key, and that the description leaves out."""

    authentication_classes = ()
    permission_classes = ()
    http_method_names = ["get", "head"]
    schema = None


class Document(_Public):
    """`/api/v1/openapi.json`."""

    def get(self, request: Request) -> HttpResponseBase | None:
        """Return the description, unless the client has it."""
        document = _document()
        response = HttpResponse(document, content_type="application/json")
        response["ETag"] = f'"{hashlib.sha256(document).hexdigest()[:32]}"'
        patch_cache_control(response, public=True, max_age=_FRESH_SECONDS)
        return get_conditional_response(request, etag=response["ETag"], response=response)


class Page(_Public):
    """`/api/v1/docs`."""

    def get(self, request: Request) -> HttpResponseBase:
        """Show the description, with forms to try it out."""
        return render(request, "api/docs.html")


@cache
def _document() -> bytes:
    # Only here, since it takes a while to load and only this needs it.
    from drf_spectacular.generators import SchemaGenerator

    description = SchemaGenerator().get_schema(request=None, public=True)
    return json.dumps(description, ensure_ascii=False, separators=(",", ":")).encode()
