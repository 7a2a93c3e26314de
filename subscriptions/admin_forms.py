"""The admin's form of a subscription: lists and headers as lines of text, checked as by the API.

Nothing is judged here but how lines are read: `subscription_changes` checks, and its errors go to
their fields.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django import forms
from django.db import transaction
from unfold.widgets import (
    UnfoldAdminCheckboxSelectMultipleWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
)

from subscriptions.custom_headers import masked
from subscriptions.field_errors import FieldsRefused
from subscriptions.models import Project, Subscription
from subscriptions.retry_schedules import PRESETS
from subscriptions.subscription_changes import Created, change_subscription, create_subscription
from subscriptions.subscription_settings import Settings
from subscriptions.wire_formats import SIGNATURE_SCHEMES, WIRE_FORMATS

HEADERS_HELP = (
    "One in a line, such as X-Team: billing. Stored values are shown as … and their end; a line "
    "left like that keeps its value."
)


class Lines(forms.CharField):
    """A list of texts, one in a line."""

    def __init__(self, **options: Any) -> None:
        super().__init__(widget=UnfoldAdminTextareaWidget(attrs={"rows": 4}), **options)

    def prepare_value(self, value: Any) -> Any:
        """Show a stored list as lines."""
        return "\n".join(value) if isinstance(value, list) else value

    def clean(self, value: Any) -> Any:
        """Return the lines that are not empty."""
        return [line.strip() for line in super().clean(value).splitlines() if line.strip()]


class HeaderLines(forms.CharField):
    """Header fields, `Name: value` in a line each."""

    def __init__(self, **options: Any) -> None:
        super().__init__(widget=UnfoldAdminTextareaWidget(attrs={"rows": 3}), **options)

    def prepare_value(self, value: Any) -> Any:
        """Show stored headers as lines, each value by its mask: it may be a credential."""
        if isinstance(value, dict):
            return "\n".join(f"{name}: {text}" for name, text in masked(value).items())
        return value

    def clean(self, value: Any) -> Any:
        """Return names and values, or raise for a line without a colon or a name given twice."""
        headers: dict[str, str] = {}
        for line in filter(None, map(str.strip, super().clean(value).splitlines())):
            name, colon, text = line.partition(":")
            if not colon or name in headers:
                raise forms.ValidationError(
                    "Write each header once, in a line such as Name: value."
                )
            headers[name] = text.strip()
        return headers


class Delays(forms.CharField):
    """A retry schedule: seconds with commas between them, or a preset's name."""

    def __init__(self, **options: Any) -> None:
        super().__init__(widget=UnfoldAdminTextInputWidget(), **options)

    def prepare_value(self, value: Any) -> Any:
        """Show a stored schedule as text."""
        if not isinstance(value, list):
            return value
        names = [name for name, delays in PRESETS.items() if list(delays) == value]
        return names[0] if names else ", ".join(map(str, value))

    def clean(self, value: Any) -> Any:
        """Return the seconds, or a preset's name for the check to look up."""
        parts = [part.strip() for part in super().clean(value).split(",") if part.strip()]
        return [int(part) for part in parts] if all(map(_is_number, parts)) else ", ".join(parts)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 10  # a week is 604800


class SubscriptionForm(forms.ModelForm[Subscription]):
    """What a customer may set, and the project of a new subscription."""

    url = forms.CharField(
        label="URL", widget=UnfoldAdminTextInputWidget(), max_length=2048, strip=False
    )
    event_types = Lines(
        label="Event types", help_text="One in a line: a full name, a prefix such as Task.*, or *"
    )
    wire_format = forms.ChoiceField(
        label="Wire format",
        choices=[(name, name) for name in WIRE_FORMATS],
        widget=UnfoldAdminSelectWidget(),
    )
    signature_schemes = forms.MultipleChoiceField(
        label="Signature schemes",
        choices=[(name, name) for name in SIGNATURE_SCHEMES],
        widget=UnfoldAdminCheckboxSelectMultipleWidget(),
        required=False,
        help_text="None: those of the wire format.",
    )
    custom_headers = HeaderLines(label="Custom headers", required=False, help_text=HEADERS_HELP)
    retry_schedule = Delays(
        label="Retry schedule",
        required=False,
        help_text="Seconds before each retry, such as 5, 300, or: standard. Empty: no retries.",
    )
    secret = forms.CharField(
        label="Signing secret",
        required=False,
        strip=False,
        widget=UnfoldAdminTextInputWidget(attrs={"autocomplete": "off"}),
        help_text="Empty: one is generated, and shown once after saving.",
    )

    class Meta:
        model = Subscription
        fields = ("project", "url", "description", "event_types", "wire_format",
                  "repsona_fields", "signature_schemes", "uses_default_secret",
                  "custom_headers", "retry_schedule")  # fmt: skip

    def clean(self) -> dict[str, Any]:
        """Try what saving will do, and take it back: every rule speaks, none is repeated here."""
        cleaned = super().clean() or self.cleaned_data
        if self._has_project():
            with transaction.atomic():
                try:
                    self.store()
                except FieldsRefused as refusal:
                    self._show(refusal)
                transaction.set_rollback(True)
        return cleaned

    def store(self) -> Created | None:
        """Create the subscription and return it, or change it; raises `FieldsRefused`."""
        if self.instance._state.adding:
            project: Project = self.cleaned_data["project"]
            return create_subscription(project, self._settings(self.cleaned_data))
        change_subscription(self.instance, self._settings(self.changed_data))
        return None

    def _settings(self, names: Iterable[str]) -> Settings:
        given = [name for name in names if name in self.cleaned_data and name != "project"]
        chosen = {name: self.cleaned_data[name] for name in given}
        for name in ("signature_schemes", "secret"):
            if name in chosen:
                chosen[name] = chosen[name] or None
        settings: Settings = chosen  # type: ignore[assignment]  # the fields have these names
        return settings

    def _show(self, refusal: FieldsRefused) -> None:
        refused_already = set(self.errors)
        for error in refusal.errors:
            name = error.field.partition(".")[0]
            if name not in refused_already:
                self.add_error(name if name in self.fields else None, error.message)

    def _has_project(self) -> bool:
        return not self.instance._state.adding or "project" in self.cleaned_data
