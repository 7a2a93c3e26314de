"""Publishes one event with one statement, by what is remembered of its project.

Called by ingest and by the API. Answers only what is beyond doubt: an event that is refused, a key
that is known, a project that has changed, a transaction that is open are left to ingest's own way,
which reads everything anew. So nothing is judged here that is not judged there.
"""

from __future__ import annotations

from django.db import DEFAULT_DB_ALIAS, connections

from deliveries import wake
from deliveries.publishing.backlog_limit import BacklogFull, leave_room, make_room
from deliveries.publishing.catalogue_checks import refused_by_entries
from deliveries.publishing.known_projects import KnownProject, KnownType, known_projects
from deliveries.publishing.new_events import CheckedEvent
from deliveries.publishing.published import Published, to_publish
from deliveries.publishing.receiving import refusal_by_shape
from deliveries.publishing.storing import Stored, store_if_unchanged


def can_publish_at_once() -> bool:
    """Say whether a statement commits by itself here.

    In a transaction of the caller's, what it has changed of the project has no new revision yet.
    """
    database = connections[DEFAULT_DB_ALIAS]  # once: `connection` looks this thread's up each time
    if database.vendor != "postgresql" or database.in_atomic_block:
        return False
    # Not `get_autocommit()`, which connects: that is for whoever can say that nobody answers.
    return database.autocommit if database.connection else database.settings_dict["AUTOCOMMIT"]


def publish_at_once(
    project_id: int, event: CheckedEvent, *, revision: int | None = None
) -> Published | None:
    """Store the event with its deliveries, and wake a worker; `None`: nothing was done.

    With `revision`, only if that is the project's: what else was read at it then stands too.
    """
    known = _known(project_id, revision) if can_publish_at_once() else None
    if known is None:
        return None
    this_type = known.of_type(event.type)
    if _is_refused(known, event, this_type):
        return None
    published = to_publish(event, this_type.matched)
    try:
        make_room(project_id, known.receiving_ids, deliveries=published.matched_count)
    except BacklogFull:
        return None
    stored = store_if_unchanged(project_id, event, published, revision=known.revision)
    if stored is not Stored.YES:
        leave_room(project_id, deliveries=published.matched_count)
        if stored is Stored.PROJECT_CHANGED:
            known_projects.forget(known)
        return None
    if published.matched_count:
        wake.wake_on_commit()
    return published


def _known(project_id: int, revision: int | None) -> KnownProject | None:
    known = known_projects.find(project_id)
    if known is None or revision in {None, known.revision}:
        return known
    known_projects.forget(known)  # one of the two is old
    known = known_projects.find(project_id)
    return known if known and known.revision == revision else None


def _is_refused(known: KnownProject, event: CheckedEvent, this_type: KnownType) -> bool:
    entries = {event.type: this_type.entry} if this_type.entry else {}
    by_catalogue = refused_by_entries(known.project, [event], entries)
    return bool(by_catalogue or refusal_by_shape(event, this_type.matched))
