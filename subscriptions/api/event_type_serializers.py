"""How event types are written in the API; what their values must be, `event_catalogue` decides."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from rest_framework import serializers

from subscriptions.catalogue.entries import DESCRIPTION_LIMIT_CHARACTERS
from subscriptions.catalogue.imports import CATALOGUES
from subscriptions.catalogue.json_schema import LIMIT_BYTES as SCHEMA_LIMIT_BYTES
from subscriptions.event_types import LIMIT_CHARACTERS, PATTERN
from subscriptions.field_errors import FieldError, FieldsRefused
from subscriptions.payload import LIMIT_BYTES as EXAMPLE_LIMIT_BYTES
from subscriptions.rest.cursor_pages import PageQuery
from subscriptions.rest.exact_json import ExactJson
from subscriptions.rest.strict_fields import Flag, FlagQuery, StrictSerializer, Text
from subscriptions.rest.strict_json import NotStrictJson, parse_json


class EventTypeQuery(PageQuery):
    """The filters of the catalogue."""

    archived = FlagQuery(
        required=False, help_text="Only those that are archived, or only the others."
    )


class EventTypeSerializer(StrictSerializer):
    """An event type of the catalogue."""

    name = Text(
        max_length=LIMIT_CHARACTERS,
        help_text="Letters, digits and `_`, in parts joined by `.`, `:`, `/` or `-`. It stays.",
    )
    description = Text(
        required=False,
        allow_blank=True,
        max_length=DESCRIPTION_LIMIT_CHARACTERS,
        help_text="For people. In the `phrase` format it is the `message` where data has none.",
    )
    example = ExactJson(
        required=False,
        limit_bytes=EXAMPLE_LIMIT_BYTES,
        help_text="Data as such an event has it, kept as text; tests send it. Null: none.",
    )
    schema = ExactJson(
        required=False,
        limit_bytes=SCHEMA_LIMIT_BYTES,
        only_object=True,
        help_text="A JSON Schema (2020-12) that the data of new events must fit, 32 KiB and 32 "
        "levels at most. Null: none.",
    )
    archived = Flag(
        source="is_archived",
        required=False,
        help_text="True: new events of the type are refused. Its history and subscriptions stay.",
    )
    created_at = serializers.DateTimeField(read_only=True, help_text="When it was added.")
    updated_at = serializers.DateTimeField(read_only=True, help_text="When it was last changed.")

    only_when_creating = ("name",)
    keywords: ClassVar[dict[str, dict[str, Any]]] = {
        "name": {"pattern": PATTERN, "examples": ["Task.update"]},
        "example": {"examples": [{"task": {"id": 2, "done": True}}]},
        "schema": {"examples": [{"type": "object", "required": ["task"]}]},
    }


class ImportSerializer(StrictSerializer):
    """Which ready catalogue is wanted."""

    catalogue = serializers.ChoiceField(
        choices=list(CATALOGUES),
        help_text="Whose event types.",
        error_messages={"invalid_choice": f"This is not one of: {', '.join(CATALOGUES)}."},
    )


class ImportedSerializer(StrictSerializer):
    """The catalogue has them all."""

    added = serializers.IntegerField(read_only=True, help_text="Event types that were added.")
    existing = serializers.IntegerField(
        read_only=True, help_text="Those that were there, and were left as they are."
    )


_EXACT = frozenset({"example", "schema"})


def values_of(members: Mapping[str, bytes]) -> dict[str, Any]:
    """Return what an `EventTypeSerializer` reads: the texts of payloads, the values of all else."""
    return {name: raw if name in _EXACT else _value(name, raw) for name, raw in members.items()}


def _value(name: str, raw: bytes) -> Any:
    try:
        return parse_json(raw)
    except NotStrictJson as refusal:
        raise FieldsRefused([FieldError(name, refusal.code, str(refusal))]) from None
