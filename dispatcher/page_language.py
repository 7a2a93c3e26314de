"""Chooses the language of pages: the visitor's own choice, a cookie, or what the browser asks for.

Middleware. The API and the admin speak English: programs and operators compare what they say.
"""

from __future__ import annotations

from django.http import HttpRequest, HttpResponseBase
from django.middleware.locale import LocaleMiddleware
from django.utils import translation

from dispatcher.error_pages import is_api


class PageLanguage(LocaleMiddleware):
    """Django's own, for the members' pages only."""

    def process_request(self, request: HttpRequest) -> None:
        """Switch to the language for the time of this request."""
        if _is_page(request):
            super().process_request(request)
        else:
            translation.activate("en")

    def process_response(
        self, request: HttpRequest, response: HttpResponseBase
    ) -> HttpResponseBase:
        """Say which language it was."""
        return super().process_response(request, response) if _is_page(request) else response


def _is_page(request: HttpRequest) -> bool:
    return not is_api(request) and not request.path_info.startswith("/admin/")
