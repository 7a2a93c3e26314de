"""The forms of an event type; what the values must be, the catalogue says."""

from __future__ import annotations

from typing import Any, cast

import msgspec
from django import forms
from django.http import QueryDict
from django.utils.translation import gettext_lazy as _

from subscriptions.catalogue.entries import DESCRIPTION_LIMIT_CHARACTERS, EventTypeSettings
from subscriptions.catalogue.json_schema import LIMIT_BYTES as SCHEMA_LIMIT_BYTES
from subscriptions.event_types import LIMIT_CHARACTERS
from subscriptions.models import EventType
from subscriptions.pages.changing_form import ChangingForm
from subscriptions.pages.refusal_words import in_page_language
from subscriptions.payload import LIMIT_BYTES as EXAMPLE_LIMIT_BYTES
from subscriptions.payload import Payload, PayloadRefused, payload_from_json
from subscriptions.rest.preconditions import etag_of


class JsonText(forms.CharField):
    """JSON, kept as it was typed but for white space; empty: none."""

    def __init__(self, *, limit_bytes: int, only_object: bool = False, **options: Any) -> None:
        attributes = {"rows": 10, "spellcheck": "false", "autocomplete": "off"}
        super().__init__(required=False, widget=forms.Textarea(attrs=attributes), **options)
        self.limit_bytes, self.only_object = limit_bytes, only_object

    def clean(self, value: Any) -> Any:
        """Return the checked text as a payload, or `None`."""
        text = super().clean(value)
        if not text:
            return None
        try:
            payload: Payload = payload_from_json(text, limit_bytes=self.limit_bytes)
        except PayloadRefused as refusal:
            raise forms.ValidationError(in_page_language(str(refusal)), code=refusal.code) from None
        if self.only_object and not payload.is_object:
            raise forms.ValidationError(_("This is not a JSON object."), code="not_an_object")
        return payload


class ChangeForm(ChangingForm):
    """What can be changed of an event type."""

    description = forms.CharField(
        label=_("Description"),
        required=False,
        max_length=DESCRIPTION_LIMIT_CHARACTERS,
        strip=False,
        widget=forms.Textarea(attrs={"rows": 2}),
        help_text=_("When it is published, and what for."),
    )
    example = JsonText(
        label=_("Example (JSON)"),
        limit_bytes=EXAMPLE_LIMIT_BYTES,
        help_text=_("Data as such an event has it. Tests send it."),
    )
    schema = JsonText(
        label=_("JSON Schema"),
        limit_bytes=SCHEMA_LIMIT_BYTES,
        only_object=True,
        help_text=_("What the data of new events must fit; others are refused. Empty: anything."),
    )
    is_archived = forms.BooleanField(
        label=_("Archived"),
        required=False,
        help_text=_("New events of this type are refused. Its history and subscriptions stay."),
    )

    @classmethod
    def of(cls, entry: EventType, data: QueryDict | None = None) -> ChangeForm:
        """Return the form as the event type fills it in, or as it was filled in then."""
        form = cls(
            data,
            initial={
                "description": entry.description,
                "example": indented(entry.example),
                "schema": indented(entry.schema),
                "is_archived": entry.is_archived,
            },
        )
        form.begin(tag_of(entry))
        return form

    def settings(self) -> EventTypeSettings:
        """Return what was typed, as the catalogue takes it; of one that exists, what is new."""
        names = self.changed_names if self.tag else self.fields
        return cast("EventTypeSettings", {name: self.cleaned_data[name] for name in names})


class NewForm(ChangeForm):
    """A new event type."""

    name = forms.CharField(
        label=_("Name"),
        max_length=LIMIT_CHARACTERS,
        strip=False,
        widget=forms.TextInput(attrs={"autocomplete": "off", "autocapitalize": "none"}),
        help_text=_("Such as order.paid. It stays: history and subscriptions use it."),
    )
    field_order = ("name", "description", "example", "schema")

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        del self.fields["is_archived"]


def tag_of(entry: EventType) -> str:
    """Return what tells that the event type is still the one that was shown."""
    return etag_of(entry.updated_at)


def indented(text: str) -> str:
    """Return a JSON text with its parts in lines of their own, its numbers as they are."""
    try:
        return msgspec.json.format(text.encode(), indent=2).decode() if text else ""
    except (msgspec.DecodeError, RecursionError):  # it was stored past the rules
        return text
