"""Remembers what publishing needs to know of a project, for as long as its revision stands.

Called by `at_once`. Whether it stands is not asked here: the statement that stores an event looks,
and what was read after the number can only be as old as the number or fail with it (ADR 19).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from threading import Lock
from typing import Final
from uuid import UUID

from deliveries.publishing.receiving import Receiving, matching_of, receiving_of
from subscriptions.catalogue.entries import CatalogueEntry, entries_of
from subscriptions.models import Project, ProjectRevision

_FILTERS_AT_MOST: Final = 100_000
"""Of all projects that are remembered: some ten megabytes."""

_PROJECTS_AT_MOST: Final = 1000

_MATCHES_PER_PROJECT: Final = 5000
"""Of its event types, a name counting for ten: at most 0.2 MB. Some publishers put numbers into the
names of their events."""


@dataclass(frozen=True, slots=True)
class KnownType:
    """What a project does with events of one type."""

    entry: CatalogueEntry | None
    matched: Sequence[Receiving]


@dataclass(frozen=True, slots=True)
class KnownProject:
    """A project as it was at a revision."""

    project: Project
    revision: int
    receiving: Sequence[Receiving]
    receiving_ids: Sequence[UUID]
    _types: dict[str, KnownType] = field(default_factory=dict)

    def of_type(self, name: str) -> KnownType:
        """Return what the project does with events of this type."""
        known = self._types.get(name)
        if known is None:
            entry = entries_of(self.project, [name]).get(name)
            known = KnownType(entry, matching_of([name], self.receiving)[name])
            if len(self._types) * (10 + len(self.receiving)) >= _MATCHES_PER_PROJECT:
                self._types.clear()
            self._types[name] = known
        return known


class KnownProjects:
    """Those of this process, for all its threads; those not used longest make place."""

    def __init__(self, filters_at_most: int = _FILTERS_AT_MOST) -> None:
        self._filters_at_most = filters_at_most
        self._lock = Lock()
        self._known: OrderedDict[int, KnownProject] = OrderedDict()
        self._filters = 0

    def find(self, project_id: int) -> KnownProject | None:
        """Return the project as it is remembered, or read it; `None` where there is none."""
        with self._lock:
            if known := self._known.get(project_id):
                self._known.move_to_end(project_id)
                return known
        read = _read(project_id)
        if read is not None:
            self._keep(read)
        return read

    def forget(self, known: KnownProject) -> None:
        """Read the project again when it is asked for next, unless somebody has done so already."""
        with self._lock:
            if self._known.get(known.project.pk) is known:
                self._drop(known.project.pk)

    def _keep(self, known: KnownProject) -> None:
        with self._lock:
            self._drop(known.project.pk)
            self._known[known.project.pk] = known
            self._filters += _size_of(known)
            while self._filters > self._filters_at_most or len(self._known) > _PROJECTS_AT_MOST:
                self._drop(next(iter(self._known)))

    def _drop(self, project_id: int) -> None:
        dropped = self._known.pop(project_id, None)
        if dropped is not None:
            self._filters -= _size_of(dropped)


def _read(project_id: int) -> KnownProject | None:
    """Read the number first: what changes afterwards changes the number too."""
    number = (
        ProjectRevision.objects.filter(project_id=project_id)
        .values_list("number", flat=True)
        .first()
    )
    project = Project.objects.filter(pk=project_id).first()
    if number is None or project is None:
        return None
    receiving = receiving_of(project_id)
    return KnownProject(project, number, receiving, [row.id for row in receiving])


def _size_of(known: KnownProject) -> int:
    return 1 + sum(1 + len(row.filters) for row in known.receiving)


known_projects = KnownProjects()
