"""What `manage.py up` prints: what became of the demo's deliveries, where the pages are, a key.

Called once the parts are running. Lines of text only; whoever calls writes them.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from django.conf import settings
from django.contrib.auth import get_user_model

from deliveries.models import Attempt, Delivery
from deliveries.sending.transport import Outcome
from dispatcher.demo import project
from dispatcher.demo.inbox import inbox
from subscriptions.access.project_scope import subscriptions_of
from subscriptions.field_errors import FieldsRefused
from subscriptions.models import ApiKey, Project

_PATIENCE_SECONDS = 10.0
"""A request has five seconds, and everything here takes milliseconds unless something is wrong."""

_LOOK_SECONDS = 0.05

_EVENT = '{"type": "Task.update", "data": {"task": {"id": 2}}}'


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one delivery of the demo."""

    preset: str
    event_type: str
    status: str
    milliseconds: str
    is_verified: bool


def begin(*, is_asked_to_stop: Callable[[float], bool]) -> list[str]:
    """Open the inbox; on the first start make the demo and wait for its deliveries.

    Returns what to print. `is_asked_to_stop(seconds)` waits and says whether to give up.
    """
    inbox.is_open = True
    try:
        if not project.is_wanted():
            return _welcome_back()
        credentials = project.make_demo(site())
    except FieldsRefused as refusal:
        return [*_refused(refusal), *where_to_log_in()]
    results = _wait_for(project.publish_samples(), is_asked_to_stop)
    return [*_table(results), "", *_first_welcome(credentials)]


def _refused(refusal: FieldsRefused) -> list[str]:
    return [
        f"No demo: its inbox would be {site()}/demo/inbox/.",
        *(error.message for error in refusal.errors[:1]),
        "DISPATCHER_ALLOWED_NETWORKS=127.0.0.1/32 allows this machine, PORT=8000 is a good port.",
        "",
    ]


# ---- The demo's deliveries ------------------------------------------------------------------


def _wait_for(
    delivery_ids: Sequence[UUID], is_asked_to_stop: Callable[[float], bool]
) -> list[Result]:
    give_up_at = time.monotonic() + _PATIENCE_SECONDS
    unfinished = Delivery.objects.filter(id__in=delivery_ids, next_attempt_at__isnull=False)
    while unfinished.exists() and time.monotonic() < give_up_at:
        if is_asked_to_stop(_LOOK_SECONDS):
            break
    deliveries = Delivery.objects.filter(id__in=delivery_ids).select_related("subscription")
    return [_result(delivery) for delivery in deliveries.order_by("id")]


def _result(delivery: Delivery) -> Result:
    attempt = Attempt.objects.filter(delivery=delivery).order_by("number").last()
    code = f" {delivery.last_status_code}" if delivery.last_status_code else ""
    is_explained = delivery.last_outcome in ("", Outcome.SUCCEEDED)
    return Result(
        preset=delivery.subscription.wire_format,
        event_type=delivery.event_type,
        status=delivery.status + (code if is_explained else f" ({delivery.last_outcome}{code})"),
        milliseconds=str(attempt.duration_ms) if attempt else "-",
        is_verified=attempt is not None and _was_verified(attempt),
    )


def _was_verified(attempt: Attempt) -> bool:
    """Find the request in the inbox: no two have the same signature over the same body."""
    sent = attempt.request_headers.splitlines()
    return any(
        received.is_verified and any(line.endswith(f": {received.signature}") for line in sent)
        for received in inbox.latest()
    )


def _table(results: Sequence[Result]) -> list[str]:
    rows = [("SUBSCRIPTION", "EVENT", "STATUS", "MS", "SIGNATURE VERIFIED")]
    rows += [
        (result.preset, result.event_type, result.status, result.milliseconds, _yes(result))
        for result in results
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        "The demo published two sample events to its inbox:",
        "",
        *("  " + "  ".join(map(_aligned, row, widths)).rstrip() for row in rows),
    ]


def _aligned(text: str, width: int) -> str:
    return text.rjust(width) if text.isdigit() or text == "MS" else text.ljust(width)


def _yes(result: Result) -> str:
    return "yes" if result.is_verified else "no"


# ---- Where to go ----------------------------------------------------------------------------


def site() -> str:
    """Return where the pages are."""
    port = "" if settings.DISPATCHER_PORT == 80 else f":{settings.DISPATCHER_PORT}"
    return f"http://127.0.0.1{port}"


def _first_welcome(credentials: project.Credentials) -> list[str]:
    return [
        f"Pages    {site()}/",
        f"Inbox    {site()}/demo/inbox/",
        f"Admin    {site()}/admin/",
        f"Login    {project.LOGIN}, password {credentials.password or '(the one it has)'}",
        f"API key  {credentials.api_key}",
        "Password and key are stored hashed: they are shown only now.",
        "",
        "Publish an event:",
        _curl(project.SLUG, f"'Authorization: Bearer {credentials.api_key}'"),
    ]


def _welcome_back() -> list[str]:
    lines = [f"Inbox    {site()}/demo/inbox/", *where_to_log_in()]
    demo = Project.objects.filter(slug=project.SLUG).first()
    if demo is None:
        return lines
    project.follow_port(demo, site())
    key = ApiKey.objects.filter(project=demo, revoked_at=None).first()
    return [
        *lines,
        f"API key  {key.prefix + '…' if key else 'none'} (make one: {_manage('create_key demo')})",
        *_inactive(demo),
        "",
        "Publish an event, with the key in $KEY:",
        _curl(demo.slug, '"Authorization: Bearer $KEY"'),
    ]


def where_to_log_in() -> list[str]:
    """Return the lines about the admin for a start whose password nobody can print."""
    users = get_user_model().objects.filter(is_staff=True, is_active=True)
    login = users.filter(username=project.LOGIN).first() or users.first()
    if login is None:
        how = f"none yet: {_manage('createsuperuser')}"
    else:
        name = login.get_username()
        how = f"{name} (new password: {_manage(f'changepassword {name}')})"
    lines = [f"Pages    {site()}/", f"Admin    {site()}/admin/", f"Login    {how}"]
    if not Project.objects.exists():
        lines.append(f"Project  none yet: {_manage('create_project NAME')}")
    return lines


def _inactive(demo: Project) -> list[str]:
    return [
        f"Inactive {subscription.url} ({subscription.get_deactivation_reason_display()})"
        for subscription in subscriptions_of(demo).filter(is_active=False)
    ]


def _curl(slug: str, authorization: str) -> str:
    return (
        f"curl {site()}/api/v1/projects/{slug}/events -H {authorization}"
        f" -H 'Content-Type: application/json' -d '{_EVENT}'"
    )


def _manage(command: str) -> str:
    """Return a command line that works where this program was started."""
    python = Path(sys.executable)
    here = Path.cwd()
    shown = python.relative_to(here) if python.is_relative_to(here) else python
    return f"{shown} {os.path.relpath(settings.BASE_DIR / 'manage.py')} {command}"
