"""The base of every route below `/projects/{project}`: who calls, on which project, by what scope.

Subclasses name the scope of each method and start their queries from `self.project`.
"""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, ClassVar, cast

from rest_framework.request import Request
from rest_framework.views import APIView

from subscriptions.models import ApiKey, Project, Subscription
from subscriptions.problems import Problem, not_found
from subscriptions.project_scope import find_subscription, project_of_key


class ProjectView(APIView):
    """A route of one project; another project's key finds nothing here."""

    http_method_names = ["get", "head", "post", "patch", "delete"]
    scopes: ClassVar[Mapping[str, str]]
    """Method → the scope that a key needs for it."""

    project: Project

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Find the project, once it is known who asks."""
        super().initial(request, *args, **kwargs)
        project = project_of_key(self.api_key, self.kwargs["project"])
        if project is None:
            raise not_found("project")
        self.project = project
        _check_body_has_length(request)

    @property
    def api_key(self) -> ApiKey:
        """The key of this request."""
        return cast("ApiKey", self.request.auth)

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
