"""Refuses a request whose body is announced as too long, on every route, before it is read.

Middleware that stands before whatever reads a body; the web servers hand such a request on unread.
"""

from __future__ import annotations

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseBase

from dispatcher.error_pages import is_api
from subscriptions.rest.problems import content_too_large, problem_page


class RequestSize:
    """The middleware."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Refuse, or go on."""
        limit_bytes = _limit_bytes(request)
        if _announced_bytes(request) <= limit_bytes:
            return self._get_response(request)
        problem = content_too_large(limit_bytes)
        sentence = str(problem.detail)
        if is_api(request):
            return problem_page(problem.status_code, sentence, problem.errors)
        return HttpResponse(sentence, status=problem.status_code, content_type="text/plain")


def _limit_bytes(request: HttpRequest) -> int:
    is_batch = is_api(request) and request.path_info.endswith("/events/batch")
    name = "DISPATCHER_BATCH_LIMIT_BYTES" if is_batch else "DATA_UPLOAD_MAX_MEMORY_SIZE"
    limit_bytes: int = getattr(settings, name)
    return limit_bytes


def _announced_bytes(request: HttpRequest) -> int:
    try:
        return int(request.META.get("CONTENT_LENGTH") or 0)
    except ValueError:  # Django reads such a body as empty
        return 0
