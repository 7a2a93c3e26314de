"""Keeps a project's event types: creates, changes, deletes them, and says what they ask of data.

Called by API, commands and ingest. What is published need not be in the catalogue, unless the
project says so; what is in it must fit its schema.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, TypedDict

from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils import timezone

from subscriptions.access.audit_log import Action, record, record_change, target_of
from subscriptions.catalogue.compiled_schemas import CompiledSchemas
from subscriptions.catalogue.json_schema import (
    STEPS_PER_EVENT,
    CompiledSchema,
    Misfit,
    SchemaRefused,
    compile_schema,
)
from subscriptions.catalogue.schema_keywords import TooMuchWork, Work
from subscriptions.catalogue.schema_values import NotJson
from subscriptions.event_types import check_event_type, is_event_type
from subscriptions.field_errors import FieldError, FieldsRefused
from subscriptions.models import EventType, Project
from subscriptions.payload import Payload
from subscriptions.refusal import SettingRefused

DESCRIPTION_LIMIT_CHARACTERS: Final = 1000

LIMIT_TYPES: Final = 2000
"""Of one project; the largest catalogues in the field have some 300."""

RESERVED: Final = frozenset({"import"})
"""What the API's paths use themselves: `/event-types/import`."""

_STEPS_TO_LOAD: Final = 100
"""To read one schema from the database."""

_COMPILED: Final = CompiledSchemas()


class EventTypeSettings(TypedDict, total=False):
    """What can be said of an event type; what is not given stays, or has its default."""

    name: str
    """Only when creating."""
    description: str
    example: Payload | None
    schema: Payload | None
    is_archived: bool


class EventTypeExists(Exception):
    """The project's catalogue has an event type of this name already."""


class EventTypeGone(Exception):
    """The event type was deleted meanwhile."""


@dataclass(frozen=True, slots=True)
class CatalogueEntry:
    """What ingest needs of an event type."""

    id: int
    project_id: int
    is_archived: bool
    has_schema: bool
    updated_at: datetime


def find_event_type(project: Project, name: str) -> EventType | None:
    """Return the project's event type of this name."""
    if not is_event_type(name):  # a NUL is no text to PostgreSQL
        return None
    return EventType.objects.filter(project=project, name=name).first()


def create_event_type(project: Project, settings: EventTypeSettings) -> EventType:
    """Store a new event type; raises `FieldsRefused` or `EventTypeExists`."""
    name = _checked_name(settings.get("name"))
    columns = _checked_columns(settings, EventType(example="", schema=""))
    try:
        with transaction.atomic():
            check_room(project, more=1)
            created = EventType.objects.create(project=project, name=name, **columns)
            after = {"name": name, **_audited(created)}
            record(Action.EVENT_TYPE_CREATED, target_of(created), after=after)
    except IntegrityError:
        raise EventTypeExists from None
    return created


def change_event_type(event_type: EventType, settings: EventTypeSettings) -> EventType:
    """Change what is given, and nothing else; raises `FieldsRefused` or `EventTypeGone`."""
    if "name" in settings:
        message = "A name stays: history and subscriptions use it. Create another event type."
        raise FieldsRefused([FieldError("name", "not_changeable", message)])
    with transaction.atomic():
        # Under a lock: example and schema are judged together, and may be changed one at a time.
        rows = EventType.objects.select_for_update(no_key=True).filter(pk=event_type.pk)
        current = rows.first()
        if current is None:
            raise EventTypeGone
        before = _audited(current)
        changed = {
            column: value
            for column, value in _checked_columns(settings, current).items()
            if getattr(current, column) != value
        }
        if changed:
            rows.update(**changed, updated_at=timezone.now())
            current.refresh_from_db()
        action = Action.EVENT_TYPE_CHANGED
        record_change(action, target_of(current), before=before, after=_audited(current))
    return current


def delete_event_type(event_type: EventType) -> bool:
    """Delete it, unless it is gone already; events that were published keep its name."""
    with transaction.atomic():
        current = EventType.objects.select_for_update().filter(pk=event_type.pk).first()
        if current is None:
            return False
        target, before = target_of(current), {"name": current.name, **_audited(current)}
        current.delete()
        record(Action.EVENT_TYPE_DELETED, target, before=before)
    return True


def check_room(project: Project, *, more: int) -> None:
    """Refuse more event types than the project may have; raises `FieldsRefused`.

    To be called in a transaction, until whose end nobody else adds one.
    """
    Project.objects.select_for_update(no_key=True).get(pk=project.pk)
    if EventType.objects.filter(project=project).count() + more > LIMIT_TYPES:
        message = f"A project has at most {LIMIT_TYPES} event types: there is no room for {more}."
        raise FieldsRefused([FieldError("", "limit_reached", message)])


