"""Reads a request's JSON so that it means one thing: no duplicate keys, no NaN, no broken text.

Called by the API's parser for settings. Events are read by `payload`, which keeps their text. Pure:
it must not know what the values are for.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Never

LIMIT_DEPTH = 100
"""Nested arrays and objects, as in `subscriptions.payload`; settings have three."""


class NotStrictJson(ValueError):
    """A text is not acceptable as JSON; `str()` is a sentence for the customer, `code` is stable.

    Codes: `not_json`, `not_utf8`, `not_a_number`, `duplicate_key`, `lone_surrogate`,
    `nul_character`, `too_deep`: those of `subscriptions.payload`.
    """

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code


def parse_json(raw: bytes) -> Any:
    """Return the value of a JSON text (RFC 8259), or raise `NotStrictJson`."""
    try:
        value = _DECODER.decode(raw.decode())
        _check_inside(value, depth=1)
    except UnicodeDecodeError:
        raise NotStrictJson("not_utf8", "The body is not valid UTF-8.") from None
    except RecursionError:
        raise _too_deep() from None
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise NotStrictJson(
            "not_json", f"The body is not valid JSON: {error.msg} ({place})."
        ) from None
    return value


def _refuse_duplicates(members: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(members)
    if len(value) < len(members):
        names = [name for name, _ in members]
        name = next(name for name in names if names.count(name) > 1)
        raise NotStrictJson(
            "duplicate_key", f"The key {json.dumps(name[:60])} occurs twice in one object."
        )
    return value


def _refuse_constant(_name: str) -> Never:
    raise NotStrictJson("not_a_number", "The body contains NaN or an infinity.")


def _finite(convert: Callable[[str], float]) -> Callable[[str], float]:
    """Numbers that Python cannot hold (4300 digits, 1e999) are no settings of anybody's."""

    def read(digits: str) -> float:
        try:
            number = convert(digits)
        except ValueError:
            raise NotStrictJson("not_a_number", "The body contains too long a number.") from None
        if abs(number) == float("inf"):
            raise NotStrictJson("not_a_number", "The body contains too large a number.")
        return number

    return read


def _check_inside(value: Any, *, depth: int) -> None:
    """Refuse what PostgreSQL, headers and logs cannot hold: NUL, and halves of surrogate pairs."""
    if depth > LIMIT_DEPTH:
        raise _too_deep()
    match value:
        case str():
            if "\0" in value:
                raise NotStrictJson("nul_character", "The body contains a NUL character.")
            try:
                value.encode()
            except UnicodeEncodeError:
                raise NotStrictJson(
                    "lone_surrogate", "The body contains half of a surrogate pair."
                ) from None
        case list():
            for entry in value:
                _check_inside(entry, depth=depth + 1)
        case dict():
            for name, member in value.items():
                _check_inside(name, depth=depth)
                _check_inside(member, depth=depth + 1)


def _too_deep() -> NotStrictJson:
    return NotStrictJson("too_deep", f"The body is nested deeper than {LIMIT_DEPTH} levels.")


_DECODER = json.JSONDecoder(
    object_pairs_hook=_refuse_duplicates,
    parse_constant=_refuse_constant,
    parse_int=_finite(int),
    parse_float=_finite(float),
)
