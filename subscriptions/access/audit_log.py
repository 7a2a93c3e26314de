"""Writes down who changed what: one entry per change, in its transaction, never altered afterwards.

Called by the use cases, so that API, pages, admin and commands cannot forget it. Who acts is
`acting`'s to know; that entries stay as they are is the database's (triggers, docs/adr/0013).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from subscriptions.access.acting import Actor, current_origin
from subscriptions.ids import to_public
from subscriptions.models import (
    ApiKey,
    AuditEntry,
    AuditPruning,
    EventType,
    Member,
    Project,
    Subscription,
)

_BATCH: Final = 1000
"""Entries deleted per transaction: other writers get their turn in between."""


class Action(StrEnum):
    """What can be done that is written down; the codes never change their meaning."""

    PROJECT_CREATED = "project.created"
    PROJECT_CHANGED = "project.changed"
    MEMBER_CREATED = "member.created"
    MEMBER_CHANGED = "member.changed"
    MEMBER_DELETED = "member.deleted"
    API_KEY_CREATED = "api_key.created"
    API_KEY_CHANGED = "api_key.changed"
    API_KEY_REVOKED = "api_key.revoked"
    SECRET_REVEALED = "secret.revealed"  # noqa: S105  # a code
    SECRET_ROTATED = "secret.rotated"  # noqa: S105  # a code
    SECRET_EXPIRED = "secret.expired"  # noqa: S105  # a code
    SUBSCRIPTION_CREATED = "subscription.created"
    SUBSCRIPTION_CHANGED = "subscription.changed"
    SUBSCRIPTION_DEACTIVATED = "subscription.deactivated"
    SUBSCRIPTION_REACTIVATED = "subscription.reactivated"
    SUBSCRIPTION_DELETED = "subscription.deleted"
    EVENT_TYPE_CREATED = "event_type.created"
    EVENT_TYPE_CHANGED = "event_type.changed"
    EVENT_TYPE_DELETED = "event_type.deleted"
    DELIVERY_REDELIVERED = "delivery.redelivered"
    DELIVERY_CANCELLED = "delivery.cancelled"
    RECOVERY_CREATED = "recovery.created"
    RECOVERY_PAUSED = "recovery.paused"
    RECOVERY_RESUMED = "recovery.resumed"
    RECOVERY_CANCELLED = "recovery.cancelled"
    PORTAL_LINK_CREATED = "portal_link.created"
    USER_CREATED = "user.created"
    USER_CHANGED = "user.changed"
    USER_DELETED = "user.deleted"
    USER_LOGGED_IN = "user.logged_in"
    USER_LOGIN_FAILED = "user.login_failed"
    USER_LOGGED_OUT = "user.logged_out"
    ENCRYPTION_KEY_ROTATED = "encryption_key.rotated"


@dataclass(frozen=True, slots=True)
class Target:
    """What something was done to."""

    kind: str
    id: str
    """As the API writes it."""
    project_id: int | None
    """Whose owners may read the entry; `None`: it concerns the installation."""


def target_of(subject: Subscription | Project | ApiKey | Member | EventType) -> Target:
    """Return the target that a row is."""
    match subject:
        case Subscription():
            return Target("subscription", to_public("sub", subject.id), subject.project_id)
        case Project():
            return Target("project", subject.slug, subject.pk)
        case ApiKey():
            return Target("api_key", subject.prefix, subject.project_id)
        case Member():
            return Target("member", subject.user.get_username(), subject.project_id)
        case EventType():
            return Target("event_type", subject.name, subject.project_id)


def target_of_user(user: Any) -> Target:
    """Return the target that a person's login is."""
    return Target("user", str(user.pk), None)


def record(
    action: Action,
    target: Target,
    *,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
    actor: Actor | None = None,
) -> None:
    """Add an entry; call it in the transaction of what it is about.

    `before` and `after` are JSON without any secret: hints and masks stand for them. `actor` is
    given where it is not who the current request belongs to.
    """
    origin = current_origin()
    who = actor or origin.who()
    AuditEntry.objects.create(
        project_id=target.project_id,
        action=action,
        actor_kind=who.kind,
        actor_id=who.id[:64],
        actor_label=who.label[:200],
        target_kind=target.kind,
        target_id=target.id[:200],
        before=before,
        after=after,
        address=origin.address,
        request_id=origin.request_id,
    )


def record_change(
    action: Action, target: Target, *, before: Mapping[str, Any], after: Mapping[str, Any]
) -> None:
    """Add an entry with only the members that differ; none when nothing does."""
    changed = [name for name in after if after[name] != before.get(name)]
    if changed:
        record(
            action,
            target,
            before={name: before.get(name) for name in changed},
            after={name: after[name] for name in changed},
        )


def entries_of(project: Project, wanted: Mapping[str, Any]) -> QuerySet[AuditEntry]:
    """Return the project's entries that all filters want.

    These are `action`, `actor` (an id or a label), `target` (an id), `since` and `until`.
    """
    entries = AuditEntry.objects.filter(project=project)
    columns = {"action": "action", "target": "target_id", "since": "at__gte", "until": "at__lt"}
    given = {column: wanted[name] for name, column in columns.items() if name in wanted}
    if "actor" in wanted:
        entries = entries.filter(Q(actor_id=wanted["actor"]) | Q(actor_label=wanted["actor"]))
    return entries.filter(**given)


def prune(*, now: datetime | None = None) -> int:
    """Delete entries older than `DISPATCHER_AUDIT_RETENTION_DAYS`; return how many.

    The only way: the triggers let go what a row of `AuditPruning` allows, and that row is gone
    when the transaction ends.
    """
    cutoff = (now or timezone.now()) - timedelta(days=settings.DISPATCHER_AUDIT_RETENTION_DAYS)
    total = 0
    while True:
        with transaction.atomic():
            old = AuditEntry.objects.filter(at__lt=cutoff).values_list("pk", flat=True)
            ids = list(old[:_BATCH])
            if not ids:
                return total
            permit = AuditPruning.objects.create(before=cutoff)
            AuditEntry.objects.filter(pk__in=ids)._raw_delete(connection.alias)
            permit.delete()
        total += len(ids)
