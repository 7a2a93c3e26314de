"""The base of every route below `/projects/{project}`: who calls, on which project, by what scope.

Subclasses name the scope of each method and start their queries from `self.project`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, ClassVar, cast

from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from subscriptions.acting import NOBODY, Actor, acting_as
from subscriptions.api_rates import check_allowed, rate_headers, request_limits
from subscriptions.models import ApiKey, Project, Subscription
from subscriptions.problems import Problem, not_found
from subscriptions.project_scope import find_subscription, project_of_key
from subscriptions.rate_limit import Allowance
from subscriptions.rate_store import Limit, take


class ProjectView(APIView):
    """A route of one project; another project's key finds nothing here."""

    http_method_names = ["get", "head", "post", "patch", "delete"]
    scopes: ClassVar[Mapping[str, str]]
    """Method → the scope that a key needs for it."""

    project: Project
    allowances: Sequence[Allowance] = ()
    """What the limits said of this request; empty where there are none, or Redis is away."""

    def dispatch(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        """Answer; what is done meanwhile is done by the key."""
        with acting_as(self._actor):
            return super().dispatch(request, *args, **kwargs)

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Find the project, once it is known who asks."""
        super().initial(request, *args, **kwargs)
        project = project_of_key(self.api_key, self.kwargs["project"])
        if project is None:
            raise not_found("project")
        self.project = project
        _check_body_has_length(request)

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
        """Tell, with every answer and every refusal, what is left."""
        final = super().finalize_response(request, response, *args, **kwargs)
        for name, value in rate_headers(self.allowances).items():
            final[name] = value
        return final

    @property
    def api_key(self) -> ApiKey:
        """The key of this request."""
        return cast("ApiKey", self.request.auth)

    def _actor(self) -> Actor:
        key = self.request.auth
        return Actor("api_key", key.prefix, key.name) if isinstance(key, ApiKey) else NOBODY

    def find_subscription(self) -> Subscription:
        """Return the project's subscription that the path names; raises a 404."""
        subscription = find_subscription(self.project, self.kwargs["subscription_id"])
        if subscription is None:
            raise not_found("subscription")
        return subscription


def _check_body_has_length(request: Request) -> None:
    """Refuse a chunked body that the server hands on as it came: Django would read it as empty."""
    if "HTTP_TRANSFER_ENCODING" in request.META and not request.META.get("CONTENT_LENGTH"):
        raise Problem(HTTPStatus.LENGTH_REQUIRED, "The request needs a Content-Length.")
