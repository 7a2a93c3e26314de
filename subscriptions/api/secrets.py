"""Routes of signing secrets: reveal, rotate, end the overlap.

The same three for a subscription's own secret and, below `/projects/{project}`, for the default.
A secret forges requests: every method needs the scope `manage`, and no answer may be stored.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from http import HTTPStatus

from django.utils.cache import add_never_cache_headers
from rest_framework.request import Request
from rest_framework.response import Response

from subscriptions import secret_rotation
from subscriptions.encryption import SecretUnreadable
from subscriptions.ids import to_public
from subscriptions.models import Subscription
from subscriptions.problems import Problem, not_found
from subscriptions.project_view import ProjectView
from subscriptions.secret_rotation import NoSecret, OverlapUnderWay, SecretState
from subscriptions.serializers import RotationSerializer, SecretSerializer
from subscriptions.signing_secrets import SecretOwner
from subscriptions.strict_fields import read_body

logger = logging.getLogger(__name__)


class SecretView(ProjectView):
    """A route of the secret that the path names."""

    def find_owner(self) -> SecretOwner:
        """Return the subscription of the path, or the project; raises a 404 or 409."""
        if "subscription_id" not in self.kwargs:
            return self.project
        subscription = self.find_subscription()
        if subscription.uses_default_secret:
            raise Problem(
                HTTPStatus.CONFLICT,
                "The project's default secret signs this subscription's requests.",
            )
        return subscription

    def respond(self, what: str, action: Callable[[SecretOwner], SecretState]) -> Response:
        """Answer with the state after an action, and note who saw the secret."""
        owner = self.find_owner()
        try:
            state = action(owner)
        except NoSecret:
            raise not_found("default secret: rotating makes one") from None
        except OverlapUnderWay as overlap:
            raise Problem(HTTPStatus.CONFLICT, _sentence(overlap)) from None
        except SecretUnreadable as error:
            logger.error("secret unreadable %s: %s", _name(owner), error)
            raise Problem(
                HTTPStatus.INTERNAL_SERVER_ERROR, "The secret cannot be read; tell the operator."
            ) from None
        logger.info("secret %s %s key=%s", what, _name(owner), self.api_key)
        response = Response(SecretSerializer(state).data)
        add_never_cache_headers(response)
        return response


class Secret(SecretView):
    """`…/secret`."""

    scopes = {"GET": "manage"}

    def get(self, _request: Request, **_ids: str) -> Response:
        """Reveal what signs now."""
        return self.respond("revealed", secret_rotation.reveal)


class SecretRotation(SecretView):
    """`…/secret/rotate`; the body may be left out."""

    scopes = {"POST": "manage"}

    def post(self, request: Request, **_ids: str) -> Response:
        """Put a new secret in front; the one before signs too, until the overlap ends."""
        wanted = read_body(request, RotationSerializer)
        return self.respond("rotated", lambda owner: secret_rotation.rotate(owner, **wanted))


class SecretExpiry(SecretView):
    """`…/secret/expire`."""

    scopes = {"POST": "manage"}

    def post(self, _request: Request, **_ids: str) -> Response:
        """End the overlap now: only the newest secret signs."""
        return self.respond("expired", secret_rotation.end_overlap)


def _sentence(overlap: OverlapUnderWay) -> str:
    return (
        f"The secret before this one signs until {overlap.ends_at:%Y-%m-%dT%H:%M:%SZ}. Wait, end "
        "the overlap with …/secret/expire, or rotate with overlap_hours 0."
    )


def _name(owner: SecretOwner) -> str:
    if isinstance(owner, Subscription):
        return f"subscription={to_public('sub', owner.id)}"
    return f"project={owner.slug}"
