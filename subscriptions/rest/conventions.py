"""What holds for every route of the API: who is calling, what a key may do, how bodies are read.

Named in the settings (`REST_FRAMEWORK`). DRF loads it while it loads its own views, so it must not
import those; errors are in `problems`, pages of lists in `cursor_pages`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import IO, Any

from django.http import HttpRequest
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.parsers import BaseParser
from rest_framework.permissions import BasePermission
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request

from subscriptions.access.api_keys import authenticate
from subscriptions.access.client_address import HasMeta, address_of
from subscriptions.models import ApiKey
from subscriptions.rest.problems import Problem, field_problem
from subscriptions.rest.rates import note_failed_key
from subscriptions.rest.strict_json import NotStrictJson, parse_json

_UTF8_NAMES = frozenset({"utf-8", "utf8", "us-ascii"})


class ApiKeyAuthentication(BaseAuthentication):
    """`Authorization: Bearer <key>`; `request.auth` is then the `ApiKey`."""

    def authenticate(self, request: Request) -> tuple[None, ApiKey] | None:
        """Return the key, `None` when none was sent; raises when it is not good.

        A 401 or, where one client sends many that are not, a 429.
        """
        credentials = credentials_of(request)
        if credentials is None:
            return None
        key = authenticate(credentials)
        if key is None:
            note_failed_key(address_of(request))
            raise AuthenticationFailed("The API key is unknown, expired or revoked.")
        return None, key

    def authenticate_header(self, _request: Request) -> str:
        """Return the challenge of a 401 (RFC 6750, section 3)."""
        return 'Bearer realm="api"'


def credentials_of(request: HasMeta) -> str | None:
    """Return what stands for a key in the request; `None` when there is nothing."""
    scheme, _, credentials = request.META.get("HTTP_AUTHORIZATION", "").partition(" ")
    return credentials.strip() if scheme.lower() == "bearer" else None


class HasScope(BasePermission):
    """The key carries the scope that the view names for the method."""

    def has_permission(self, request: Request, view: Any) -> bool:
        """Say whether the request may go on; a missing scope is named in the answer."""
        if not isinstance(request.auth, ApiKey):
            return False
        scope = view.scopes.get("GET" if request.method == "HEAD" else request.method)
        if scope is not None and not request.auth.has_scope(scope):
            raise Problem(HTTPStatus.FORBIDDEN, f"The API key lacks the scope '{scope}'.")
        return True  # a method without a scope has no handler either: 405


class AlwaysJSON(DefaultContentNegotiation):
    """Answers JSON whatever `Accept` says (RFC 9110, 12.4.1 allows it), rather than 406."""

    def select_renderer(
        self,
        _request: Request,
        renderers: Iterable[BaseRenderer],
        _format_suffix: str | None = None,
    ) -> tuple[BaseRenderer, str]:
        """Return the only renderer."""
        renderer = next(iter(renderers))
        return renderer, renderer.media_type


class RawJSONParser(BaseParser):
    """Hands the bytes of a JSON body on as they are; too long a one does not come here.

    Whoever serves the API refuses it by its announced length (`dispatcher.request_size`).
    """

    media_type = "application/json"

    def parse(
        self,
        stream: IO[Any],
        _media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        """Return the body, or raise a 415 when it is encoded."""
        request: HttpRequest = (parser_context or {})["request"]._request
        _check_encoding(request)
        return stream.read()


class StrictJSONParser(RawJSONParser):
    """Reads a JSON body; what could be read in two ways is refused."""

    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        """Return the body's value, or raise a 400 that says what is wrong."""
        try:
            return parse_json(super().parse(stream, media_type, parser_context))
        except NotStrictJson as refusal:
            raise field_problem(HTTPStatus.BAD_REQUEST, "", refusal.code, str(refusal)) from None


def _check_encoding(request: HttpRequest) -> None:
    coding = request.META.get("HTTP_CONTENT_ENCODING", "identity").strip().lower()
    if coding not in {"", "identity"}:
        raise field_problem(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            "Content-Encoding",
            "unsupported",
            "The request's body must be sent without a content encoding.",
        )
    charset = (request.content_params or {}).get("charset", "utf-8").strip().lower()
    if charset not in _UTF8_NAMES:
        raise field_problem(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            "Content-Type",
            "unsupported",
            "The request's body must be UTF-8.",
        )
