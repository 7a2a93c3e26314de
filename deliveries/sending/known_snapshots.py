"""Remembers the subscriptions that this worker sends to, while their project's revision stands.

Called by `claim`, in its transaction: one small query says whose snapshots still hold (ADR 19).
"""

from __future__ import annotations

from collections.abc import Mapping
from threading import Lock
from typing import Final
from uuid import UUID

from deliveries.sending.snapshot import SubscriptionSnapshot, load_snapshots
from subscriptions.models import ProjectRevision

_KEPT_AT_MOST: Final = 10_000
"""Of some two kilobytes each; the first that came make place."""


class KnownSnapshots:
    """Those of this process, for all its threads."""

    def __init__(self, kept_at_most: int = _KEPT_AT_MOST) -> None:
        self._kept_at_most = kept_at_most
        self._lock = Lock()
        self._kept: dict[UUID, tuple[int, SubscriptionSnapshot]] = {}
        """Each with the revision at which it was read."""

    def find(self, project_of: Mapping[UUID, int]) -> dict[UUID, SubscriptionSnapshot]:
        """Return subscriptions, given with their projects, as they are in this transaction.

        On PostgreSQL, and not in a transaction that has changed any: a revision changes at the
        commit. The revisions are read first: what is read after one is no older than it.
        """
        revisions = _revisions_of(set(project_of.values()))
        found = {
            identifier: kept[1]
            for identifier, project_id in project_of.items()
            if (kept := self._kept.get(identifier)) and kept[0] == revisions.get(project_id)
        }
        loaded = load_snapshots(project_of.keys() - found.keys())
        for identifier, snapshot in loaded.items():
            revision = revisions.get(project_of[identifier])
            if revision is not None and snapshot.is_lasting:
                self._keep(snapshot, revision)
        return found | loaded

    def _keep(self, snapshot: SubscriptionSnapshot, revision: int) -> None:
        with self._lock:
            self._kept.pop(snapshot.id, None)
            if len(self._kept) >= self._kept_at_most:
                del self._kept[next(iter(self._kept))]
            self._kept[snapshot.id] = (revision, snapshot)


def _revisions_of(project_ids: set[int]) -> dict[int, int]:
    """Return what is there; of a project without a number, nothing is remembered."""
    rows = ProjectRevision.objects.filter(project_id__in=project_ids)
    return dict(rows.values_list("project_id", "number"))


known_snapshots = KnownSnapshots()
