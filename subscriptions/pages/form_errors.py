"""Puts what a use case refused at the fields of the form that it was typed into."""

from __future__ import annotations

from collections.abc import Mapping

from django import forms

from subscriptions.field_errors import FieldsRefused
from subscriptions.pages.refusal_words import in_page_language


def add_errors(
    form: forms.Form, refused: FieldsRefused, *, fields: Mapping[str, str] | None = None
) -> None:
    """Add each error where it belongs; what no field is about belongs to the form.

    `fields`: the use case's name of a setting → the form's, where they differ.
    """
    names = fields or {}
    for error in refused.errors:
        name = error.field.partition(".")[0].partition("/")[0]
        name = names.get(name, name)
        form.add_error(name if name in form.fields else None, in_page_language(error.message))
