"""Adds the event types of another system to a project's catalogue, as ready data beside this file.

Called by the API and by `manage.py import_event_types`. What is there already is left alone.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from django.db import transaction

from subscriptions.access.audit_log import Action, record, target_of
from subscriptions.catalogue.entries import check_room
from subscriptions.models import EventType, Project

_FOLDER: Final = Path(__file__).parent / "ready"

CATALOGUES: Final = ("phrase", "repsona")
"""What can be imported; each is a file of `{name: {description, example}}`."""


@dataclass(frozen=True, slots=True)
class ReadyType:
    """One entry of a ready catalogue."""

    name: str
    description: str
    example: str
    """JSON text; empty where the other system documents none."""


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import did."""

    added: int
    existing: int


@cache
def ready_types(catalogue: str) -> tuple[ReadyType, ...]:
    """Return a ready catalogue's entries, in the order of its file."""
    entries = json.loads((_FOLDER / f"{catalogue}.json").read_text())
    return tuple(
        ReadyType(
            name,
            entry["description"],
            json.dumps(entry["example"], ensure_ascii=False, separators=(",", ":"))
            if "example" in entry
            else "",
        )
        for name, entry in entries.items()
    )


def import_catalogue(project: Project, catalogue: str) -> Imported:
    """Add what is missing; done twice, or twice at once, it adds nothing the second time.

    Raises `FieldsRefused`, and has added nothing, where the project has no room for all of it.
    """
    wanted = ready_types(catalogue)
    with transaction.atomic():
        Project.objects.select_for_update(no_key=True).get(pk=project.pk)  # one at a time adds
        names = [ready.name for ready in wanted]
        known = set(
            EventType.objects.filter(project=project, name__in=names).values_list("name", flat=True)
        )
        rows = [
            EventType(
                project=project,
                name=ready.name,
                description=ready.description,
                example=ready.example,
            )
            for ready in wanted
            if ready.name not in known
        ]
        if rows:
            check_room(project, more=len(rows))
            EventType.objects.bulk_create(rows)
        for row in rows:
            after = {"name": row.name, "description": row.description, "catalogue": catalogue}
            record(Action.EVENT_TYPE_CREATED, target_of(row), after=after)
    return Imported(added=len(rows), existing=len(known))
