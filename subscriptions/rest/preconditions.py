"""Keeps two clients from overwriting each other's changes: `ETag` with a GET, `If-Match` to change.

A tag stands for what can be set, not for what the service counts beside it, so that a busy
subscription's settings can be changed at all (RFC 9110, 13.1.1).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Final, TypeVar

from django.db import transaction
from django.db.models import Model, QuerySet
from rest_framework.request import Request

from subscriptions.rest.problems import Problem

HEADER: Final = "If-Match"

_Row = TypeVar("_Row", bound=Model)


def etag_of(*settings: object) -> str:
    """Return the tag of a state: of all that can be set, or of the time of its last change."""
    return f'"{hashlib.sha256(repr(settings).encode()).hexdigest()[:20]}"'


class ChangedMeanwhile(Exception):
    """The row is not the one that was read; `tag` is what it has now."""

    def __init__(self, tag: str) -> None:
        super().__init__(tag)
        self.tag = tag


@contextmanager
def unchanged(
    rows: QuerySet[_Row], tags: Collection[str], tag_of: Callable[[_Row], str]
) -> Iterator[None]:
    """Let the block change the only one of `rows` if its tag is one of these.

    Nobody else changes the row meanwhile. Raises `ChangedMeanwhile`; a row that is gone is the
    block's to find missing.
    """
    with transaction.atomic():
        current = rows.select_for_update(no_key=True).first()
        if current is not None and tag_of(current) not in tags:
            raise ChangedMeanwhile(tag_of(current))
        yield


@contextmanager
def if_unchanged(
    request: Request, rows: QuerySet[_Row], tag_of: Callable[[_Row], str]
) -> Iterator[None]:
    """Let the block change the only one of `rows` if it is still what the client read, or a 412.

    Without `If-Match`, or with `*`, any state will do.
    """
    wanted = request.headers.get(HEADER, "*").strip()
    if wanted == "*":
        yield
        return
    tags = {tag.strip() for tag in wanted.split(",")}
    try:
        with unchanged(rows, tags, tag_of):
            yield
    except ChangedMeanwhile as changed:
        raise Problem(
            HTTPStatus.PRECONDITION_FAILED,
            "It was changed meanwhile: read it again, and repeat what is still wanted.",
            headers={"ETag": changed.tag},
        ) from None
