"""Writes an audit as the command prints it and the API answers it: one shape for both."""

from __future__ import annotations

from typing import Any

from deliveries.auditing.audit import Audit, Tally
from subscriptions.ids import to_public
from subscriptions.models import Project


def document_of(found: Audit) -> dict[str, Any]:
    """Return the audit as JSON values: ids as on the wire, projects by their slug, days as dates.

    `since` is null when not even the latest day was judged in time.
    """
    slugs = _Slugs()
    return {
        "balanced": found.is_balanced,
        "complete": found.is_complete,
        "since": found.since.isoformat() if found.since <= found.until else None,
        "until": found.until.isoformat(),
        "days": sorted(
            (
                {"day": day.isoformat(), "project": slugs.of(project_id), **_counts(tally)}
                for (project_id, day), tally in found.tallies.items()
            ),
            key=lambda row: (row["day"], row["project"]),
        ),
        "unbalanced": [
            {
                "project": slugs.of(row.project_id),
                "event": to_public("evt", row.event_id),
                "matched": row.matched,
                "counted": row.counted,
            }
            for row in found.unbalanced
        ],
        "strays": [
            {
                "project": slugs.of(row.project_id),
                "delivery": to_public("dlv", row.delivery_id),
                "event": to_public("evt", row.event_id),
            }
            for row in found.strays
        ],
        "truncated": found.is_truncated,
    }


def _counts(tally: Tally) -> dict[str, int]:
    return {
        "events": tally.events,
        "matched": tally.matched,
        "succeeded": tally.succeeded,
        "failed": tally.failed,
        "cancelled": tally.cancelled,
        "pending": tally.pending,
        "sending": tally.sending,
        "difference": tally.difference,
        "unbalanced": tally.unbalanced,
        "strays": tally.strays,
        "overdue": tally.overdue,
    }


class _Slugs:
    """The projects' slugs; a project that no longer exists is shown by its key."""

    def __init__(self) -> None:
        self._by_id = dict(Project.objects.values_list("id", "slug"))

    def of(self, project_id: int) -> str:
        return self._by_id.get(project_id, f"#{project_id}")
