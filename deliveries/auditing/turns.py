"""Audits for somebody who waits for the answer: a few seconds each, and one at a time.

Called by the API for a project and by the operator's page for all. Counting costs the database
something, so whoever asks has at most a fifth of one database connection's time, and a web process
counts for one request at once.
"""

from __future__ import annotations

import threading
from datetime import date
from typing import Final

from deliveries.auditing.audit import Audit, audit
from deliveries.costly_requests import Busy, Kind, turn
from subscriptions.models import Project

BUDGET_SECONDS: Final = 3.0
"""What is not judged by then is left out: some 200,000 deliveries are (docs/adr/0010)."""

TURN: Final = Kind("audit", longest_seconds=BUDGET_SECONDS, rest_factor=4)

_place = threading.BoundedSemaphore(1)


class AuditUnderWay(Busy):
    """This process counts for another request."""

    sentence = "An audit is under way: try again in a few seconds."


def audit_in_turn(project: Project | None, *, since: date) -> Audit:
    """Count one project's days, or everybody's, as long as the budget lasts; raises `Busy`."""
    if not _place.acquire(blocking=False):
        raise AuditUnderWay(round(BUDGET_SECONDS))
    try:
        with turn(project, TURN):
            return audit(project=project, since=since, budget_seconds=BUDGET_SECONDS)
    finally:
        _place.release()
