"""Publishes events before anything that only pages need, and before routes are looked up.

Middleware: nothing is called as often. What is not beyond doubt goes on as any other request does.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from django.http import HttpRequest, HttpResponseBase

from deliveries.api.events import answer_at_once

EVENTS: Final = re.compile(r"/api/v1/projects/([-a-zA-Z0-9_]+)/events")
"""The path of the route `events`."""


class EventsFirst:
    """The middleware; those that protect every answer come before it."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Answer, or go on."""
        events = EVENTS.fullmatch(request.path_info) if request.method == "POST" else None
        answer = None if events is None else answer_at_once(request, events[1])
        return self._get_response(request) if answer is None else answer
