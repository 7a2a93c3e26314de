"""Routes of signing secrets: list, reveal, rotate, end the overlap.

The same four for a subscription's own secret and, below `/projects/{project}`, for the default.
A secret forges requests: what shows it needs the scope `manage`, and no such answer may be stored.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from http import HTTPStatus

from rest_framework.request import Request
from rest_framework.response import Response

from subscriptions.access.audit_log import target_of
from subscriptions.api.serializers import (
    LiveSecretsSerializer,
    RotationSerializer,
    SecretSerializer,
)
from subscriptions.ids import to_public
from subscriptions.models import Subscription
from subscriptions.openapi.operations import operation
from subscriptions.rest.idempotent_requests import SecretResponse, idempotent
from subscriptions.rest.problems import Problem, not_found
from subscriptions.rest.project_view import ProjectView
from subscriptions.rest.strict_fields import read_body
from subscriptions.secrets import secret_rotation
from subscriptions.secrets.encryption import SecretUnreadable
from subscriptions.secrets.secret_rotation import NoSecret, OverlapUnderWay, SecretState
from subscriptions.secrets.signing_secrets import SecretOwner

logger = logging.getLogger(__name__)

_DEFAULT_SIGNS = "The project's default secret signs this subscription's requests."


class SecretView(ProjectView):
    """A route of the secret that the path names."""

    tag = "Secrets"

    def find_owner(self) -> SecretOwner:
        """Return the subscription of the path, or the project; raises a 404 or 409."""
        if "subscription_id" not in self.kwargs:
            return self.project
        subscription = self.find_subscription()
        if subscription.uses_default_secret:
            raise Problem(HTTPStatus.CONFLICT, _DEFAULT_SIGNS)
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
        return SecretResponse(SecretSerializer(state).data, of=target_of(owner))


class SecretList(SecretView):
    """`…/secrets`."""

    scopes = {"GET": "read"}

    @operation(answers={200: LiveSecretsSerializer}, problems={409: _DEFAULT_SIGNS})
    def get(self, _request: Request, **_ids: str) -> Response:
        """List the secrets that sign, without revealing them.

        One, or two while one is rotated in; of a project none before its first rotation.
        """
        live = secret_rotation.list_live(self.find_owner())
        return Response(LiveSecretsSerializer({"results": live}).data)


class Secret(SecretView):
    """`…/secret`."""

    scopes = {"GET": "manage"}

    @operation(answers={200: SecretSerializer}, problems={409: _DEFAULT_SIGNS})
    def get(self, _request: Request, **_ids: str) -> Response:
        """Reveal the secret that signs."""
        return self.respond("revealed", secret_rotation.reveal)


class SecretRotation(SecretView):
    """`…/secret/rotate`; the body may be left out."""

    scopes = {"POST": "manage"}

    @idempotent
    @operation(
        body=RotationSerializer,
        answers={200: SecretSerializer},
        problems={409: f"An overlap is under way. {_DEFAULT_SIGNS}"},
    )
    def post(self, request: Request, **_ids: str) -> Response:
        """Rotate the secret.

        A new one signs, and the one before it too, until the overlap ends. The body may be left
        out.
        """
        wanted = read_body(request, RotationSerializer)
        return self.respond("rotated", lambda owner: secret_rotation.rotate(owner, **wanted))


class SecretExpiry(SecretView):
    """`…/secret/expire`."""

    scopes = {"POST": "manage"}

    @operation(answers={200: SecretSerializer}, problems={409: _DEFAULT_SIGNS})
    def post(self, _request: Request, **_ids: str) -> Response:
        """End the overlap of a rotation now.

        Only the newest secret signs from then on.
        """
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
