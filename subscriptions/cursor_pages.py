"""Cuts lists into pages, newest first, by a cursor that says where the last page ended.

Called by the API's list routes. Ids are sortable by time, so a page costs the same however far back
it lies, and what is added meanwhile neither repeats nor hides anything.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from uuid import UUID

from django.core.signing import BadSignature, Signer
from django.db.models import QuerySet
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.urls import replace_query_param

from subscriptions.models import Project
from subscriptions.problems import field_problem
from subscriptions.strict_fields import StrictSerializer, Text

LIMIT_DEFAULT = 50
LIMIT_MAX = 100

_OLDER, _NEWER = b"o", b"n"


class PageQuery(StrictSerializer):
    """The query parameters of every list."""

    unknown_message = "There is no such parameter."

    limit = serializers.IntegerField(min_value=1, max_value=LIMIT_MAX, default=LIMIT_DEFAULT)
    cursor = Text(required=False)


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where a page begins: beyond this id, towards older or newer rows."""

    id: UUID
    is_towards_newer: bool

    def signed(self, salt: str) -> str:
        """Return the cursor as clients carry it; it is good for one list of one project only."""
        packed = (_NEWER if self.is_towards_newer else _OLDER) + self.id.bytes
        return _signer(salt).sign(base64.urlsafe_b64encode(packed).decode())

    @classmethod
    def from_signed(cls, text: str, salt: str) -> Cursor:
        """Read a cursor; raises `ValueError` for what this list did not hand out."""
        try:
            packed = base64.urlsafe_b64decode(_signer(salt).unsign(text))
        except (BadSignature, binascii.Error) as error:
            raise ValueError("not a cursor of this list") from error
        return cls(UUID(bytes=packed[1:]), is_towards_newer=packed[:1] == _NEWER)


def _signer(salt: str) -> Signer:
    return Signer(salt=f"cursor:{salt}", sep=".")


def page_response(
    request: Request,
    rows: QuerySet[Any],
    *,
    project: Project,
    query: Mapping[str, Any],
    serializer: type[serializers.BaseSerializer[Any]],
) -> Response:
    """Answer one page of `rows`, by descending id, as a validated `PageQuery` asks for it.

    `{"results": […], "next": older page or null, "previous": newer page or null}`; both are URLs.
    """
    salt = f"{project.pk}:{rows.model._meta.label}"
    cursor = _cursor_of(query.get("cursor"), salt)
    page = _read_page(rows, cursor, limit=query["limit"])
    links = {
        name: _link(request, None if neighbour is None else neighbour.signed(salt))
        for name, neighbour in (("next", page.older), ("previous", page.newer))
    }
    return Response({"results": serializer(page.rows, many=True).data, **links})


@dataclass(frozen=True, slots=True)
class _Page:
    rows: list[Any]
    older: Cursor | None
    newer: Cursor | None


def _read_page(rows: QuerySet[Any], cursor: Cursor | None, *, limit: int) -> _Page:
    """Read one row more than asked for: it tells whether there is another page."""
    if cursor is not None and cursor.is_towards_newer:
        found = list(rows.filter(id__gt=cursor.id).order_by("id")[: limit + 1])
        shown = found[:limit][::-1]
        has_older, has_newer = True, len(found) > limit
    else:
        older_rows = rows if cursor is None else rows.filter(id__lt=cursor.id)
        found = list(older_rows.order_by("-id")[: limit + 1])
        shown = found[:limit]
        has_older, has_newer = len(found) > limit, cursor is not None
    if not shown:
        return _Page([], None, None)
    return _Page(
        shown,
        Cursor(shown[-1].id, is_towards_newer=False) if has_older else None,
        Cursor(shown[0].id, is_towards_newer=True) if has_newer else None,
    )


def _cursor_of(text: str | None, salt: str) -> Cursor | None:
    try:
        return None if text is None else Cursor.from_signed(text, salt)
    except ValueError:
        raise field_problem(
            HTTPStatus.BAD_REQUEST, "cursor", "invalid", "This is not a cursor of this list."
        ) from None


def _link(request: Request, cursor: str | None) -> str | None:
    if cursor is None:
        return None
    return replace_query_param(request.build_absolute_uri(), "cursor", cursor)
