"""What the sender needs of subscriptions, read once per claim with their live secrets.

Called by `claim`, in its transaction. A change of a subscription is seen by the next claim; what is
in flight ends within the request deadline.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from uuid import UUID

from django.utils import timezone

from subscriptions.models import EventType, Subscription
from subscriptions.signing_secrets import SecretUnreadable, live_secrets


@dataclass(frozen=True, slots=True)
class SubscriptionSnapshot:
    """A subscription as it was when its deliveries were claimed."""

    id: UUID
    project_id: int
    generation: int
    is_active: bool
    is_deleted: bool
    url: str
    wire_format: str
    signature_schemes: tuple[str, ...]
    secrets: tuple[str, ...]
    """Plain text, newest first; empty when none could be decrypted (`secret_error` says why)."""
    secret_error: str
    custom_headers: tuple[tuple[str, str], ...]
    retry_schedule: tuple[int, ...]
    """Delays in seconds."""


def load_snapshots(ids: Iterable[UUID]) -> dict[UUID, SubscriptionSnapshot]:
    """Read these subscriptions and their live secrets; two queries."""
    subscriptions = Subscription.objects.filter(id__in=set(ids)).prefetch_related("signing_secrets")
    return {subscription.id: _snapshot(subscription) for subscription in subscriptions}


def _snapshot(subscription: Subscription) -> SubscriptionSnapshot:
    secrets, secret_error = (), ""
    try:
        secrets = live_secrets(subscription.signing_secrets.all(), now=timezone.now())
    except SecretUnreadable as error:
        secret_error = str(error)
    return SubscriptionSnapshot(
        id=subscription.id,
        project_id=subscription.project_id,
        generation=subscription.generation,
        is_active=subscription.is_active,
        is_deleted=subscription.deleted_at is not None,
        url=subscription.url,
        wire_format=subscription.wire_format,
        signature_schemes=tuple(subscription.signature_schemes),
        secrets=secrets,
        secret_error=secret_error,
        custom_headers=tuple(subscription.custom_headers.items()),
        retry_schedule=tuple(subscription.retry_schedule),
    )


def describe_event_types(names: Collection[tuple[int, str]]) -> dict[tuple[int, str], str]:
    """Return the catalogue's descriptions of event types, by project and name."""
    if not names:
        return {}
    rows = EventType.objects.filter(
        project__in={project_id for project_id, _ in names}, name__in={name for _, name in names}
    )
    return {
        (project_id, name): description
        for project_id, name, description in rows.values_list("project_id", "name", "description")
    }
