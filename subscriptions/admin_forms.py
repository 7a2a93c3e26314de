"""The admin's form of a subscription: lists and headers as lines of text, checked as by the API.

Nothing is judged here: `line_fields` reads lines, `subscription_changes` checks, and its errors go
to their fields.
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

from subscriptions.field_errors import FieldsRefused
from subscriptions.line_fields import Delays, HeaderLines, Lines
from subscriptions.models import Project, Subscription
from subscriptions.subscription_changes import Created, change_subscription, create_subscription
from subscriptions.subscription_settings import Settings
from subscriptions.wire_formats import SIGNATURE_SCHEMES, WIRE_FORMATS

HEADERS_HELP = (
    "One in a line, such as X-Team: billing. Stored values are shown as … and their end; a line "
    "left like that keeps its value."
)


class SubscriptionForm(forms.ModelForm[Subscription]):
    """What a customer may set, and the project of a new subscription."""

    url = forms.CharField(
        label="URL", widget=UnfoldAdminTextInputWidget(), max_length=2048, strip=False
    )
    metadata = forms.JSONField(
        label="Metadata",
        required=False,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 3}),
        help_text='The customer\'s own names and texts, such as {"customer": "4711"}.',
    )
    event_types = Lines(
        label="Event types",
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 4}),
        help_text="One in a line: a full name, a prefix such as Task.*, or *",
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
    custom_headers = HeaderLines(
        label="Custom headers",
        required=False,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 3}),
        help_text=HEADERS_HELP,
    )
    retry_schedule = Delays(
        label="Retry schedule",
        required=False,
        widget=UnfoldAdminTextInputWidget(),
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
        fields = ("project", "url", "description", "metadata", "event_types", "wire_format",
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
        if chosen.get("metadata", "") is None:
            chosen["metadata"] = {}
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
