"""Answers what fails outside of views: problem documents for the API, Django's pages elsewhere.

Middleware asks here, too, which addresses are the API's.
"""

from __future__ import annotations

from http import HTTPStatus

from django.http import HttpRequest, HttpResponseBase
from django.views import defaults

from subscriptions.rest.problems import problem_page


def is_api(request: HttpRequest) -> bool:
    """Say whether the address is one of the API's, below whatever path the site is served at."""
    return request.path_info.startswith("/api/")


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    """Answer what Django refused before any view saw it, such as an unknown host."""
    if is_api(request):
        return problem_page(HTTPStatus.BAD_REQUEST, "The request is not acceptable.")
    return defaults.bad_request(request, exception)


def server_error(request: HttpRequest) -> HttpResponseBase:
    """Answer for a mistake of ours; Django has logged it."""
    if is_api(request):
        return problem_page(
            HTTPStatus.INTERNAL_SERVER_ERROR, "Something went wrong on our side; it was logged."
        )
    return defaults.server_error(request)


def unknown_route(request: HttpRequest) -> HttpResponseBase:
    """Answer below `/api/` where no route is, a slash too many included."""
    return problem_page(HTTPStatus.NOT_FOUND, f"There is nothing at {request.path}.")
