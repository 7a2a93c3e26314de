"""The admin's forms of projects, keys and event types: what they may have is decided elsewhere.

Saving is the admin page's, by the same functions as the API's; what these refuse is shown here.
"""

from __future__ import annotations

from typing import Any

from django import forms
from django.db import transaction
from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget, UnfoldAdminTextareaWidget

from subscriptions.access import api_keys, projects
from subscriptions.catalogue.entries import (
    EventTypeExists,
    EventTypeSettings,
    change_event_type,
    create_event_type,
)
from subscriptions.field_errors import FieldError, FieldsRefused
from subscriptions.line_fields import Lines
from subscriptions.models import ApiKey, EventType, Project
from subscriptions.payload import Payload, PayloadRefused, payload_from_json


class ProjectForm(forms.ModelForm[Project]):
    """What can be set of a project."""

    portal_origins = Lines(
        label="Portal origins",
        required=False,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 3}),
        help_text="One in a line, such as https://app.example.com: they may frame the portal.",
    )

    class Meta:
        model = Project
        fields = ("name", "slug", "is_https_only", "failure_limit", "is_catalogue_strict",
                  "is_catalogue_public", "portal_origins")  # fmt: skip

    def clean(self) -> dict[str, Any]:
        """Refuse what the API refuses."""
        super().clean()
        given: Any = {**self.cleaned_data}
        slug = given.pop("slug", None)
        try:
            projects.check_settings(given, slug=slug)
        except FieldsRefused as refusal:
            _show(self, refusal)
        return self.cleaned_data


class ApiKeyForm(forms.ModelForm[ApiKey]):
    """What can be chosen of a project's key; the key itself is made.

    An operator's is made by `manage.py create_key --operator`: nobody gets one by leaving out the
    project.
    """

    scopes = forms.MultipleChoiceField(
        choices=ApiKey.Scope.choices,
        initial=api_keys.ALL_SCOPES,
        widget=UnfoldAdminCheckboxSelectMultipleWidget,
        help_text="Only an operator's key may operate.",
    )

    class Meta:
        model = ApiKey
        fields = ("project", "name", "scopes", "expires_at")

    def clean(self) -> dict[str, Any]:
        """Refuse what the API refuses, and any change of a key that has ended."""
        super().clean()
        is_new = self.instance._state.adding
        if not is_new and api_keys.has_ended(ApiKey.objects.get(pk=self.instance.pk)):
            raise forms.ValidationError("The key is revoked or expired, and stays so.")
        given: Any = {**self.cleaned_data}
        project = given.pop("project", None) if is_new else self.instance.project
        if is_new and project is None:
            return self.cleaned_data  # the field says so itself
        if is_new and isinstance(project, Project) and api_keys.has_all_keys(project):
            raise forms.ValidationError(api_keys.ALL_KEYS)
        try:
            api_keys.check_settings(project, given)
        except FieldsRefused as refusal:
            _show(self, refusal)
        return self.cleaned_data


class EventTypeForm(forms.ModelForm[EventType]):
    """What can be said of an event type; example and schema are JSON texts."""

    class Meta:
        model = EventType
        fields = ("project", "name", "description", "example", "schema", "is_archived")

    def clean(self) -> dict[str, Any]:
        """Try what saving will do, and take it back: every rule speaks, none is repeated here."""
        super().clean()
        if self.errors:
            return self.cleaned_data
        with transaction.atomic():
            try:
                self.store()
            except FieldsRefused as refusal:
                _show(self, refusal)
            except EventTypeExists:
                self.add_error("name", "The project has an event type of this name.")
            transaction.set_rollback(True)
        return self.cleaned_data

    def store(self) -> EventType:
        """Make the event type or change it; raises as `event_catalogue` does."""
        given = self.cleaned_data
        settings: EventTypeSettings = {
            "description": given["description"],
            "example": _payload("example", given["example"]),
            "schema": _payload("schema", given["schema"]),
            "is_archived": given["is_archived"],
        }
        if self.instance._state.adding:
            return create_event_type(given["project"], {"name": given["name"], **settings})
        return change_event_type(self.instance, settings)


def _payload(field: str, text: str) -> Payload | None:
    try:
        return payload_from_json(text) if text.strip() else None
    except PayloadRefused as refusal:
        raise FieldsRefused([FieldError(field, refusal.code, str(refusal))]) from None


def _show(form: forms.ModelForm[Any], refusal: FieldsRefused) -> None:
    for error in refusal.errors:
        field, _, place = error.field.partition("/")  # a place in a JSON text
        field = field.partition(".")[0]  # a line of several
        message = f"/{place}: {error.message}" if place else error.message
        if field not in form.errors:
            form.add_error(field if field in form.fields else None, message)
