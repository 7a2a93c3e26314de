"""Deliveries as short lists show them: where each stands, in words and with its colour."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from deliveries.models import Delivery
from deliveries.pages.words import STATUS_NAMES, outcome_name

_TONES: Final = {"succeeded": "good", "failed": "bad", "pending": "warn", "sending": "warn"}


@dataclass(frozen=True, slots=True)
class DeliveryRow:
    """One line of the list."""

    delivery: Delivery
    status: str
    tone: str
    """A class of `.state`; empty: none."""
    outcome: str
    """Of the last attempt; empty before the first, and where the status says it all."""


def rows_of(deliveries: Iterable[Delivery]) -> list[DeliveryRow]:
    """Return each one's line."""
    return [
        DeliveryRow(
            delivery,
            str(STATUS_NAMES.get(delivery.status, delivery.status)),
            _TONES.get(delivery.status, ""),
            ""
            if delivery.last_outcome in ("", "succeeded")
            else outcome_name(delivery.last_outcome),
        )
        for delivery in deliveries
    ]
