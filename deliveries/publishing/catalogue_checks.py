"""Judges events by their project's catalogue: known, still in use, and with data that fits.

Called by ingest before it opens a transaction: a schema may take a while, and locks would wait.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from uuid import UUID

from deliveries.publishing.new_events import CheckedEvent, EventRefused
from subscriptions.catalogue.entries import CatalogueEntry, entries_of, misfits_of
from subscriptions.catalogue.json_schema import STEPS_PER_BATCH
from subscriptions.catalogue.schema_keywords import TooMuchWork, Work
from subscriptions.field_errors import FieldError
from subscriptions.models import EventType, Project
from subscriptions.payload import Payload, PayloadRefused, payload_from_json


def refused_by_catalogue(
    project: Project, events: Sequence[CheckedEvent]
) -> dict[UUID, EventRefused]:
    """Return, for each event that the catalogue does not take, why."""
    return refused_by_entries(
        project, events, entries_of(project, {event.type for event in events})
    )


def refused_by_entries(
    project: Project, events: Sequence[CheckedEvent], entries: Mapping[str, CatalogueEntry]
) -> dict[UUID, EventRefused]:
    """Do the same with what is known of the catalogue; it has no other types of these events'."""
    work = Work(STEPS_PER_BATCH)
    refused: dict[UUID, EventRefused] = {}
    for event in events:
        entry = entries.get(event.type)
        if entry is None:
            if project.is_catalogue_strict:
                refused[event.id] = _unknown(event)
        elif entry.is_archived:
            refused[event.id] = _archived(event)
        elif refusal := _misfit(event, entry, work):
            refused[event.id] = refusal
    return refused


def example_of(project: Project, name: str) -> Payload | None:
    """Return the catalogue's example of an event type; raises `EventRefused` where it is broken."""
    row = EventType.objects.filter(project=project, name=name).exclude(example="").first()
    if row is None:
        return None
    try:
        return payload_from_json(row.example)
    except PayloadRefused as refusal:
        raise EventRefused("event_type", "bad_example", f"Its example: {refusal}") from None


def _misfit(event: CheckedEvent, entry: CatalogueEntry, work: Work) -> EventRefused | None:
    try:
        misfits = misfits_of(entry, event.payload.text, work)
    except TooMuchWork:
        sentence = f"The schema of '{event.type}' takes too long to check this data."
        return EventRefused("data", "schema_too_costly", sentence)
    if not misfits:
        return None
    errors = [FieldError(f"data{misfit.pointer}", "schema", misfit.message) for misfit in misfits]
    sentence = f"The data does not fit the schema of '{event.type}'."
    return EventRefused("data", "schema", sentence, errors=errors)


def _unknown(event: CheckedEvent) -> EventRefused:
    sentence = f"The project's catalogue has no event type '{event.type}'."
    return EventRefused("type", "unknown", sentence)


def _archived(event: CheckedEvent) -> EventRefused:
    sentence = f"The event type '{event.type}' is archived: it is no longer published."
    return EventRefused("type", "archived", sentence)
