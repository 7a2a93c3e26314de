"""Cuts lists into pages, newest first, by a cursor that says where the last page ended.

Called by the API's list routes and by pages. Ids are sortable by time (or count up), so a page
costs the same however far back it lies, and what is added meanwhile neither repeats nor hides
anything.
"""

from __future__ import annotations

import base64
import binascii
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from http import HTTPStatus
from typing import Any, Final, cast
from uuid import UUID

from django.core.signing import BadSignature, Signer
from django.db import OperationalError, connection, transaction
from django.db.models import Q, QuerySet
from django.utils import timezone
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.urls import replace_query_param

from subscriptions.ids import first_id_of, shifted
from subscriptions.models import Project
from subscriptions.rest.problems import field_problem
from subscriptions.rest.strict_fields import StrictSerializer, Text

LIMIT_DEFAULT = 50
LIMIT_MAX = 100

LIMIT_MS: Final = 3000
"""A list that is read longer is narrowed by who asks: others want the database too."""

_QUERY_CANCELED: Final = "57014"  # https://www.postgresql.org/docs/current/errcodes-appendix.html

_OLDER, _NEWER = b"o", b"n"
_INT_BYTES = 8  # of ids that count up; a UUID has 16


class PageQuery(StrictSerializer):
    """The query parameters of every list."""

    unknown_message = "There is no such parameter."

    limit = serializers.IntegerField(
        min_value=1, max_value=LIMIT_MAX, default=LIMIT_DEFAULT, help_text="Entries on a page."
    )
    cursor = Text(
        required=False, help_text="Of `next` or `previous`: where the page begins. Not to be made."
    )


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where a page begins: beyond this id, towards older or newer rows."""

    id: UUID | int
    is_towards_newer: bool

    def signed(self, salt: str) -> str:
        """Return the cursor as clients carry it; it is good for one list of one project only."""
        identifier = self.id.to_bytes(_INT_BYTES) if isinstance(self.id, int) else self.id.bytes
        packed = (_NEWER if self.is_towards_newer else _OLDER) + identifier
        return _signer(salt).sign(base64.urlsafe_b64encode(packed).decode())

    @classmethod
    def from_signed(cls, text: str, salt: str) -> Cursor:
        """Read a cursor; raises `ValueError` for what this list did not hand out."""
        try:
            packed = base64.urlsafe_b64decode(_signer(salt).unsign(text))
        except (BadSignature, binascii.Error) as error:
            raise ValueError("not a cursor of this list") from error
        way, identifier = packed[:1], packed[1:]
        is_int = len(identifier) == _INT_BYTES
        return cls(
            int.from_bytes(identifier) if is_int else UUID(bytes=identifier),
            is_towards_newer=way == _NEWER,
        )


def _signer(salt: str) -> Signer:
    return Signer(salt=f"cursor:{salt}", sep=".")


def page_response(
    request: Request,
    rows: QuerySet[Any],
    *,
    project: Project | None,
    query: Mapping[str, Any],
    serializer: type[serializers.BaseSerializer[Any]],
    near: timedelta | None = None,
) -> Response:
    """Answer one page of `rows`, by descending id, as a validated `PageQuery` asks for it.

    `project` is whose list it is; `None`: the installation's. `near` is for rows in partitions,
    each of which costs PostgreSQL time to plan: those within so much time of the cursor, or of now,
    are read first, and no others where they fill the page.
    `{"results": […], "next": older page or null, "previous": newer page or null}`; both are URLs.
    On PostgreSQL a page that takes longer than `LIMIT_MS` to find is refused with a 400.
    """
    page = find_page(rows, project=project, query=query, near=near)
    links = {"next": _link(request, page.older), "previous": _link(request, page.newer)}
    return Response({"results": serializer(page.rows, many=True).data, **links})


@dataclass(frozen=True, slots=True)
class Page:
    """Rows, newest first, and the cursors of the pages beside them, as clients carry them."""

    rows: list[Any]
    older: str | None
    newer: str | None


def find_page(
    rows: QuerySet[Any],
    *,
    project: Project | None,
    query: Mapping[str, Any],
    near: timedelta | None = None,
) -> Page:
    """Read one page as `page_response` does; raises a `Problem` for a bad cursor, or too slow."""
    salt = f"{project.pk if project else ''}:{rows.model._meta.label}"
    cursor = _cursor_of(query.get("cursor"), salt)
    with limited_time() as go_on:
        parts = _parts(rows, cursor, near)
        found = _read_page(parts, cursor, limit=query["limit"], go_on=go_on)
    return Page(
        found.rows,
        older=None if found.older is None else found.older.signed(salt),
        newer=None if found.newer is None else found.newer.signed(salt),
    )


@contextmanager
def limited_time() -> Iterator[Callable[[], None]]:
    """Let PostgreSQL give up what takes too long; filters that have no index may be so.

    Whoever asks it several things calls what this gives before each but the first: the time is for
    all of them.
    """
    if connection.vendor != "postgresql":
        yield lambda: None
        return
    until = time.monotonic() + LIMIT_MS / 1000

    def go_on() -> None:
        left_ms = max(1, round(1000 * (until - time.monotonic())))
        with connection.cursor() as cursor:
            cursor.execute(f"SET LOCAL statement_timeout = {left_ms:d}")

    try:
        with transaction.atomic():
            go_on()
            yield go_on
            transaction.set_rollback(True)  # nothing was written: ends the setting everywhere
    except OperationalError as error:
        if getattr(error.__cause__, "sqlstate", None) != _QUERY_CANCELED:
            raise
        raise field_problem(HTTPStatus.BAD_REQUEST, "", "too_slow", _TOO_SLOW) from None


_TOO_SLOW: Final = (
    "Finding these took too long: narrow it, by `since` and `until` where the list has them."
)


@dataclass(frozen=True, slots=True)
class _Page:
    rows: list[Any]
    older: Cursor | None
    newer: Cursor | None


def _parts(
    rows: QuerySet[Any], cursor: Cursor | None, near: timedelta | None
) -> Iterator[QuerySet[Any]]:
    """Yield what lies beyond the cursor, in order: all of it, or what is near and then the rest."""
    if cursor is None:
        beyond = rows.order_by("-id")
    elif cursor.is_towards_newer:
        beyond = rows.filter(id__gt=cursor.id).order_by("id")
    else:
        beyond = rows.filter(id__lt=cursor.id).order_by("-id")
    if near is None:
        yield beyond
    else:
        for part in _near_and_far(cursor, near):
            yield beyond.filter(part)


def _near_and_far(cursor: Cursor | None, near: timedelta) -> tuple[Q, Q]:
    begin = first_id_of(timezone.now()) if cursor is None else cursor.id
    begin = cast("UUID", begin)  # ids that count up have no time in them
    if cursor is not None and cursor.is_towards_newer:
        edge = shifted(begin, near)
        return Q(id__lt=edge), Q(id__gte=edge)
    edge = shifted(begin, -near)
    return Q(id__gte=edge), Q(id__lt=edge)


def _read_page(
    parts: Iterable[QuerySet[Any]],
    cursor: Cursor | None,
    *,
    limit: int,
    go_on: Callable[[], None],
) -> _Page:
    """Read one row more than asked for: it tells whether there is another page."""
    found: list[Any] = []
    for number, rows in enumerate(parts):
        if number:
            go_on()
        found += rows[: limit + 1 - len(found)]
        if len(found) > limit:
            break
    has_more = len(found) > limit
    if cursor is not None and cursor.is_towards_newer:
        shown, has_older, has_newer = found[:limit][::-1], True, has_more
    else:
        shown, has_older, has_newer = found[:limit], has_more, cursor is not None
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
