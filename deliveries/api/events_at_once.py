"""Publishes an event past REST framework, when everything about the request is as it should be.

Called before the route of events (`events.answer_at_once`). It only ever accepts: what is in doubt,
and all that is refused, goes the ordinary way from the start, which knows the reasons and the
words. What must not be done twice, taking a token, is told.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec
from django.core.exceptions import DisallowedHost, RequestDataTooBig
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, UnreadablePostError
from msgspec.structs import replace

from deliveries.publishing.at_once import can_publish_at_once, publish_at_once
from deliveries.publishing.new_events import CheckedEvent, EventRefused, NewEvent, check_event
from deliveries.publishing.published import Published
from subscriptions.access.known_keys import KnownKey, known_keys
from subscriptions.field_errors import FieldsRefused
from subscriptions.rest.conventions import credentials_of
from subscriptions.rest.problems import Problem
from subscriptions.rest.rate_limit import Allowance
from subscriptions.rest.rate_store import take
from subscriptions.rest.rates import publish_limits
from subscriptions.rest.raw_members import check_names, members_from, read_payload, read_text

_PLAIN_JSON: Final = frozenset(
    {"application/json", "application/json; charset=utf-8", "application/json;charset=utf-8"}
)
"""Other ways of saying it are the parser's to read."""

_NOT_PLAIN: Final = ("HTTP_CONTENT_ENCODING", "HTTP_TRANSFER_ENCODING")


class Tried(msgspec.Struct, frozen=True):
    """How far it came; the ordinary way goes on from there, unless the event was published."""

    published: Published | None = None
    allowances: Sequence[Allowance] | None = None
    """What the limits said; `None`: no token was taken."""
    failure: Exception | None = None
    """The event may be stored, or the body is half read: nobody must try again."""


NOT_TRIED: Final = Tried()


def try_at_once(request: HttpRequest, slug: str) -> Tried:
    """Publish the request's event, if it is beyond doubt that it is to be accepted."""
    if not _is_plain(request) or not can_publish_at_once():
        return NOT_TRIED
    tried = NOT_TRIED
    try:
        known = _key_of(request, slug)
        if known is None:
            return tried
        tried = Tried(allowances=take(publish_limits(known.key, slug)))
        return replace(tried, published=_publish(request, known, tried))
    except (Problem, FieldsRefused, EventRefused, RequestDataTooBig):
        return tried
    except (UnreadablePostError, OperationalError, InterfaceError) as failure:
        return replace(tried, failure=failure)


def _publish(request: HttpRequest, known: KnownKey, tried: Tried) -> Published | None:
    if not all(allowance.is_allowed for allowance in tried.allowances or ()):
        return None
    published = publish_at_once(known.project.pk, _event_of(request), revision=known.revision)
    if published is None:
        known_keys.forget(known)
    return published


def _is_plain(request: HttpRequest) -> bool:
    meta = request.META
    is_json = meta.get("CONTENT_TYPE", "").lower() in _PLAIN_JSON
    return is_json and not any(name in meta for name in _NOT_PLAIN) and _is_for_us(request)


def _is_for_us(request: HttpRequest) -> bool:
    try:
        request.get_host()
    except DisallowedHost:
        return False
    return True


def _key_of(request: HttpRequest, slug: str) -> KnownKey | None:
    """Return the request's key if it may publish in this project."""
    credentials = credentials_of(request)
    known = known_keys.find(credentials) if credentials else None
    if known is None or known.project.slug != slug or not known.key.has_scope("publish"):
        return None
    return known


def _event_of(request: HttpRequest) -> CheckedEvent:
    members = members_from(request.body)
    check_names(members, required=("type", "data"))
    return check_event(
        NewEvent(
            read_text("type", members["type"]),
            read_payload("data", members["data"]),
            request.META.get("HTTP_IDEMPOTENCY_KEY"),
        )
    )
