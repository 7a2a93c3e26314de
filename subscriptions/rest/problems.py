"""Says what went wrong, in one shape for every error: RFC 9457 problem documents.

`problem_response` is DRF's exception handler; `problem_page` serves what fails outside of DRF. What
is told is for the customer: nothing of our own making (SQL, stack traces, addresses) goes in.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from http import HTTPStatus
from typing import Any

from django.db import InterfaceError, OperationalError
from django.http import JsonResponse, UnreadablePostError
from rest_framework import exceptions
from rest_framework.response import Response
from rest_framework.settings import api_settings

from subscriptions.field_errors import FieldError, FieldsRefused

logger = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"

RETRY_AFTER_SECONDS = 5
"""What a client is asked to wait when the database is away: a restart takes about that long."""

# RFC 9110 renamed these; Python follows with 3.13.
_TITLES = {413: "Content Too Large", 422: "Unprocessable Content"}


class Problem(exceptions.APIException):
    """An answer that is a problem document; `errors` name the fields, where it is about fields."""

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        errors: Iterable[FieldError] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status_code = status
        self.errors = tuple(errors)
        self.headers = dict(headers or {})


def not_found(what: str) -> Problem:
    """Make the answer for what does not exist, or belongs to somebody else: they look alike."""
    return Problem(HTTPStatus.NOT_FOUND, f"There is no such {what}.")


def field_problem(status: int, field: str, code: str, message: str) -> Problem:
    """Make the answer that one field is wrong."""
    return Problem(status, message, errors=[FieldError(field, code, message)])


def content_too_large(limit_bytes: int) -> Problem:
    """Make the answer that a request's body is too long."""
    message = f"The request's body has more than {limit_bytes} bytes."
    return field_problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "", "too_large", message)


def problem_response(exception: Exception, _context: dict[str, Any]) -> Response | None:
    """Return the problem document of an exception; `None` for our own mistakes (500)."""
    problem = _problem_of(exception)
    if problem is None:
        return None
    return Response(
        _document(problem.status_code, str(problem.detail), problem.errors),
        status=problem.status_code,
        headers=problem.headers,
        content_type=MEDIA_TYPE,
    )


def document_of(exception: Exception) -> dict[str, Any] | None:
    """Return the problem document of an exception as part of an answer; `None` for our mistakes."""
    problem = _problem_of(exception)
    if problem is None:
        return None
    return _document(problem.status_code, str(problem.detail), problem.errors)


def problem_page(status: int, detail: str, errors: Iterable[FieldError] = ()) -> JsonResponse:
    """Return a problem document where DRF is not in charge: unknown paths, our own mistakes."""
    return JsonResponse(_document(status, detail, errors), status=status, content_type=MEDIA_TYPE)


def title_of(status: int) -> str:
    """Return a status in words."""
    return _TITLES.get(status) or HTTPStatus(status).phrase


def _document(status: int, detail: str, errors: Iterable[FieldError]) -> dict[str, Any]:
    return {
        "type": "about:blank",  # RFC 9457, 4.2.1: the status says it; `errors` carry codes
        "title": title_of(status),
        "status": status,
        "detail": detail,
        "errors": [asdict(error) for error in errors],
    }


def _problem_of(exception: Exception) -> Problem | None:
    match exception:
        case Problem():
            return exception
        case FieldsRefused():
            return _refused_fields(exception.errors)
        case exceptions.ValidationError():
            return _refused_fields(_flattened(exception.detail, ()))
        case exceptions.UnsupportedMediaType():
            return field_problem(
                exception.status_code,
                "Content-Type",
                "unsupported",
                "The request's body must be sent as application/json.",
            )
        case exceptions.APIException():
            return Problem(
                exception.status_code, str(exception.detail), headers=_headers_of(exception)
            )
        case UnreadablePostError():
            return Problem(HTTPStatus.BAD_REQUEST, "The request's body ended early.")
        case OperationalError() | InterfaceError():
            return _database_away(exception)
    return None


def _refused_fields(errors: Iterable[FieldError]) -> Problem:
    errors = tuple(errors)
    names = ", ".join(dict.fromkeys(error.field for error in errors if error.field))
    detail = f"Not acceptable: {names}." if names else "The request is not acceptable."
    return Problem(HTTPStatus.BAD_REQUEST, detail, errors=errors)


def _flattened(detail: Any, path: tuple[str, ...]) -> Iterator[FieldError]:
    """Walk DRF's nested errors; a path such as `event_types.0` names the place."""
    if isinstance(detail, dict):
        for name, inner in detail.items():
            is_whole = name == api_settings.NON_FIELD_ERRORS_KEY
            yield from _flattened(inner, path if is_whole else (*path, str(name)))
    elif isinstance(detail, list):
        for inner in detail:
            yield from _flattened(inner, path)
    else:
        yield FieldError(".".join(path), getattr(detail, "code", "invalid"), str(detail))


def _headers_of(exception: exceptions.APIException) -> dict[str, str]:
    headers = {}
    if challenge := getattr(exception, "auth_header", None):
        headers["WWW-Authenticate"] = challenge
    if wait_seconds := getattr(exception, "wait", None):
        headers["Retry-After"] = str(int(wait_seconds))
    return headers


def _database_away(exception: Exception) -> Problem:
    logger.warning("database away: %s", exception)
    return Problem(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "The service is not available right now; try again soon.",
        headers={"Retry-After": str(RETRY_AFTER_SECONDS)},
    )