def entries_of(project: Project, names: Collection[str]) -> dict[str, CatalogueEntry]:
    """Return what the catalogue has under these names: one statement, without the long texts."""
    rows = (
        EventType.objects.filter(project=project, name__in=names)
        .annotate(has_schema=~Q(schema=""))
        .values_list("name", "pk", "project_id", "is_archived", "has_schema", "updated_at")
    )
    return {name: CatalogueEntry(*rest) for name, *rest in rows}


def misfits_of(entry: CatalogueEntry, text: str, work: Work) -> list[Misfit]:
    """Return where a checked JSON text does not fit the event type's schema.

    Takes what one event may of this work, and what compiling needs besides: data is judged alike
    whether the schema is ready or not. Raises `TooMuchWork` when it cannot be judged.
    """
    if not entry.has_schema:
        return []
    try:
        schema = _schema_of(entry, work)
    except SchemaRefused:  # it was taken when other rules held, or past the rules
        raise TooMuchWork from None
    if schema is None:
        return []
    with work.portion(STEPS_PER_EVENT) as steps:
        return schema.misfits(text, steps)


def _schema_of(entry: CatalogueEntry, work: Work) -> CompiledSchema | None:
    """Return the schema as it is kept, or read and compile it with this work."""
    if kept := _COMPILED.find(entry.project_id, entry.id, entry.updated_at):
        return kept
    work.spend(_STEPS_TO_LOAD)
    text = EventType.objects.filter(pk=entry.id).values_list("schema", flat=True).first()
    if not text:
        return None
    schema = compile_schema(text, work)
    _COMPILED.keep(
        schema,
        project_id=entry.project_id,
        event_type_id=entry.id,
        changed_at=entry.updated_at,
        characters=len(text),
    )
    return schema


# ---- Checking -----------------------------------------------------------------------------------


def _checked_name(name: object) -> str:
    try:
        checked = check_event_type(name)
    except SettingRefused as refusal:
        raise FieldsRefused([FieldError("name", "invalid", str(refusal))]) from None
    if checked in RESERVED:
        message = f"'{checked}' cannot be in the catalogue: the API uses the word itself."
        raise FieldsRefused([FieldError("name", "reserved", message)])
    return checked


def _checked_columns(settings: EventTypeSettings, current: EventType) -> dict[str, Any]:
    """Return the model's columns; example and schema must fit, whichever of them is new."""
    columns: dict[str, Any] = {
        name: settings[name] for name in ("description", "is_archived") if name in settings
    }
    for name in ("example", "schema"):
        if name in settings:
            payload: Payload | None = settings[name]
            columns[name] = payload.text if payload else ""
    is_new = columns.keys() & {"example", "schema"}
    schema = columns.get("schema", current.schema)
    if schema and is_new:
        _check_example(schema, columns.get("example", current.example), is_new=is_new)
    return columns


def _check_example(schema: str, example: str, *, is_new: Collection[str]) -> None:
    try:
        compiled = compile_schema(schema)
    except SchemaRefused as refusal:
        raise FieldsRefused([FieldError("schema", "invalid", str(refusal))]) from None
    if not example:
        return
    try:
        misfits = compiled.misfits(example, Work(STEPS_PER_EVENT))
    except NotJson:  # what was stored past the rules
        message = "The example is not JSON."
        raise FieldsRefused([FieldError("example", "not_json", message)]) from None
    except TooMuchWork:
        message = "The schema takes too long to check the example."
        raise FieldsRefused([FieldError("schema", "too_costly", message)]) from None
    if not misfits:
        return
    if "example" in is_new:
        raise FieldsRefused(
            FieldError(f"example{misfit.pointer}", "schema", misfit.message) for misfit in misfits
        )
    first = misfits[0]
    message = f"The example does not fit it: {first.message}"
    if first.pointer:
        message = f"The example does not fit it at {first.pointer}: {first.message}"
    raise FieldsRefused([FieldError("schema", "example", message)])


def _audited(event_type: EventType) -> dict[str, Any]:
    """Return what the audit log shows; example and schema as texts, cut where they are long."""
    return {
        "description": event_type.description,
        "example": _cut(event_type.example),
        "schema": _cut(event_type.schema),
        "archived": event_type.is_archived,
    }


def _cut(text: str) -> str | None:
    limit = 2000
    return (text if len(text) <= limit else f"{text[:limit]}…") or None
