"""Gives each request an id, and says for the audit log who makes it and from where.

The first entry of `MIDDLEWARE`, so that its id is in every answer and every log line. Who calls the
API is known later, in `project_view`; here it is whoever is logged in.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable
from typing import Any, Final

from django.http import HttpRequest, HttpResponseBase

from subscriptions.access.acting import NOBODY, Actor, Origin, acting_from, current_origin
from subscriptions.access.client_address import address_of
from subscriptions.ids import new_id

HEADER: Final = "X-Request-Id"
_META_NAME: Final = "HTTP_X_REQUEST_ID"

_SANE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
"""Taken over from a proxy or a client; anything else could forge log lines, or is no id."""


_PORTAL_TOKEN = re.compile(r"/portal/[^/\s'\"]+")
"""Whoever reads it could open the link."""


class RequestContext:
    """Middleware: the request's id into the answer, its origin for what happens meanwhile."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Answer the request."""
        address = address_of(request)
        origin = Origin(
            who=lambda: user_actor(getattr(request, "user", None)),
            address=None if address is None else str(address),
            request_id=_request_id(request),
        )
        with acting_from(origin):
            response = self._get_response(request)
        response.headers[HEADER] = origin.request_id
        return response


class RequestIdFilter(logging.Filter):
    """Gives log records `request_note`: ` request=…` while one is answered, else nothing."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Add it; let every record pass."""
        request_id = current_origin().request_id
        record.request_note = f" request={request_id}" if request_id else ""
        return True


class LineFormatter(logging.Formatter):
    """Writes log lines without the tokens of portal links, wherever in a line an address stands.

    A formatter and no filter: arguments may be requests or exceptions, and a traceback is text only
    here.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._second: tuple[int, str] = (-1, "")
        """The last one that was written, and how."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, traceback included."""
        line = super().format(record)
        return _PORTAL_TOKEN.sub("/portal/…", line) if "/portal/" in line else line

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:
        """Return date and time as `logging` does, which writes each second anew for every line."""
        second = int(record.created)
        if self._second[0] != second:
            text = time.strftime(datefmt or self.default_time_format, time.localtime(second))
            self._second = (second, text)
        return self._second[1] if datefmt else f"{self._second[1]},{int(record.msecs):03d}"


def user_actor(user: object) -> Actor:
    """Return the actor that a person's login is; nobody, while there is none."""
    if not getattr(user, "is_authenticated", False):
        return NOBODY
    return Actor("user", str(user.pk), user.get_username())  # type: ignore[attr-defined]  # a user


def _request_id(request: HttpRequest) -> str:
    given = request.META.get(_META_NAME, "")  # `headers` would read all of them
    return given if _SANE.fullmatch(given) else new_id().hex
