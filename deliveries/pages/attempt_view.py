"""Makes of an attempt what `deliveries/attempt.html` shows: words, waterfall, request, response.

One attempt: `show_attempt(attempt, delivery=…, event=event_of(delivery), project=…)`; all of a
delivery: `show_attempts(…)`. The template takes it as `attempt`, and nothing else.
Asks no database; who may see the delivery is the caller's to know.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from urllib.parse import urlsplit

import msgspec
from django.urls import reverse

from deliveries.history.deliveries import (
    header_fields,
    request_body_of,
    response_body_of,
    response_headers_of,
)
from deliveries.models import Attempt, Delivery, Event
from deliveries.pages.waterfall import Bar, waterfall
from deliveries.pages.words import Words, explain, outcome_name, status_phrase
from deliveries.sending.transport import Outcome
from subscriptions.ids import to_public
from subscriptions.models import Project

SHOWN_CHARACTERS: Final = 16 * 1024
"""Of a body; a page may hold fifty attempts. The whole of it is a link away."""

PRETTY_CHARACTERS: Final = 256 * 1024
"""A longer body is shown as it is."""

CURL_CHARACTERS: Final = 8 * 1024
"""A longer body is read from a file: terminals take no more than a few thousand at once."""

_MADE_BY_CURL: Final = frozenset({"host", "content-length"})

_STATES: Final = {
    Outcome.SUCCEEDED: "good",
    Outcome.INTERRUPTED: "warn",
    Outcome.OWN_OUTAGE: "warn",
}
"""How outcomes look; the others are bad."""


@dataclass(frozen=True, slots=True)
class Body:
    """A body as it is shown."""

    text: str
    is_cut: bool = False
    """There is more of it than is shown here."""
    is_truncated: bool = False
    """There was more of it than was kept."""
    is_binary: bool = False
    """It is no text, and shown as base64."""


@dataclass(frozen=True, slots=True)
class AttemptShown:
    """All that the template needs."""

    id: str
    """Public; also begins the ids of its elements."""
    number: int
    started_at: datetime
    outcome: str
    """In words."""
    state: str
    """`good`, `bad` or `warn`."""
    status_code: int | None
    status_phrase: str
    words: Words
    duration_ms: int
    bars: list[Bar]
    remote_address: str | None
    url: str
    request_headers: str
    """A line each; empty if nothing was sent."""
    request_body: Body | None
    """None: can no longer be said."""
    body_address: str
    """Where the request's body is, byte by byte."""
    response_headers: str
    response_body: Body | None
    """None: there was no response."""
    curl: str
    """A command that sends the same; empty where that cannot be said."""
    is_curl_with_file: bool
    """The command reads the body from `body.json`."""


def show_attempts(
    attempts: Sequence[Attempt], *, delivery: Delivery, event: Event | None, project: Project
) -> list[AttemptShown]:
    """Show a delivery's attempts, in their order; each says how often it ended like this so far."""
    shown = []
    in_a_row, last_end = 0, None
    for attempt in attempts:
        end = (attempt.outcome, attempt.status_code, attempt.error)
        in_a_row = in_a_row + 1 if end == last_end else 1
        last_end = end
        shown.append(
            show_attempt(
                attempt, delivery=delivery, event=event, project=project, in_a_row=in_a_row
            )
        )
    return shown


def show_attempt(
    attempt: Attempt,
    *,
    delivery: Delivery,
    event: Event | None,
    project: Project,
    in_a_row: int = 1,
) -> AttemptShown:
    """Show one attempt of the delivery; `event` is what it carries, `None` if that was pruned."""
    sent = request_body_of(attempt, event) if attempt.request_headers else None
    curl, is_with_file = curl_command(attempt, sent)
    has_succeeded = attempt.outcome == Outcome.SUCCEEDED
    return AttemptShown(
        id=to_public("att", attempt.id),
        number=attempt.number,
        started_at=attempt.started_at,
        outcome=outcome_name(attempt.outcome),
        state=_STATES.get(Outcome(attempt.outcome), "bad"),
        status_code=attempt.status_code,
        status_phrase=status_phrase(attempt.status_code),
        words=words_on(attempt, in_a_row=1 if has_succeeded else in_a_row),
        duration_ms=attempt.duration_ms,
        bars=waterfall(attempt),
        remote_address=attempt.remote_address,
        url=attempt.request_url,
        request_headers=attempt.request_headers.strip(),
        request_body=None if sent is None else body_shown(sent),
        body_address=reverse(
            "attempt-body", args=[project.slug, to_public("dlv", delivery.id), attempt.number]
        ),
        response_headers=_lines(response_headers_of(attempt)),
        response_body=_response_body(attempt),
        curl=curl,
        is_curl_with_file=is_with_file,
    )


def words_on(attempt: Attempt, *, in_a_row: int = 1) -> Words:
    """Return the words on an attempt as the history has it."""
    return explain(
        outcome=attempt.outcome,
        status_code=attempt.status_code,
        error=attempt.error,
        host=host_of(attempt.request_url),
        in_a_row=in_a_row,
    )


def host_of(url: str) -> str:
    """Return the host name of a stored URL; empty if it has none."""
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def body_shown(text: str, *, is_truncated: bool = False, limit: int = SHOWN_CHARACTERS) -> Body:
    """Return a text as it is shown: indented where it is JSON, cut at the limit."""
    shown = text if is_truncated else pretty(text)
    return Body(shown[:limit], is_cut=len(shown) > limit, is_truncated=is_truncated)


def pretty(text: str) -> str:
    """Indent a text that is JSON; numbers, escapes and the order of members stay as they are."""
    if len(text) > PRETTY_CHARACTERS or not text.lstrip().startswith(("{", "[")):
        return text
    try:
        return msgspec.json.format(text, indent=2)
    except (msgspec.DecodeError, RecursionError, UnicodeEncodeError):
        return text


def curl_command(attempt: Attempt, body: str | None) -> tuple[str, bool]:
    """Return a shell's command line that sends what was sent, and whether it needs a file.

    Values of custom headers are masks in the history, and so they are here. Every word is quoted,
    and none can be taken for an option, a file name (`@…`) or a pattern of URLs.
    """
    if body is None or not attempt.request_headers:
        return "", False
    is_with_file = len(body) > CURL_CHARACTERS
    words = ["curl", "--globoff", "--request", "POST", "--url", shlex.quote(attempt.request_url)]
    lines = [" ".join(words)]
    for name, value in header_fields(attempt.request_headers):
        if name.lower() not in _MADE_BY_CURL:
            header = f"{name}: {value}" if value else f"{name};"  # `X:` would leave it out
            lines.append(f"--header {shlex.quote(header)}")
    # --data-raw takes a leading @ as it is, --data-binary reads a file as it is
    lines.append("--data-binary @body.json" if is_with_file else f"--data-raw {shlex.quote(body)}")
    return " \\\n  ".join(lines), is_with_file


def _lines(fields: Sequence[tuple[str, str]]) -> str:
    return "\n".join(f"{name}: {value}" for name, value in fields)


def _response_body(attempt: Attempt) -> Body | None:
    if not attempt.response_headers:
        return None
    content = response_body_of(attempt)
    if content.encoding == "base64":
        return Body(content.text, is_truncated=attempt.is_truncated, is_binary=True)
    return body_shown(content.text, is_truncated=attempt.is_truncated, limit=2 * SHOWN_CHARACTERS)
