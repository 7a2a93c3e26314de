"""Tells clients that a route will go: since when it is deprecated, and when it ends.

A view names its `Retirement`; every answer then says so, and so does the OpenAPI document
(RFC 9745, RFC 8594). Pure.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime


@dataclass(frozen=True, slots=True)
class Retirement:
    """What will become of a route."""

    deprecated_at: datetime
    sunset_at: datetime | None
    """From then on it may answer 410; `None`: not decided yet."""
    read_more_url: str
    """What to use instead."""

    def headers(self) -> dict[str, str]:
        """Return what every answer of the route carries."""
        headers = {
            "Deprecation": f"@{int(self.deprecated_at.timestamp())}",
            "Link": f'<{self.read_more_url}>; rel="deprecation"; type="text/html"',
        }
        if self.sunset_at is not None:
            headers["Sunset"] = format_datetime(self.sunset_at.astimezone(UTC), usegmt=True)
        return headers
