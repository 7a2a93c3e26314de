"""Creates, changes and deletes subscriptions; every check of a customer's setting is in one place.

Called by API, forms and admin. What deliveries then wait for nothing is the caller's to cancel:
`deliveries.lifecycle.switching_off` does both, since nothing here may know deliveries.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.db.models.functions import Coalesce
from django.utils import timezone

from subscriptions import deactivation
from subscriptions.access.audit_log import Action, record, record_change, target_of
from subscriptions.custom_headers import masked
from subscriptions.field_errors import FieldError, FieldsRefused
from subscriptions.models import Project, Subscription
from subscriptions.refusal import SettingRefused
from subscriptions.secrets.signing_secrets import (
    add_secret,
    check_secrets_suit,
    choose_secret,
    live_secrets,
    signing_owner,
)
from subscriptions.subscription_settings import Settings, checked_columns

_AUDITED = (
    "url",
    "description",
    "metadata",
    "event_types",
    "wire_format",
    "repsona_fields",
    "signature_schemes",
    "uses_default_secret",
    "retry_schedule",
    "custom_headers",
)


class SubscriptionGone(Exception):
    """The subscription was deleted meanwhile."""


@dataclass(frozen=True, slots=True)
class Created:
    """A new subscription, and the only time that its secret comes by itself."""

    subscription: Subscription
    secret: str | None
    """`None` where the project's default secret signs."""


@dataclass(frozen=True, slots=True)
class Changed:
    """A subscription as it is now."""

    subscription: Subscription
    was_deactivated: bool
    """This change switched it off: what waits for it is to be cancelled."""


def create_subscription(project: Project, settings: Settings) -> Created:
    """Store a new subscription with its signing secret; raises `FieldsRefused`."""
    columns = checked_columns(settings, project=project)
    secret = _checked_secret(settings, columns["signature_schemes"])
    if settings.get("is_active") is False:
        columns |= {
            "is_active": False,
            "deactivated_at": timezone.now(),
            "deactivation_reason": deactivation.Reason.BY_HAND,
        }
    with transaction.atomic():
        _check_count(project)
        subscription = Subscription.objects.create(project=project, **columns)
        # Its own even where the default signs: it is there when that choice is taken back.
        add_secret(subscription, secret)
        _check_secrets(subscription)
        after = {**_audited(subscription), "active": subscription.is_active}
        record(Action.SUBSCRIPTION_CREATED, target_of(subscription), after=after)
    return Created(subscription, None if subscription.uses_default_secret else secret)


def change_subscription(subscription: Subscription, settings: Settings) -> Changed:
    """Change what is given, and nothing else; raises `FieldsRefused` or `SubscriptionGone`.

    Another URL begins a new generation with a streak of zero: what happened at the old one says
    nothing about it.
    """
    if "secret" in settings:
        message = "The secret is changed by rotating it: POST to …/secret/rotate."
        raise FieldsRefused([FieldError("secret", "not_changeable", message)])
    with transaction.atomic():
        current = _lock(subscription)
        before = _audited(current)
        columns = checked_columns(settings, project=subscription.project, current=current)
        _store_changes(current, columns)
        was_deactivated = _switch(current, is_active=settings.get("is_active"))
        current.refresh_from_db()
        after = _audited(current)
        record_change(Action.SUBSCRIPTION_CHANGED, target_of(current), before=before, after=after)
    current.project = subscription.project
    return Changed(current, was_deactivated)


def delete_subscription(subscription: Subscription) -> bool:
    """Delete softly, since history refers to it; return whether this call did it."""
    now = timezone.now()
    with transaction.atomic():
        is_done = bool(
            Subscription.objects.filter(id=subscription.id, deleted_at=None).update(
                is_active=False,
                deleted_at=now,
                deactivated_at=Coalesce(F("deactivated_at"), now),
                updated_at=now,
            )
        )
        if is_done:
            before = {"url": subscription.url}
            record(Action.SUBSCRIPTION_DELETED, target_of(subscription), before=before)
    return is_done


def _audited(subscription: Subscription) -> dict[str, Any]:
    """Return the settings as the audit log shows them: no value of a custom header."""
    shown = {name: getattr(subscription, name) for name in _AUDITED}
    return {**shown, "custom_headers": masked(shown["custom_headers"])}


def _check_count(project: Project) -> None:
    """Refuse one more than the project may have; of creations at once, one is looked at a time."""
    Project.objects.select_for_update(no_key=True).get(id=project.id)
    limit = settings.DISPATCHER_SUBSCRIPTIONS_PER_PROJECT
    if Subscription.objects.filter(project=project, deleted_at=None).count() >= limit:
        message = f"The project has {limit} subscriptions, which is all that it may have."
        raise FieldsRefused([FieldError("", "limit_reached", message)])


def _lock(subscription: Subscription) -> Subscription:
    """Read the row again and keep it: checks that span fields must not race with another change."""
    current = Subscription.objects.select_for_update(no_key=True).filter(
        id=subscription.id, deleted_at=None
    )
    found = current.first()
    if found is None:
        raise SubscriptionGone
    return found


def _store_changes(current: Subscription, columns: dict[str, Any]) -> None:
    changed = {name: value for name, value in columns.items() if getattr(current, name) != value}
    if not changed:
        return
    if "url" in changed:
        changed |= {"generation": F("generation") + 1, "failure_streak": 0}
    Subscription.objects.filter(id=current.id).update(**changed, updated_at=timezone.now())
    if not changed.keys().isdisjoint({"signature_schemes", "uses_default_secret"}):
        current.refresh_from_db()
        _check_secrets(current)


def _switch(current: Subscription, *, is_active: bool | None) -> bool:
    """Switch on or off as asked; return whether this switched it off."""
    if is_active:
        deactivation.reactivate(current)
    return is_active is False and deactivation.deactivate(current)


def _checked_secret(settings: Settings, schemes: Iterable[str]) -> str:
    secret = settings.get("secret")
    if secret is not None and settings.get("uses_default_secret"):
        message = "The project's default secret signs: leave this out."
        raise FieldsRefused([FieldError("secret", "not_used", message)])
    return choose_secret(secret, schemes)


def _check_secrets(subscription: Subscription) -> None:
    """Refuse what was just stored if the secrets that sign cannot do it by its schemes."""
    owner = signing_owner(subscription)
    if isinstance(owner, Project):
        # Until this is stored the default secret must not be replaced by one that does not suit.
        Project.objects.select_for_update(no_key=True).get(id=owner.id)
        if not live_secrets(owner.signing_secrets.all()).exists():
            message = "The project has no default secret yet."
            raise FieldsRefused([FieldError("uses_default_secret", "unavailable", message)])
    try:
        check_secrets_suit(owner, subscription.signature_schemes)
    except SettingRefused as refusal:
        message = f"The secret that signs does not suit: {refusal}"
        raise FieldsRefused([FieldError("signature_schemes", "unsuitable", message)]) from None
