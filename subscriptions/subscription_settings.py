"""Checks what a customer sets on a subscription: each value by its own rule, errors by field.

Called by `subscription_changes` only; the rules themselves are in the pure modules.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypedDict

from subscriptions.custom_headers import check_custom_headers, unmasked
from subscriptions.field_errors import FieldError, FieldsRefused
from subscriptions.guard.address_guard import Destination, UrlRefused, parse_destination
from subscriptions.guard.outbound_policy import address_policy
from subscriptions.matching import check_filters
from subscriptions.metadata import check_metadata
from subscriptions.models import Project, Subscription
from subscriptions.refusal import SettingRefused
from subscriptions.retry_schedules import check_retry_schedule
from subscriptions.wire_formats import (
    WIRE_FORMATS,
    check_schemes,
    check_wire_format,
    default_schemes,
)

DESCRIPTION_LIMIT_CHARACTERS = 500
_DEFAULT_WIRE_FORMAT = "standard"
_REQUIRED = ("url", "event_types")


class Settings(TypedDict, total=False):
    """What a customer may set; what is not given stays, or has its default."""

    url: str
    description: str
    metadata: dict[str, str]
    """All of it: names that are not given go."""
    event_types: list[str]
    wire_format: str
    repsona_fields: bool
    signature_schemes: list[str] | None
    """`None`: those of the wire format."""
    secret: str | None
    """Only when creating; `None`: one is generated."""
    uses_default_secret: bool
    """Sign with the project's default secret instead."""
    is_active: bool
    retry_schedule: list[int] | str | None
    """Delays in seconds, or a preset's name; `None`: no retries."""
    custom_headers: dict[str, str] | None
    """All of them; a value's mask, given back, keeps the value that is stored."""


def checked_columns(
    settings: Settings, *, project: Project, current: Subscription | None = None
) -> dict[str, Any]:
    """Return the model's columns for these settings, or raise `FieldsRefused` with every error.

    Without `current` it is about a new subscription: what must be given is missed, what is not
    given has its default.
    """
    columns: dict[str, Any] = {}
    errors = list(_missing(settings)) if current is None else []
    for name, check in _checks(project, current).items():
        if name not in settings:
            continue
        try:
            columns[name] = check(settings.get(name))
        except UrlRefused as refusal:
            errors.append(FieldError(name, refusal.code, refusal.sentence))
        except SettingRefused as refusal:
            errors.append(FieldError(name, "invalid", str(refusal)))
        except FieldsRefused as refusal:
            errors += refusal.errors
    if errors:
        raise FieldsRefused(errors)
    columns |= _repsona_fields(columns, current)
    return columns | _schemes(settings, columns, current)


def _missing(settings: Settings) -> Iterator[FieldError]:
    for name in _REQUIRED:
        if name not in settings:
            yield FieldError(name, "required", "This field is required.")


def _checks(project: Project, current: Subscription | None) -> dict[str, Callable[[Any], Any]]:
    """Each setting's rule: takes what was given, returns what is stored, or raises."""
    stored_headers = current.custom_headers if current else {}
    return {
        "url": lambda url: check_url(url, project).url,
        "description": _check_description,
        "metadata": check_metadata,
        "event_types": lambda filters: list(check_filters(filters)),
        "wire_format": check_wire_format,
        "repsona_fields": _check_flag,
        "signature_schemes": lambda names: None if names is None else list(check_schemes(names)),
        "uses_default_secret": _check_flag,
        "retry_schedule": lambda schedule: list(check_retry_schedule(schedule)),
        "custom_headers": lambda headers: check_custom_headers(unmasked(headers, stored_headers)),
    }


def check_url(url: object, project: Project) -> Destination:
    """Return a URL as it would be stored, or raise `UrlRefused` or `SettingRefused`."""
    if not isinstance(url, str):
        raise SettingRefused("The URL is a text.")
    destination = parse_destination(url, https_only=project.is_https_only)
    address_policy().check_destination(destination)
    return destination


def _check_description(text: object) -> str:
    if not isinstance(text, str) or "\0" in text:
        raise SettingRefused("The description is a text.")
    if len(text) > DESCRIPTION_LIMIT_CHARACTERS:
        raise SettingRefused(
            f"The description has at most {DESCRIPTION_LIMIT_CHARACTERS} characters."
        )
    return text


def _check_flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise SettingRefused("This is true or false.")
    return value


def _repsona_fields(columns: dict[str, Any], current: Subscription | None) -> dict[str, Any]:
    """Let the option of one wire format go when another is chosen; refuse it with another."""
    wire_format = columns.get("wire_format", current.wire_format if current else None)
    if wire_format == "repsona":
        return {}
    if columns.get("repsona_fields"):
        message = "Only the 'repsona' wire format has these fields."
        raise FieldsRefused([FieldError("repsona_fields", "unsuitable", message)])
    return {"repsona_fields": False}


def _schemes(
    settings: Settings, columns: dict[str, Any], current: Subscription | None
) -> dict[str, Any]:
    """Settle the signature schemes: those given, or those of the wire format.

    When the wire format changes, schemes follow it if they were the old one's, and stay if
    something else had been chosen.
    """
    old_format = current.wire_format if current else _DEFAULT_WIRE_FORMAT
    wire_format = columns.get("wire_format", old_format)
    if columns.get("signature_schemes") is not None:
        return {}
    follows = (
        current is None
        or "signature_schemes" in settings
        or current.signature_schemes == list(WIRE_FORMATS[old_format].default_schemes)
    )
    return {"signature_schemes": list(default_schemes(wire_format))} if follows else {}
