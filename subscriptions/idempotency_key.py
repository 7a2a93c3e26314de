"""What an idempotency key is, wherever one is given: with a request, or with an event. Pure."""

from __future__ import annotations

from typing import Final

HEADER: Final = "Idempotency-Key"
REPLAYED_HEADER: Final = "Idempotency-Replayed"
LIMIT_CHARACTERS: Final = 255
REFUSAL: Final = f"An idempotency key is 1 to {LIMIT_CHARACTERS} printable characters."


def is_idempotency_key(text: str) -> bool:
    """Say whether the text can be a key."""
    return 0 < len(text) <= LIMIT_CHARACTERS and text.isprintable()
