"""Takes a request's JSON object apart without reading its values, so that payloads stay as given.

Called by routes that take payloads, examples or schemas; the others have their body parsed.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import cast

import msgspec
from django.conf import settings
from rest_framework.request import Request

from subscriptions.field_errors import FieldError, FieldsRefused
from subscriptions.payload import (
    Payload,
    PayloadRefused,
    envelope_from_json,
    member_at_fault,
    payload_from_member,
)
from subscriptions.rest.problems import Problem, field_problem


def read_members(
    request: Request, *, required: tuple[str, ...] = (), optional: tuple[str, ...] = ()
) -> dict[str, bytes]:
    """Split a body into the JSON text of its members, unparsed; every wrong name is an error."""
    members = raw_members(request)
    check_names(members, required=required, optional=optional)
    return members


def raw_members(request: Request) -> dict[str, bytes]:
    """Split a body into the JSON text of its members, whatever their names."""
    return members_from(cast("bytes", request.data or b""))  # of RawJSONParser


def members_from(raw: bytes) -> dict[str, bytes]:
    """Do the same with a body's bytes."""
    try:
        return envelope_from_json(raw)
    except PayloadRefused as refusal:
        raise problem_of_payload(member_at_fault(raw, refusal), refusal) from None


def check_names(
    members: dict[str, bytes], *, required: tuple[str, ...], optional: tuple[str, ...] = ()
) -> None:
    """Refuse members that are unknown or missing, all at once."""
    errors = [
        FieldError(name, "unknown", "There is no such field.")
        for name in members
        if name not in required and name not in optional
    ]
    errors += [
        FieldError(name, "required", "This field is required.")
        for name in required
        if name not in members
    ]
    if errors:
        raise FieldsRefused(errors)


def read_text(field: str, raw: bytes) -> str:
    """Return the string of a member's JSON text."""
    try:
        return _TEXT.decode(raw)
    except msgspec.DecodeError:
        raise FieldsRefused([FieldError(field, "invalid", "This is not a string.")]) from None


def read_payload(field: str, raw: bytes) -> Payload:
    """Return a member's JSON text as a payload, checked and otherwise as given."""
    try:
        return payload_from_member(raw, limit_bytes=settings.DISPATCHER_PAYLOAD_LIMIT_BYTES)
    except PayloadRefused as refusal:
        raise problem_of_payload(field, refusal) from None


def problem_of_payload(field: str, refusal: PayloadRefused) -> Problem:
    """Return the answer to JSON that is not acceptable."""
    is_too_large = refusal.code == "too_large"
    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE if is_too_large else HTTPStatus.BAD_REQUEST
    return field_problem(status, field, refusal.code, str(refusal))


_TEXT = msgspec.json.Decoder(str)
