"""Says how wrong this machine's clock is, by the database's, which is the one that counts.

Called by claims, whose requests are signed with the right time, and by workers, which warn.
"""

from __future__ import annotations

from datetime import timedelta

from django.db import connection
from django.utils import timezone

_SLACK = timedelta(seconds=1)
"""Signatures carry whole seconds, and receivers allow minutes."""


def ahead_of_database() -> timedelta:
    """Return how far this machine's clock is ahead of the database's; zero if about right.

    Negative when it is behind. Asks nothing on SQLite: that database is in this process.
    """
    if connection.vendor != "postgresql":
        return timedelta()
    with connection.cursor() as cursor:
        cursor.execute("SELECT statement_timestamp()")
        ahead: timedelta = timezone.now() - cursor.fetchone()[0]
    return ahead if abs(ahead) > _SLACK else timedelta()
