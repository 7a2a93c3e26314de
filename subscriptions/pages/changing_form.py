"""A form of something that others may change while it is filled in: nobody's values are lost.

It says with each submission what it showed: a tag of the row, as the API has it, and a digest of
each field. When the row has another tag by then, nothing is stored, and the form comes back with
what was typed where something was, and with the new values everywhere else.
"""

from __future__ import annotations

import hashlib
from typing import Any, cast

from django import forms
from django.http import QueryDict
from django.utils.translation import gettext as _

_DIGEST_CHARACTERS = 16


class ChangingForm(forms.Form):
    """Where a row is edited, its class calls `begin` once fields and initial values are there."""

    tag: str = ""
    """Of the row as it is now; empty: it is about a new one."""
    is_outdated: bool = False
    """The row is not the one that was shown."""
    changed_meanwhile: tuple[str, ...] = ()
    """Labels of the fields that show something else now."""

    def begin(self, tag: str) -> None:
        """Compare what was submitted, if anything was, with the row of this tag."""
        self.tag = tag
        self.is_outdated = self.is_bound and self.data.get("tag") != tag
        if self.is_outdated:
            self._show_theirs()

    @property
    def seen(self) -> str:
        """Return a digest of each field as the row has it, for the page to send back."""
        return " ".join(f"{name}:{_digest(self._stored(name))}" for name in self.fields)

    @property
    def changed_names(self) -> list[str]:
        """Return the fields whose text is not the row's; browsers end lines in their own way."""
        return [
            name for name in self.fields if _plain(self[name].value()) != _plain(self._stored(name))
        ]

    def clean(self) -> dict[str, Any]:
        """Refuse to store over what somebody else changed while the form was filled in."""
        if self.is_outdated:
            raise forms.ValidationError(self._words(), code="changed_meanwhile")
        return self.cleaned_data

    def _words(self) -> str:
        if not self.changed_meanwhile:
            return _(
                "This was changed while you filled in the form. Look at the values below, and "
                "save them again."
            )
        return _(
            "This was changed while you filled in the form: %(fields)s. What you changed stands "
            "below as you left it, everything else as it is now. Look at it, and save it again."
        ) % {"fields": ", ".join(self.changed_meanwhile)}

    def _show_theirs(self) -> None:
        """Put the row's values where nothing was typed; without digests, all of it was."""
        parts = (part.partition(":") for part in self.data.get("seen", "").split())
        shown = {name: digest for name, _colon, digest in parts}
        data, labels = cast("QueryDict", self.data).copy(), []
        for name in self.fields.keys() & shown.keys():
            if _digest(self[name].value()) == shown[name]:
                _fill_in(data, name, self._stored(name))
        for name, field in self.fields.items():
            if name in shown and _digest(self._stored(name)) != shown[name]:
                labels.append(str(field.label))
        self.data, self.changed_meanwhile = data, tuple(labels)

    def _stored(self, name: str) -> Any:
        """Return the row's value as the field shows it."""
        field = self.fields[name]
        return field.prepare_value(self.get_initial_for_field(field, name))


def _fill_in(data: QueryDict, name: str, value: Any) -> None:
    """Let a submission say this value, as a browser would."""
    if isinstance(value, bool):
        data.setlist(name, ["on"] if value else [])
    elif isinstance(value, (list, tuple)):
        data.setlist(name, [str(each) for each in value])
    else:
        data[name] = _plain(value)


def _plain(value: Any) -> str:
    """Return a shown value as a text to compare."""
    if isinstance(value, (list, tuple)):
        return "\n".join(sorted(map(str, value)))
    return "" if value is None else "\n".join(str(value).splitlines())


def _digest(value: Any) -> str:
    return hashlib.sha256(_plain(value).encode()).hexdigest()[:_DIGEST_CHARACTERS]
