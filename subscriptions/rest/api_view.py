"""The base of every route that needs a key: who calls, by what scope, how often.

`project_view` goes on from here for the routes of one project; routes of the installation, which
need the scope `operate`, are of this class. Subclasses name the scope of each method.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, ClassVar, cast

from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from subscriptions.access.acting import NOBODY, Actor, acting_as
from subscriptions.models import ApiKey
from subscriptions.rest.problems import Problem
from subscriptions.rest.rate_limit import Allowance
from subscriptions.rest.rate_store import Limit, take
from subscriptions.rest.rates import check_allowed, rate_headers, request_limits
from subscriptions.rest.retirement import Retirement


class ApiView(APIView):
    """A route for those who have a key."""

    http_method_names = ["get", "head", "post", "patch", "delete"]
    scopes: ClassVar[Mapping[str, str]]
    """Method → the scope that a key needs for it."""
    retirement: ClassVar[Retirement | None] = None
    """Set on a route that will go."""

    allowances: Sequence[Allowance] = ()
    """What the limits said of this request; empty where there are none, or Redis is away."""

    def dispatch(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        """Answer; what is done meanwhile is done by the key."""
        with acting_as(self._actor):
            return super().dispatch(request, *args, **kwargs)

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Check who asks, and find what the path is about."""
        super().initial(request, *args, **kwargs)
        self.find_owner_of_path()
        _check_body_has_length(request)

    def find_owner_of_path(self) -> None:
        """Find what the route belongs to, once it is known who asks; may raise a 404."""

    def check_throttles(self, _request: Request) -> None:
        """Take the request's token; DRF calls this once the key and its scope are known."""
        self.take_tokens(1)

    def take_tokens(self, tokens: int) -> None:
        """Take so many tokens of the caller, or none and raise a 429; a batch takes many."""
        self.allowances = take(self.limits(), tokens=tokens)
        check_allowed(self.allowances)

    def limits(self) -> Sequence[Limit]:
        """Return what limits the route."""
        return request_limits(self.api_key)

    def finalize_response(
        self, request: Request, response: Response, *args: Any, **kwargs: Any
    ) -> Response:
        """Tell, with every answer and every refusal, what is left, and whether the route stays."""
        final = super().finalize_response(request, response, *args, **kwargs)
        headers = rate_headers(self.allowances)
        if self.retirement is not None:
            headers |= self.retirement.headers()
        for name, value in headers.items():
            final[name] = value
        return final

    @property
    def api_key(self) -> ApiKey:
        """The key of this request."""
        return cast("ApiKey", self.request.auth)

    @property
    def is_by_operator(self) -> bool:
        """Whether the key is an operator's."""
        return self.api_key.project_id is None

    def _actor(self) -> Actor:
        key = self.request.auth
        return Actor("api_key", key.prefix, key.name) if isinstance(key, ApiKey) else NOBODY


def _check_body_has_length(request: Request) -> None:
    """Refuse a chunked body that the server hands on as it came: Django would read it as empty."""
    if "HTTP_TRANSFER_ENCODING" in request.META and not request.META.get("CONTENT_LENGTH"):
        raise Problem(HTTPStatus.LENGTH_REQUIRED, "The request needs a Content-Length.")
