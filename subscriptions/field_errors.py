"""How several fields are refused at once: each by name, with a stable code and a sentence.

Raised by the use cases that take a customer's settings; API, forms and admin show it their own way.
Pure: it must not know who asked.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FieldError:
    """What is wrong with one field."""

    field: str
    """As the customer named it, `event_types.0` for an entry; empty for the input as a whole."""
    code: str
    """Stable, for programs: `required`, `invalid`, `https_only`, …"""
    message: str
    """One sentence for the customer."""


class FieldsRefused(ValueError):
    """Settings are not acceptable; nothing was stored."""

    def __init__(self, errors: Iterable[FieldError]) -> None:
        self.errors = tuple(errors)
        super().__init__("; ".join(f"{error.field}: {error.message}" for error in self.errors))
