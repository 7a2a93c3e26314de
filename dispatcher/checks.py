"""Checks at start what no single setting can: that the values fit together.

Run by every management command, and by each worker before it sends (`dispatcher.celery`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, register
from django.db import connection

RECORDING_SECONDS = 2
"""What a lease must leave, on top of the request deadline, for recording how the attempt ended."""

POSTGRESQL_AT_LEAST = 150000


@register
def check_lease(**_: Any) -> list[CheckMessage]:
    """Refuse a lease that ends before its request may."""
    shortest = settings.DISPATCHER_REQUEST_DEADLINE_SECONDS + RECORDING_SECONDS
    if shortest < settings.DISPATCHER_LEASE_SECONDS:
        return []
    return [
        Error(
            f"DISPATCHER_LEASE_SECONDS must be more than {shortest:g}: the request deadline of "
            f"{settings.DISPATCHER_REQUEST_DEADLINE_SECONDS:g} s and time to record.",
            hint="A shorter lease would send every slow request twice.",
            id="dispatcher.E001",
        )
    ]


@register(Tags.database)
def check_database_version(databases: Sequence[str] | None, **_: Any) -> list[CheckMessage]:
    """Refuse a PostgreSQL that is too old for the statements used here."""
    if not databases or connection.vendor != "postgresql":
        return []
    connection.ensure_connection()
    if connection.pg_version >= POSTGRESQL_AT_LEAST:  # type: ignore[attr-defined]  # PostgreSQL's wrapper
        return []
    return [Error("PostgreSQL 15 or newer is needed.", id="dispatcher.E002")]
