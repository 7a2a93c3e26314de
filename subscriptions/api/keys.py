"""Routes of a project's API keys: make, list, name, end them.

An operator's keys belong to no project and are not found here; `manage.py create_key` makes them.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from http import HTTPStatus
from typing import Any, ClassVar, cast

from django.db.models import QuerySet
from django.urls import reverse
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from subscriptions.access.api_keys import (
    ALL_SCOPES,
    NAME_LIMIT_CHARACTERS,
    KeyEnded,
    KeySettings,
    change_key,
    make_key,
    revoke,
)
from subscriptions.access.audit_log import target_of
from subscriptions.field_errors import FieldError, FieldsRefused
from subscriptions.ids import from_public, to_public
from subscriptions.models import ApiKey
from subscriptions.openapi.operations import ETAG, LOCATION, operation
from subscriptions.rest.cursor_pages import PageQuery, page_response
from subscriptions.rest.idempotent_requests import SecretResponse, idempotent
from subscriptions.rest.preconditions import etag_of, if_unchanged
from subscriptions.rest.problems import Problem, not_found
from subscriptions.rest.project_view import ProjectView
from subscriptions.rest.strict_fields import (
    Moment,
    PublicId,
    StrictSerializer,
    Text,
    read_body,
    read_query,
)

_ENDED = "The key is revoked or expired, and stays so."


class KeySerializer(StrictSerializer):
    """An API key; what it is in full is told once, when it is made."""

    id = PublicId("key", source="public_id", read_only=True, help_text="Sorts by time.")
    name = Text(required=False, allow_blank=True, help_text="What it is for; may be empty.")
    prefix = serializers.CharField(
        read_only=True, help_text="Its first characters, to recognise it by."
    )
    scopes = serializers.ListField(
        child=serializers.ChoiceField(choices=ALL_SCOPES),
        allow_empty=False,
        help_text="What it may do: `publish` events; `read`; `manage` subscriptions, send tests, "
        "redeliver; `own`: change the project, its members and its keys.",
    )
    created_at = serializers.DateTimeField(read_only=True, help_text="When it was made.")
    expires_at = Moment(
        required=False, allow_null=True, help_text="It is good until then; null: for ever."
    )
    revoked_at = serializers.DateTimeField(
        read_only=True, allow_null=True, help_text="Since when it is revoked; or null."
    )
    last_used_at = serializers.DateTimeField(
        read_only=True, allow_null=True, help_text="To the minute; null if never."
    )

    keywords: ClassVar[dict[str, dict[str, Any]]] = {
        "name": {"maxLength": NAME_LIMIT_CHARACTERS, "examples": ["Shop backend"]},
        "prefix": {"examples": ["whd_q7Yb2kLm"]},
        "scopes": {"minItems": 1, "examples": [["publish"]]},
        "expires_at": {"examples": ["2027-01-31T00:00:00Z"]},
    }
    only_when_creating: ClassVar = ("scopes",)


class CreatedKeySerializer(KeySerializer):
    """The new key; only this answer holds it in full."""

    key = serializers.CharField(
        read_only=True,
        help_text="The key as clients send it. It is not shown again, but to who repeats the "
        "request with its `Idempotency-Key`.",
    )

    keywords: ClassVar[dict[str, dict[str, Any]]] = {
        "key": {"examples": ["whd_q7Yb2kLmWx4PzR8tVn1cD5eF6gH9jK0sA3uQyTiOpBw"]}
    }


class KeyList(ProjectView):
    """`/projects/{project}/keys`."""

    scopes = {"GET": "own", "POST": "own"}

    @operation(query=PageQuery, page_of=KeySerializer)
    def get(self, request: Request, **_ids: str) -> Response:
        """List the project's keys, newest first.

        Those that are revoked or expired too.
        """
        return page_response(
            request,
            ApiKey.objects.filter(project=self.project),
            project=self.project,
            query=read_query(request, PageQuery),
            serializer=KeySerializer,
        )

    @idempotent
    @operation(body=KeySerializer, answers={201: CreatedKeySerializer}, gives=[LOCATION])
    def post(self, request: Request, **_ids: str) -> Response:
        """Create a key of the project.

        Of all answers about it only this one holds the key itself.
        """
        key, plain = make_key(self.project, **read_body(request, KeySerializer))
        ids = {"project": self.project.slug, "key_id": to_public("key", key.public_id)}
        return SecretResponse(
            {**KeySerializer(key).data, "key": plain},
            of=target_of(key),
            status=HTTPStatus.CREATED,
            headers={"Location": reverse("key", kwargs=ids), "ETag": _tag_of(key)},
        )


class KeyDetail(ProjectView):
    """`/projects/{project}/keys/{id}`."""

    scopes = {"GET": "own", "PATCH": "own", "DELETE": "own"}

    @operation(answers={200: KeySerializer}, gives=[ETAG])
    def get(self, _request: Request, **_ids: str) -> Response:
        """Show a key."""
        return _shown(self._find())

    @operation(
        body=KeySerializer,
        answers={200: KeySerializer},
        problems={409: _ENDED},
        gives=[ETAG],
        is_conditional=True,
    )
    def patch(self, request: Request, **_ids: str) -> Response:
        """Change the name or the expiry of a key.

        Its scopes stay as they were given; what has ended is not revived.
        """
        key = self._find()
        settings = read_body(request, KeySerializer, partial=True)
        if "scopes" in settings:
            message = "The scopes of a key stay: make another, and revoke this one."
            raise FieldsRefused([FieldError("scopes", "not_changeable", message)])
        with self._if_unchanged(request, key):
            try:
                changed = change_key(key, cast("KeySettings", settings))
            except KeyEnded:
                raise Problem(HTTPStatus.CONFLICT, _ENDED) from None
        return _shown(changed)

    @operation(answers={204: None}, is_conditional=True)
    def delete(self, request: Request, **_ids: str) -> Response:
        """Revoke a key.

        At once and for good; a key may revoke itself. It stays in the list.
        """
        key = self._find()
        with self._if_unchanged(request, key):
            revoke(key)
        return Response(status=HTTPStatus.NO_CONTENT)

    def _find(self) -> ApiKey:
        identifier = from_public("key", self.kwargs["key_id"])
        key = None if identifier is None else self._keys().filter(public_id=identifier).first()
        if key is None:
            raise not_found("key")
        return key

    def _keys(self) -> QuerySet[ApiKey]:
        return ApiKey.objects.filter(project=self.project)

    def _if_unchanged(self, request: Request, key: ApiKey) -> AbstractContextManager[None]:
        return if_unchanged(request, self._keys().filter(pk=key.pk), _tag_of)


def _shown(key: ApiKey) -> Response:
    return Response(KeySerializer(key).data, headers={"ETag": _tag_of(key)})


def _tag_of(key: ApiKey) -> str:
    return etag_of(key.name, key.scopes, key.expires_at, key.revoked_at)
