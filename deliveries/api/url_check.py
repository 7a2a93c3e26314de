"""Route of the check of a URL that is not yet saved; here because sending judges, too."""

from __future__ import annotations

from rest_framework.request import Request
from rest_framework.response import Response

from deliveries.api.stats_serializers import UrlCheckSerializer, UrlToCheckSerializer
from deliveries.costly_requests import Busy
from deliveries.url_check import judge_url
from subscriptions.openapi.operations import operation
from subscriptions.rest.project_view import ProjectView
from subscriptions.rest.rates import too_many
from subscriptions.rest.strict_fields import read_body


class UrlCheckView(ProjectView):
    """`/projects/{project}/subscriptions/check-url`: changes nothing, so it keeps no key."""

    scopes = {"POST": "manage"}

    @operation(
        body=UrlToCheckSerializer,
        answers={200: UrlCheckSerializer},
        name="check_subscription_url",
    )
    def post(self, request: Request, **_ids: str) -> Response:
        """Say whether requests to a URL would be let out.

        As saving and sending judge it, its name looked up now. Nothing is sent there, and nothing
        stored; whether anybody answers there, a test tells.
        """
        given = read_body(request, UrlToCheckSerializer)
        try:
            checked = judge_url(self.project, given["url"])
        except Busy as busy:
            raise too_many("busy", str(busy), busy.wait_seconds) from None
        return Response(UrlCheckSerializer(checked).data)
