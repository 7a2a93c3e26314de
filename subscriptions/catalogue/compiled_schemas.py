"""Keeps schemas that were compiled, so that those in use are compiled once per process.

Called by the catalogue. Room is shared by all projects: when it runs out, the project that takes
most of it makes place, so that none can push out the others' by using very many.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime
from threading import Lock
from typing import Final

from subscriptions.catalogue.json_schema import CompiledSchema

LIMIT_CHARACTERS: Final = 4 * 1024 * 1024
"""Of the texts together; what is compiled of one takes some twenty times its size."""

_LEAST_CHARACTERS: Final = 1000
"""What a small schema counts for."""


@dataclass(frozen=True, slots=True)
class _Kept:
    schema: CompiledSchema
    changed_at: datetime
    characters: int


class CompiledSchemas:
    """Those of all projects, by event type; any number of threads may use them."""

    def __init__(self, limit_characters: int = LIMIT_CHARACTERS) -> None:
        self._limit_characters = limit_characters
        self._kept: dict[int, dict[int, _Kept]] = defaultdict(dict)
        self._characters: dict[int, int] = defaultdict(int)
        self._lock = Lock()

    def find(
        self, project_id: int, event_type_id: int, changed_at: datetime
    ) -> CompiledSchema | None:
        """Return the schema as it was compiled after this change."""
        with self._lock:
            kept = self._kept[project_id].get(event_type_id)
            if kept is None or kept.changed_at != changed_at:
                return None
            self._kept[project_id][event_type_id] = self._kept[project_id].pop(event_type_id)
            return kept.schema

    def keep(
        self,
        schema: CompiledSchema,
        *,
        project_id: int,
        event_type_id: int,
        changed_at: datetime,
        characters: int,
    ) -> None:
        """Add a schema, in place of its earlier one."""
        with self._lock:
            self._drop(project_id, event_type_id)
            size = max(characters, _LEAST_CHARACTERS)
            self._kept[project_id][event_type_id] = _Kept(schema, changed_at, size)
            self._characters[project_id] += size
            while sum(self._characters.values()) > self._limit_characters:
                largest = max(self._characters, key=self._characters.__getitem__)
                self._drop(largest, next(iter(self._kept[largest])))  # what was not used longest

    def _drop(self, project_id: int, event_type_id: int) -> None:
        dropped = self._kept[project_id].pop(event_type_id, None)
        if dropped is not None:
            self._characters[project_id] -= dropped.characters
