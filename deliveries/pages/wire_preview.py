"""Shows what a receiver will get, before anything is saved: the real code composes and signs.

Used by the form of a subscription. What cannot be used yet of what is typed is replaced by an
example, and that is said. Nothing is sent or stored.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, Final

from django.utils import timezone
from django.utils.translation import gettext as _

from deliveries.pages.subscription_form import NO_DEFAULT_SECRET, SubscriptionForm
from deliveries.publishing.ingest import data_of_test
from deliveries.publishing.new_events import EventRefused
from deliveries.sending.claim import ClaimedDelivery
from deliveries.sending.preparation import prepare
from deliveries.sending.snapshot import SubscriptionSnapshot, describe_event_types
from deliveries.sending.transport import Exchange, OutboundRequest
from subscriptions.custom_headers import check_custom_headers, mask, unmasked
from subscriptions.event_types import is_event_type
from subscriptions.guard.address_guard import UrlRefused
from subscriptions.ids import new_id
from subscriptions.matching import check_filters, matches
from subscriptions.models import Project, Subscription
from subscriptions.pages.refusal_words import in_page_language
from subscriptions.refusal import SettingRefused
from subscriptions.secrets.encryption import SecretUnreadable, decrypt
from subscriptions.secrets.signing_secrets import live_secrets
from subscriptions.subscription_settings import check_url
from subscriptions.wire_formats import (
    SIGNATURE_SCHEMES,
    check_schemes,
    default_schemes,
    default_test_event_type,
)

EXAMPLE_SECRET: Final = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="  # noqa: S105
"""The bytes 0 to 31: nobody takes it for one to use."""

_EXAMPLE_URL: Final = "https://example.com/webhooks"

_SHOWN_CHARACTERS: Final = 20_000
"""Of a body; one in the catalogue may be far longer, and be sent for every letter typed."""


@dataclass(frozen=True, slots=True)
class HeaderLine:
    """A header as it is sent."""

    name: str
    value: str
    is_signature: bool


@dataclass(frozen=True, slots=True)
class WirePreview:
    """A request as the receiver will get it, or why there would be none."""

    event_type: str
    request_line: str = ""
    headers: tuple[HeaderLine, ...] = ()
    body: str = ""
    is_cut: bool = False
    """The body is longer than is shown."""
    example_secret: str = ""
    """What it is signed with, where that is not a secret of the subscription."""
    problem: str = ""
    """Why such an event could not be sent."""
    notes: list[str] = field(default_factory=list)
    """What of the form is not in it."""


def preview_of(
    project: Project, form: SubscriptionForm, *, catalogue: list[str], sample: str
) -> WirePreview:
    """Compose and sign a sample event as the form stands, unsaved.

    `sample` is the event type asked for; anything else gives the first of the catalogue that is
    subscribed to, or else the first name that was typed.
    """
    values = _values(form)
    notes = _notes(form, values)
    fitting = _fitting(catalogue, values, notes)
    event_type = sample if is_event_type(sample) else fitting
    try:
        data = data_of_test(project, event_type).text
    except EventRefused as refusal:
        return WirePreview(event_type, problem=in_page_language(str(refusal)), notes=notes)
    example = values.get("secret") or EXAMPLE_SECRET
    is_example = form.subscription is None or _is_withheld(form, values)
    secrets = (example,) if is_example else None
    snapshot = _snapshot(project, form.subscription, values, secrets, notes)
    described = describe_event_types([(project.pk, event_type)])
    prepared = prepare(
        _delivery(snapshot, event_type, data),
        snapshot,
        description=described.get((project.pk, event_type), ""),
    )
    if isinstance(prepared, Exchange):
        return WirePreview(event_type, problem=in_page_language(prepared.error), notes=notes)
    stored = form.subscription.custom_headers if form.subscription else {}
    body = prepared.body.decode()
    return WirePreview(
        event_type,
        request_line=f"POST {prepared.url.target} HTTP/1.1",
        headers=tuple(_header_lines(prepared, stored)),
        body=body[:_SHOWN_CHARACTERS],
        is_cut=len(body) > _SHOWN_CHARACTERS,
        example_secret=EXAMPLE_SECRET
        if form.subscription is None and not values.get("secret")
        else "",
        notes=notes,
    )


def _values(form: SubscriptionForm) -> dict[str, Any]:
    """Return what can be made of the form: what was typed, else what was there before."""
    if not form.is_bound:
        return {name: form.get_initial_for_field(one, name) for name, one in form.fields.items()}
    form.is_valid()
    return form.cleaned_data


def _notes(form: SubscriptionForm, values: dict[str, Any]) -> list[str]:
    notes = [str(NO_DEFAULT_SECRET)] if form.is_default_secret_refused else []
    for name in ("event_types", "custom_headers"):
        notes += map(str, form.errors.get(name, ()))
    if _is_withheld(form, values):
        notes.append(
            _("The project’s default secret signs these requests; here, an example stands for it.")
        )
    return notes


def _is_withheld(form: SubscriptionForm, values: dict[str, Any]) -> bool:
    """Say whether what signs is a secret that the visitor may have nothing signed with."""
    return bool(values.get("uses_default_secret")) and not form.may_use_default_secret


def _fitting(catalogue: list[str], values: dict[str, Any], notes: list[str]) -> str:
    filters: tuple[str, ...] = ()
    try:
        if values.get("event_types"):
            filters = check_filters(values["event_types"])
    except SettingRefused as refusal:
        notes.append(in_page_language(str(refusal)))
    known = (name for name in catalogue if matches(filters, name))
    wanted = chain(known, filter(is_event_type, filters))
    return next(wanted, default_test_event_type(values.get("wire_format") or "standard"))


def _snapshot(
    project: Project,
    subscription: Subscription | None,
    values: dict[str, Any],
    secrets: tuple[str, ...] | None,
    notes: list[str],
) -> SubscriptionSnapshot:
    """Describe what is stored nowhere; `secrets`: in place of the stored ones."""
    wire_format = values.get("wire_format") or "standard"
    secret_error = ""
    if secrets is None:
        assert subscription is not None  # noqa: S101  # only that has stored ones
        secrets = ()
        owner = project if values.get("uses_default_secret") else subscription
        rows = live_secrets(owner.signing_secrets.all())
        try:
            secrets = tuple(decrypt(row.ciphertext) for row in rows)
        except SecretUnreadable as error:
            secret_error = str(error)
    return SubscriptionSnapshot(
        id=subscription.id if subscription else new_id(),
        project_id=project.pk,
        generation=1,
        is_active=True,
        is_deleted=False,
        url=_url(project, values, notes),
        wire_format=wire_format,
        repsona_fields=wire_format == "repsona" and bool(values.get("repsona_fields")),
        signature_schemes=_schemes(values, wire_format, notes),
        secrets=secrets,
        secret_error=secret_error,
        custom_headers=_headers(subscription, values, notes),
        retry_schedule=(),
    )


def _url(project: Project, values: dict[str, Any], notes: list[str]) -> str:
    try:
        return check_url(values.get("url") or "", project).url
    except UrlRefused:
        notes.append(_("The URL cannot be used yet: an example stands for it."))
        return _EXAMPLE_URL


def _schemes(values: dict[str, Any], wire_format: str, notes: list[str]) -> tuple[str, ...]:
    chosen = values.get("signature_schemes")
    try:
        return check_schemes(chosen) if chosen else default_schemes(wire_format)
    except SettingRefused as refusal:
        notes.append(in_page_language(str(refusal)))
        return default_schemes(wire_format)


def _headers(
    subscription: Subscription | None, values: dict[str, Any], notes: list[str]
) -> tuple[tuple[str, str], ...]:
    stored = subscription.custom_headers if subscription else {}
    try:
        checked = check_custom_headers(unmasked(values.get("custom_headers") or {}, stored))
    except SettingRefused as refusal:
        notes.append(in_page_language(str(refusal)))
        return ()
    return tuple(checked.items())


def _delivery(snapshot: SubscriptionSnapshot, event_type: str, data: str) -> ClaimedDelivery:
    """Make a delivery that exists nowhere."""
    return ClaimedDelivery(
        id=new_id(),
        project_id=snapshot.project_id,
        subscription_id=snapshot.id,
        event_id=new_id(),
        event_type=event_type,
        data=data,
        event_created_at=timezone.now(),
        is_test=True,
        is_redelivery=False,
        attempt_count=1,
        tries_used=0,
        lease_ends_at=time.monotonic(),
    )


def _header_lines(request: OutboundRequest, stored: Mapping[str, str]) -> Iterator[HeaderLine]:
    """List the headers; a stored value, which may be a credential, by its mask."""
    signatures = {row.signature_header.lower() for row in SIGNATURE_SCHEMES.values()}
    for name, value in request.head.fields:
        shown = mask(value) if stored.get(name) == value else value
        yield HeaderLine(name, shown, is_signature=name.lower() in signatures)
