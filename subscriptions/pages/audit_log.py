"""The page of a project's audit log: who changed what, newest first, with before and after."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, ClassVar, Final

from django import forms
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext_lazy

from subscriptions.access.audit_log import Action, entries_of
from subscriptions.models import AuditEntry
from subscriptions.pages.keys import MomentInput
from subscriptions.pages.listing import Listed, page_of
from subscriptions.pages.project_page import OWNER, ProjectPage

_INSTALLATION: Final = ("user.", "encryption_key.")
"""What begins so belongs to no project."""

_ACTIONS: Final = [action.value for action in Action if not action.value.startswith(_INSTALLATION)]


class FilterForm(forms.Form):
    """Which entries are wanted; the same filters as the API's."""

    action = forms.ChoiceField(
        label=gettext_lazy("Action"),
        required=False,
        choices=[("", gettext_lazy("all")), *((each, each) for each in _ACTIONS)],
    )
    actor = forms.CharField(label=gettext_lazy("Done by"), required=False, max_length=200)
    target = forms.CharField(label=gettext_lazy("Done to"), required=False, max_length=200)
    since = forms.DateTimeField(
        label=gettext_lazy("Since (UTC)"), required=False, widget=MomentInput()
    )
    until = forms.DateTimeField(
        label=gettext_lazy("Before (UTC)"), required=False, widget=MomentInput()
    )


@dataclass(frozen=True, slots=True)
class Change:
    """One setting that an entry tells of; `None` where it was not, or is not any more."""

    name: str
    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True)
class Row:
    """An entry as it is shown."""

    entry: AuditEntry
    changes: list[Change]


class AuditLog(ProjectPage):
    """`/projects/{project}/audit-log`."""

    template_name = "audit_log.html"
    roles: ClassVar = {"GET": OWNER}
    section = "audit-log-page"

    def get(self, request: HttpRequest, **_path: str) -> HttpResponse:
        """Show a page of the entries that the filters want."""
        form = FilterForm(request.GET)
        if form.is_valid():
            wanted = {name: value for name, value in form.cleaned_data.items() if value}
            page = page_of(request, entries_of(self.project, wanted), self.project)
            status = HTTPStatus.BAD_REQUEST if page.refusal else HTTPStatus.OK
        else:
            page, wanted, status = Listed([]), {}, HTTPStatus.UNPROCESSABLE_ENTITY
        context = {
            "form": form,
            "page": page,
            "rows": [Row(entry, changes_of(entry)) for entry in page.rows],
            "is_filtered": bool(wanted) or not form.is_valid(),
        }
        return self.show(self.template_name, context, status=status)


def changes_of(entry: AuditEntry) -> list[Change]:
    """Return what was otherwise before, by name; secrets are hints and masks in the log itself."""
    before, after = _members(entry.before), _members(entry.after)
    return [
        Change(name, _text(before, name), _text(after, name))
        for name in {**before, **after}
        if before.get(name) != after.get(name) or (name in before) != (name in after)
    ]


def _members(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(members: Mapping[str, Any], name: str) -> str | None:
    if name not in members:
        return None
    value = members[name]
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
