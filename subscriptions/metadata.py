"""Decides what a customer may note on a subscription: names and texts of its own.

Called by validation only. Pure: nothing here, or anywhere else, gives these names a meaning.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from subscriptions.field_errors import FieldError, FieldsRefused
from subscriptions.refusal import SettingRefused

LIMIT_NAMES = 50
LIMIT_NAME_CHARACTERS = 40
LIMIT_VALUE_CHARACTERS = 500

_FIELD = "metadata"
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")  # PostgreSQL's JSON takes neither


def check_metadata(metadata: object) -> dict[str, str]:
    """Return the names and values, or raise `FieldsRefused` that names each wrong one.

    Names are 1 to 40 printable characters, values any text of up to 500. What is no object, or has
    too many names, is a `SettingRefused`.
    """
    if not isinstance(metadata, Mapping):
        raise SettingRefused("The metadata are an object of names and texts.")
    if len(metadata) > LIMIT_NAMES:
        raise SettingRefused(f"The metadata have at most {LIMIT_NAMES} names.")
    errors = [error for name, value in metadata.items() for error in _errors_of(name, value)]
    if errors:
        raise FieldsRefused(errors)
    return dict(metadata)


def _errors_of(name: object, value: object) -> Iterator[FieldError]:
    field = f"{_FIELD}.{str(name)[:LIMIT_NAME_CHARACTERS]}"
    if not isinstance(name, str) or not name.isprintable() or not name:
        yield FieldError(field, "invalid", "A name has printable characters, at least one.")
    elif len(name) > LIMIT_NAME_CHARACTERS:
        message = f"A name has at most {LIMIT_NAME_CHARACTERS} characters."
        yield FieldError(field, "max_length", message)
    elif not isinstance(value, str) or _UNSTORABLE.search(value):
        yield FieldError(field, "invalid", "A value is a text.")
    elif len(value) > LIMIT_VALUE_CHARACTERS:
        message = f"A value has at most {LIMIT_VALUE_CHARACTERS} characters."
        yield FieldError(field, "max_length", message)
