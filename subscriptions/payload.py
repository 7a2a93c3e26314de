"""Takes an event's payload in and keeps it as JSON text, exactly as given but for white space.

Called by ingest, by the catalogue and by the routes that take such texts. Numbers never become
Python numbers here, so that 30 digits stay 30 digits. Pure: it must not know where text is stored.
"""

from __future__ import annotations

import json
import re
from datetime import date, datetime, time
from decimal import Decimal
from itertools import accumulate
from typing import Never
from uuid import UUID

import msgspec

LIMIT_BYTES = 256 * 1024
"""The default of the largest payload, measured on its compact UTF-8 text."""

LIMIT_DEPTH = 100
"""Nested arrays and objects; receivers' parsers give up between 64 (.NET) and 1000 (Python)."""


class PayloadRefused(ValueError):
    """A payload is not acceptable; `str()` is one sentence for the customer, `code` is stable.

    Codes: `not_json`, `not_utf8`, `not_a_number`, `duplicate_key`, `lone_surrogate`,
    `nul_character`, `too_deep`, `too_large`, `not_an_object`, `not_an_array`, `not_serializable`.
    """

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code


_DEEPEST_MEMBER = "data"
"""Of what is published, only this may be nested at all."""


class Payload(msgspec.Struct, frozen=True, gc=False):
    """An acceptable payload: compact JSON text whose UTF-8 form has `size_bytes`."""

    text: str
    size_bytes: int
    is_object: bool


def payload_from_json(raw: bytes | str, *, limit_bytes: int = LIMIT_BYTES) -> Payload:
    """Return the JSON text as given, less insignificant white space, or raise `PayloadRefused`.

    Escapes, number notations and key order stay. Beyond RFC 8259 it refuses what some receiver or
    store cannot hold: duplicate keys, lone surrogates, NUL, more than `LIMIT_DEPTH` levels.
    """
    compact, text = _read(raw)
    payload = _payload(compact, text, limit_bytes)
    _check_keys(text)
    return payload


def payload_from_member(compact: bytes, *, limit_bytes: int = LIMIT_BYTES) -> Payload:
    """Return a text that `envelope_from_json` gave, or one inside of it, or raise `PayloadRefused`.

    It was read as JSON then, with all of its keys: this looks at what was left to be judged.
    """
    return _payload(compact, compact.decode(), limit_bytes)


def payload_from_python(value: object, *, limit_bytes: int = LIMIT_BYTES) -> Payload:
    """Return the value as JSON text, or raise `PayloadRefused`.

    Takes what `json.dumps` takes, and dates and times (ISO 8601, `Z` for UTC), `UUID` and `Decimal`
    as strings. An integer beyond Python's own limit (4300 digits) can be published as JSON only.
    """
    try:
        text = _ENCODER.encode(value)
    except RecursionError:
        raise _too_deep() from None
    except (TypeError, ValueError) as error:
        raise _not_serializable(error) from None
    return payload_from_json(text, limit_bytes=limit_bytes)


def envelope_from_json(raw: bytes | str) -> dict[str, bytes]:
    """Split a JSON object into its members' raw JSON text, or raise `PayloadRefused`.

    Only the outermost level is taken apart; a member's text is compact and otherwise as given.
    A payload among the members is still to be judged by `payload_from_member`.
    """
    compact, text = _read(raw)
    if not text.startswith("{"):
        raise PayloadRefused("not_an_object", "The request's body is not a JSON object.")
    _check_keys(text)
    return {key: bytes(value) for key, value in _ENVELOPE.decode(compact).items()}


def members_of(raw: bytes) -> dict[str, bytes]:
    """Split an object inside of a text that was judged already; raises `PayloadRefused`."""
    try:
        return {key: bytes(value) for key, value in _ENVELOPE.decode(raw).items()}
    except msgspec.DecodeError:
        raise PayloadRefused("not_an_object", "This is not a JSON object.") from None


def entries_of(raw: bytes) -> list[bytes]:
    """Split an array inside of a text that was judged already; raises `PayloadRefused`."""
    try:
        return [bytes(entry) for entry in _ENTRIES.decode(raw)]
    except msgspec.DecodeError:
        raise PayloadRefused("not_an_array", "This is not a JSON array.") from None


def member_at_fault(raw: bytes, refusal: PayloadRefused) -> str:
    """Return the member of a JSON object for which `envelope_from_json` refused it; "" if unknown.

    Reads the text again, more leniently: only what was refused is worth that.
    """
    try:
        members = json.loads(raw)
    except RecursionError:
        return _DEEPEST_MEMBER
    except ValueError:
        return ""
    for name, value in members.items() if isinstance(members, dict) else ():
        try:
            payload_from_python(value)
        except PayloadRefused as refused:
            if refused.code == refusal.code:
                return str(name)
    return ""


