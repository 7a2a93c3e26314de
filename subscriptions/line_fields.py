"""Form fields that take lists and names with values as lines of text; how lines are read is here.

Used by the admin's form and the members'. What the values must be, `subscription_settings` says.
"""

from __future__ import annotations

import json
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from subscriptions.custom_headers import masked
from subscriptions.retry_schedules import PRESETS


class SettingAsText(forms.CharField):
    """A setting that is edited as text."""

    def has_changed(self, initial: Any, data: Any) -> bool:
        """Say whether the text is another than was shown; browsers end lines in their own way."""
        shown = self.prepare_value(initial) or ""
        return _filled_lines(str(shown)) != _filled_lines(str(data or ""))


class Lines(SettingAsText):
    """A list of texts, one in a line."""

    def prepare_value(self, value: Any) -> Any:
        """Show a stored list as lines."""
        return "\n".join(value) if isinstance(value, list) else value

    def clean(self, value: Any) -> Any:
        """Return the lines that are not empty."""
        return list(_filled_lines(super().clean(value)))


class HeaderLines(SettingAsText):
    """Header fields, `Name: value` in a line each."""

    def prepare_value(self, value: Any) -> Any:
        """Show stored headers as lines, each value by its mask: it may be a credential."""
        if isinstance(value, dict):
            return "\n".join(f"{name}: {text}" for name, text in masked(value).items())
        return value

    def clean(self, value: Any) -> Any:
        """Return names and values, or raise for a line without a colon or a name given twice."""
        headers: dict[str, str] = {}
        for line in _filled_lines(super().clean(value)):
            name, colon, text = line.partition(":")
            if not colon or name in headers:
                raise forms.ValidationError(
                    _("Write each header once, in a line such as Name: value.")
                )
            headers[name] = text.strip()
        return headers


class Delays(SettingAsText):
    """A retry schedule: seconds with commas between them, or a preset's name."""

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


class MetadataLines(SettingAsText):
    """Names and texts, `name=text` in a line each; as a JSON object where lines cannot say it."""

    def has_changed(self, initial: Any, data: Any) -> bool:
        """Compare what is meant: spaces inside of a text count."""
        try:
            return bool(self.clean(data) != (initial or {}))
        except forms.ValidationError:
            return True

    def prepare_value(self, value: Any) -> Any:
        """Show stored metadata so that reading it gives the same again."""
        if not isinstance(value, dict):
            return value
        lines = "\n".join(f"{name}={text}" for name, text in value.items())
        is_same = not lines.startswith("{") and _pairs(lines) == value
        return lines if is_same else json.dumps(value, ensure_ascii=False, indent=1)

    def clean(self, value: Any) -> Any:
        """Return names and texts, or raise for a line without `=`, or no JSON object."""
        text = super().clean(value).strip()
        try:
            pairs = json.loads(text) if text.startswith("{") else _pairs(text)
        except (ValueError, RecursionError):
            pairs = None
        if pairs is None:
            raise forms.ValidationError(_("Write each name once, in a line such as name=text."))
        return pairs


def _pairs(text: str) -> dict[str, str] | None:
    """Return what the lines say; `None` where one says nothing, or a name is there twice."""
    pairs: dict[str, str] = {}
    for line in _filled_lines(text):
        name, equals, value = line.partition("=")
        if not equals or name.strip() in pairs:
            return None
        pairs[name.strip()] = value.strip()
    return pairs


def _filled_lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 10  # a week is 604800
