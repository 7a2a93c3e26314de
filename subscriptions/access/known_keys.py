"""Remembers API keys that were good, with the revision of their project at which they were.

Called where an event is published at once. Whether that revision stands is not asked here: the
statement that stores an event looks, so a key that was revoked anywhere stores nothing (ADR 19).
"""

from __future__ import annotations

from dataclasses import dataclass
from threading import Lock
from typing import Final

from django.db.models import OuterRef, Subquery

from subscriptions.access.api_keys import has_ended, is_of_our_form, is_use_noted
from subscriptions.models import ApiKey, Project, ProjectRevision

_KEYS_AT_MOST: Final = 10_000
"""Beyond that they are read again; they are a few hundred bytes each."""


@dataclass(frozen=True, slots=True)
class KnownKey:
    """A key of a project, with its project, as both were at a revision."""

    key: ApiKey
    project: Project
    revision: int


class KnownKeys:
    """Those of this process, for all its threads, by their digests."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._known: dict[str, KnownKey] = {}

    def find(self, plain: str) -> KnownKey | None:
        """Return a key as it is remembered, or read it.

        `None` leaves it to `authenticate`: no project has it, it has ended, or its use is to be
        noted.
        """
        if not is_of_our_form(plain):
            return None
        digest = ApiKey.digest_of(plain)
        known = self._known.get(digest)
        if known is None or not _is_good(known.key):
            known = self._read(digest)
        return known if known and _is_good(known.key) else None

    def forget(self, known: KnownKey) -> None:
        """Read the key again when it is used next."""
        with self._lock:
            self._known.pop(known.key.digest, None)

    def _read(self, digest: str) -> KnownKey | None:
        """Read key, project and number in one statement: they are of one moment."""
        revision = ProjectRevision.objects.filter(project_id=OuterRef("project_id"))
        keys = ApiKey.objects.select_related("project").annotate(
            revision=Subquery(revision.values("number"))
        )
        key = keys.filter(digest=digest).first()
        if key is None or key.project is None or key.revision is None:
            return None
        known = KnownKey(key, key.project, key.revision)
        with self._lock:
            if len(self._known) >= _KEYS_AT_MOST:
                self._known.clear()
            self._known[digest] = known
        return known


def _is_good(key: ApiKey) -> bool:
    return is_use_noted(key) and not has_ended(key)


known_keys = KnownKeys()
