"""Sessions, logins and messages: Django's own middleware, for pages only.

Calls of the API carry a key and nothing else that counts; each of these costs them some ten
microseconds. What protects (TLS, hosts, sizes, headers, forgery tokens) is not here.
"""

from __future__ import annotations

from typing import Any, cast

from django.contrib.auth.middleware import AuthenticationMiddleware
from django.contrib.messages.middleware import MessageMiddleware
from django.contrib.sessions.middleware import SessionMiddleware
from django.http import HttpRequest, HttpResponseBase

from dispatcher.error_pages import is_api


class _ForPages:
    """Goes round the middleware that it is mixed into."""

    get_response: Any

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Go on at once where it is the API that is called."""
        if is_api(request):
            return cast("HttpResponseBase", self.get_response(request))
        response: HttpResponseBase = super().__call__(request)  # type: ignore[misc]  # of the other base
        return response


class PageSessions(_ForPages, SessionMiddleware):
    """Reads and writes the session's cookie."""


class PageLogins(_ForPages, AuthenticationMiddleware):
    """Says whose session it is."""


class PageMessages(_ForPages, MessageMiddleware):
    """Keeps what the next page is to say."""
