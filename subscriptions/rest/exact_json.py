"""Writes answers as JSON in which some values are texts already: payloads keep their own digits.

DRF's own renderer would read 1.10 and write 1.1. Named in the settings (`REST_FRAMEWORK`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from rest_framework import serializers
from rest_framework.renderers import JSONRenderer
from rest_framework.utils.encoders import JSONEncoder

from subscriptions.payload import Payload, PayloadRefused, payload_from_json

RAW_NULL = b"null"


class ExactJSONRenderer(JSONRenderer):
    """JSON in UTF-8; a `msgspec.Raw` goes out as the text that it holds."""

    def render(
        self,
        data: Any,
        _accepted_media_type: str | None = None,
        _renderer_context: Mapping[str, Any] | None = None,
    ) -> bytes:
        """Return the bytes of an answer."""
        return b"" if data is None else msgspec.json.encode(data, enc_hook=_plain)


def _plain(value: Any) -> Any:
    """Return what DRF makes of a value that is none of JSON's own: texts that are lazy, or more."""
    return str(value) if isinstance(value, str) else JSONEncoder().default(value)


def members_of(text: str) -> Any:
    """Return an answer's members as they were written: texts as such, all else as it stands."""
    if not text.startswith("{"):
        return msgspec.Raw(text.encode())
    members = _MEMBERS.decode(text)
    return {
        name: msgspec.json.decode(raw) if bytes(raw).startswith(b'"') else msgspec.Raw(raw)
        for name, raw in members.items()
    }


class ExactJson(serializers.Field[Any, bytes, Any, Any]):
    """Any JSON text, kept as it was given; null: none. It comes as bytes (`raw_members`)."""

    def __init__(self, *, limit_bytes: int, only_object: bool = False, **options: Any) -> None:
        super().__init__(**options)
        self.limit_bytes = limit_bytes
        self.only_object = only_object

    def to_internal_value(self, data: bytes) -> Payload | None:
        """Return the checked text."""
        if bytes(data) == RAW_NULL:
            return None
        try:
            payload = payload_from_json(data, limit_bytes=self.limit_bytes)
        except PayloadRefused as refusal:
            raise serializers.ValidationError(str(refusal), refusal.code) from None
        if self.only_object and not payload.is_object:
            raise serializers.ValidationError("This is not a JSON object.", "not_an_object")
        return payload

    def to_representation(self, value: str) -> msgspec.Raw | None:
        """Return the stored text; null where there is none, or none that an answer can hold."""
        try:
            return _ANY.decode(value.encode()) if value else None
        except (msgspec.DecodeError, RecursionError):  # it was stored past the rules
            return None

    def json_schema(self, _direction: str) -> dict[str, Any]:
        """Return what the API's description says of it."""
        return {"type": ["object", "null"]} if self.only_object else {}


_ANY = msgspec.json.Decoder(msgspec.Raw)
_MEMBERS = msgspec.json.Decoder(dict[str, msgspec.Raw])
