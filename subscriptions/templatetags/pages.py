"""How pages write times, numbers and public ids; `{% load pages %}`."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from uuid import UUID

from django import template
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from subscriptions.ids import to_public
from subscriptions.pages.refusal_words import in_page_language

register = template.Library()

_MARKS = re.compile(r"(?<=[/.:?&_\-=])(?![/.:?&_\-=])")
_BREAK = SafeString("<wbr>")


@register.filter
def moment(value: datetime | None) -> SafeString:
    """Write a time to the second, in UTC; browsers show it in their reader's zone."""
    if value is None:
        return SafeString("–")
    utc = value.astimezone(UTC)
    return format_html(
        '<time datetime="{}">{}</time>', f"{utc:%Y-%m-%dT%H:%M:%SZ}", f"{utc:%Y-%m-%d %H:%M:%S}"
    )


@register.filter
def breakable(text: str) -> SafeString:
    """Let a long URL or name break after its marks, rather than within a word."""
    parts = _MARKS.split(text)
    return format_html_join(
        "", "{}{}", ((part, _BREAK if part[-1:] in "/.:?&_-=" else "") for part in parts if part)
    )


@register.filter
def public_id(identifier: UUID, prefix: str) -> str:
    """Write an id as the API does: `{{ delivery.id|public_id:"dlv" }}` gives `dlv_…`."""
    return to_public(prefix, identifier)


@register.filter
def in_words(sentence: str) -> str:
    """Say in the page's language what is stored as a rule's English sentence."""
    return in_page_language(sentence)


@register.filter
def percent(share: float | None) -> str:
    """Write a share of one, such as 0.9987, as `99.8 %`: never rounded up to all."""
    if share is None:
        return "–"
    return f"{int(share * 1000) / 10:g} %"


@register.filter
def number(value: float | None) -> str:
    """Write a count with its thousands apart: `12,345`."""
    return "–" if value is None else f"{round(value):,}"


@register.filter
def rate(value: float | None) -> str:
    """Write how many per minute: two digits that count, and no fraction of a large number."""
    if value is None:
        return "–"
    return f"{round(value):,}" if value >= 10 or not value else f"{float(f'{value:.2g}'):g}"
