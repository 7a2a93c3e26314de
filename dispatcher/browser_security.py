"""Tells browsers what pages may do, and answers API calls that came without TLS.

Middleware of every answer. Static files are served before it. Which policy holds is decided by the
path alone, so that error pages have the same as the pages they stand in for.
"""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import Final

from django.conf import settings
from django.http import HttpRequest, HttpResponseBase

from dispatcher.error_pages import is_api
from subscriptions.rest.problems import problem_page

PAGES_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "font-src 'self'; connect-src 'self'; form-action 'self'; frame-ancestors 'none'; "
    "base-uri 'none'"
)

# The admin's look sets styles in attributes, and its scripts evaluate the expressions in its own
# templates. Scripts still come from files of ours only, so what a receiver answered cannot run.
_ADMIN: Final = PAGES_POLICY.replace(
    "script-src 'self'", "script-src 'self' 'unsafe-eval'"
).replace("style-src 'self'", "style-src 'self' 'unsafe-inline'")

_API: Final = "default-src 'none'; frame-ancestors 'none'"

_FEATURES: Final = "camera=(), geolocation=(), microphone=(), payment=(), usb=()"


class BrowserSecurity:
    """The middleware."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Answer, with the headers that browsers heed."""
        response = self._get_response(request)
        response.headers.setdefault("Content-Security-Policy", _policy_for(request))
        response.headers.setdefault("Permissions-Policy", _FEATURES)
        # Secrets, payloads and other people's answers: in no cache, and not behind "back".
        response.headers.setdefault("Cache-Control", "no-store")
        return response


class ApiNeedsTls:
    """The middleware that refuses API calls over plain HTTP, where pages are redirected.

    A redirect would turn a POST into a GET, and hide that the key has been sent in the clear.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Refuse, or go on."""
        if is_api(request) and settings.DISPATCHER_HTTPS and not request.is_secure():
            return problem_page(
                HTTPStatus.FORBIDDEN,
                "Use https://; a key that was sent without TLS should be revoked.",
            )
        return self._get_response(request)


def _policy_for(request: HttpRequest) -> str:
    if request.path_info == "/api/v1/docs":  # a page, and the only one there
        return PAGES_POLICY
    if is_api(request):
        return _API
    return _ADMIN if request.path_info.startswith("/admin/") else PAGES_POLICY
