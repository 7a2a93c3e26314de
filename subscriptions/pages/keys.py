"""Pages of a project's API keys: list, make (shown once), change the expiry, revoke."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, ClassVar, Final

from django import forms
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from subscriptions.access.api_keys import (
    ALL_SCOPES,
    NAME_LIMIT_CHARACTERS,
    KeyEnded,
    change_key,
    make_key,
    revoke,
)
from subscriptions.field_errors import FieldsRefused
from subscriptions.ids import from_public, to_public
from subscriptions.models import ApiKey
from subscriptions.pages.form_errors import add_errors
from subscriptions.pages.form_once import new_form_id, once
from subscriptions.pages.listing import page_of
from subscriptions.pages.project_page import OWNER, ProjectPage
from subscriptions.pages.refusal_words import in_page_language

SCOPE_WORDS: Final = {
    "publish": gettext_lazy("Publish events"),
    "read": gettext_lazy("Read subscriptions and deliveries"),
    "manage": gettext_lazy("Change subscriptions, send tests, redeliver"),
    "own": gettext_lazy("Change the project, its members and its keys"),
}


class MomentInput(forms.DateTimeInput):
    """A time to the minute, as browsers ask for it."""

    input_type = "datetime-local"

    def __init__(self) -> None:
        super().__init__(format="%Y-%m-%dT%H:%M")


class ExpiryForm(forms.Form):
    """Until when a key is good."""

    expires_at = forms.DateTimeField(
        label=gettext_lazy("Good until (UTC)"),
        required=False,
        widget=MomentInput(),
        help_text=gettext_lazy("Empty: it is good until it is revoked."),
    )


class NewKeyForm(ExpiryForm):
    """What a new key is for, and what it may do."""

    name = forms.CharField(
        label=gettext_lazy("Name"),
        required=False,
        max_length=NAME_LIMIT_CHARACTERS,
        help_text=gettext_lazy("What it is for, such as the program that will use it."),
    )
    scopes = forms.MultipleChoiceField(
        label=gettext_lazy("What it may do"),
        choices=[(scope, SCOPE_WORDS[scope]) for scope in ALL_SCOPES],
        widget=forms.CheckboxSelectMultiple,
        initial=["publish"],
        error_messages={"required": gettext_lazy("Choose what the key may do.")},
    )
    field_order = ("name", "scopes", "expires_at")


class Keys(ProjectPage):
    """`/projects/{project}/keys`."""

    template_name = "keys.html"
    roles: ClassVar = {"GET": OWNER, "POST": OWNER}
    section = "keys-page"

    def context(self, request: HttpRequest) -> dict[str, Any]:
        """Return a page of keys, newest first, and the form of a new one."""
        page = page_of(request, ApiKey.objects.filter(project=self.project), self.project)
        return {
            "page": page,
            "now": timezone.now(),
            "scope_words": SCOPE_WORDS,
            "form": NewKeyForm(),
            "form_id": new_form_id(),
            "expiry_form": ExpiryForm(auto_id=False),
        }

    def post(self, request: HttpRequest, **_path: str) -> HttpResponse:
        """Make a key and show it: this once, since only its digest is stored."""
        form = NewKeyForm(request.POST)
        if form.is_valid():
            try:
                done = once(
                    self,
                    lambda: make_key(self.project, **form.cleaned_data),
                    _id_of,
                )
            except FieldsRefused as refused:
                add_errors(form, refused)
            else:
                return self._made(done[0])
        context = self.context(request) | {"form": form}
        return self.show(self.template_name, context, status=HTTPStatus.UNPROCESSABLE_ENTITY)

    def _made(self, made: tuple[ApiKey, str] | None) -> HttpResponse:
        """Show the key; when the form was sent again, nobody has it any more."""
        if made is None:
            return self.show(self.template_name, self.context(self.request) | {"is_repeated": True})
        shown = {"made": made[0], "plain_key": made[1]}
        context = self.context(self.request) | shown
        return self.show(self.template_name, context, status=HTTPStatus.CREATED)


def _id_of(made: tuple[ApiKey, str]) -> str:
    return to_public("key", made[0].public_id)


class KeyChange(ProjectPage):
    """What is done to one key; afterwards the list shows it."""

    http_method_names = ["post"]
    roles: ClassVar = {"POST": OWNER}

    def find(self) -> ApiKey:
        """Return the project's key that the path names, or raise a 404."""
        identifier = from_public("key", self.kwargs["key"])
        keys = ApiKey.objects.filter(project=self.project)
        key = None if identifier is None else keys.filter(public_id=identifier).first()
        if key is None:
            raise Http404
        return key

    def back(self) -> HttpResponse:
        """Lead to the list."""
        return redirect("keys-page", self.project.slug)


class KeyExpiry(KeyChange):
    """`/projects/{project}/keys/{id}/expiry`."""

    def post(self, request: HttpRequest, **_path: str) -> HttpResponse:
        """Set until when the key is good."""
        key, form = self.find(), ExpiryForm(request.POST)
        if not form.is_valid():
            messages.error(request, _("This is not a time; the key was left as it is."))
            return self.back()
        try:
            change_key(key, {"expires_at": form.cleaned_data["expires_at"]})
        except FieldsRefused as refused:
            sentences = (in_page_language(error.message) for error in refused.errors)
            messages.error(request, " ".join(sentences))
        except KeyEnded:
            messages.error(request, _("The key is revoked or expired, and stays so."))
        else:
            messages.success(
                request, _("The expiry of %(key)s… was changed.") % {"key": key.prefix}
            )
        return self.back()


class KeyRevocation(KeyChange):
    """`/projects/{project}/keys/{id}/revoke`."""

    def post(self, request: HttpRequest, **_path: str) -> HttpResponse:
        """End the key at once and for good."""
        key = self.find()
        revoke(key)
        messages.success(request, _("The key %(key)s… is revoked.") % {"key": key.prefix})
        return self.back()