def _payload(compact: bytes, text: str, limit_bytes: int) -> Payload:
    if len(compact) > limit_bytes:
        raise PayloadRefused(
            "too_large",
            f"The payload has {len(compact)} bytes as compact JSON; at most {limit_bytes} are "
            "allowed.",
        )
    _check_depth(compact)
    _check_no_nul(text)
    return Payload(text, len(compact), is_object=text.startswith("{"))


def _read(raw: bytes | str) -> tuple[bytes, str]:
    """Return valid JSON without insignificant white space, as bytes and as text."""
    utf8 = _utf8(raw)
    try:
        # Strict but for UTF-8; compared with the standard library on a million malformed texts.
        compact: bytes = msgspec.json.format(utf8, indent=-1)
    except RecursionError:
        raise _too_deep() from None
    except msgspec.DecodeError:
        raise _why_not_json(utf8) from None
    try:
        return compact, compact.decode()
    except UnicodeDecodeError:
        raise PayloadRefused("not_utf8", "The payload is not valid UTF-8.") from None


def _utf8(raw: bytes | str) -> bytes:
    if isinstance(raw, bytes):
        return raw
    try:
        return raw.encode()
    except UnicodeEncodeError:
        raise _lone_surrogate() from None


def _why_not_json(utf8: bytes) -> PayloadRefused:
    """Find the sentence for what msgspec refused; the standard library is laxer and says where."""
    try:
        _ANYTHING.decode(utf8.decode())
    except UnicodeDecodeError:
        return PayloadRefused("not_utf8", "The payload is not valid UTF-8.")
    except PayloadRefused as refusal:
        return refusal
    except RecursionError:
        return _too_deep()
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        return PayloadRefused("not_json", f"The payload is not valid JSON: {error.msg} ({place}).")
    return _lone_surrogate()


def _check_depth(compact: bytes) -> None:
    if compact.count(b"[") + compact.count(b"{") <= LIMIT_DEPTH:
        return  # the usual case: there are not even that many brackets
    brackets = _NOT_BRACKETS.sub(b"", compact)
    if max(accumulate(1 if bracket in b"[{" else -1 for bracket in brackets)) > LIMIT_DEPTH:
        raise _too_deep()


def _check_no_nul(text: str) -> None:
    """A NUL can stand in JSON only as an escape; PostgreSQL, C strings and logs break on it."""
    if "\\u0000" in text and _ESCAPED_NUL.search(text):
        raise PayloadRefused("nul_character", "The payload contains a NUL character (\\u0000).")


def _check_keys(text: str) -> None:
    try:
        _KEYS.decode(text)
    except RecursionError:  # within `LIMIT_DEPTH`, but the caller is deep in its own calls
        raise _too_deep() from None


def _refuse_duplicates(members: list[tuple[str, object]]) -> None:
    if len(dict(members)) < len(members):
        names = [name for name, _ in members]
        name = next(name for name in names if names.count(name) > 1)
        raise PayloadRefused(
            "duplicate_key", f"The key {json.dumps(name[:60])} occurs twice in one object."
        )


def _refuse_constant(_name: str) -> Never:
    raise _not_a_number()


def _as_json_string(value: object) -> str:
    match value:
        case datetime():
            text = value.isoformat()
            return text[: -len("+00:00")] + "Z" if text.endswith("+00:00") else text
        case date() | time():
            return value.isoformat()
        case UUID() | Decimal():
            return str(value)
    raise TypeError(f"a value of the type {type(value).__name__} has no form in JSON")


def _not_serializable(error: Exception) -> PayloadRefused:
    return PayloadRefused("not_serializable", f"The payload cannot be written as JSON: {error}.")


def _not_a_number() -> PayloadRefused:
    return PayloadRefused("not_a_number", "The payload contains NaN or an infinity.")


def _lone_surrogate() -> PayloadRefused:
    return PayloadRefused("lone_surrogate", "The payload contains half of a surrogate pair.")


def _too_deep() -> PayloadRefused:
    return PayloadRefused("too_deep", f"The payload is nested deeper than {LIMIT_DEPTH} levels.")


# NaN may pass here: reading the text again refuses it by its own name.
_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=True, default=_as_json_string)

# Numbers are left as their text: converting is not needed, and would fail beyond 4300 digits.
_ANYTHING = json.JSONDecoder(parse_int=str, parse_float=str, parse_constant=_refuse_constant)
_KEYS = json.JSONDecoder(parse_int=str, parse_float=str, object_pairs_hook=_refuse_duplicates)

_ENVELOPE = msgspec.json.Decoder(dict[str, msgspec.Raw])
_ENTRIES = msgspec.json.Decoder(list[msgspec.Raw])

_NOT_BRACKETS = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"|[^][{}"]++', re.DOTALL)
_ESCAPED_NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")
