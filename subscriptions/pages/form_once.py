"""Lets a form be sent twice, by a double click or a reload, and do what it does once.

Every form that is shown has a random id; with the same id and content, it is the same request.
Kept as the API keeps its idempotency keys, and as long; no client of the API can name these keys.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from http import HTTPStatus
from secrets import token_urlsafe
from typing import Final, TypeVar

from django.db import transaction
from django.http import HttpRequest

from subscriptions.pages.project_page import ProjectPage
from subscriptions.repeated_requests import claim
from subscriptions.secrets.encryption import decrypt, encrypt

FIELD: Final = "form_id"

_NOT_SENT: Final = "csrfmiddlewaretoken"
"""Changes when somebody signs in again."""

_Made = TypeVar("_Made")


def new_form_id() -> str:
    """Return what tells one form that is shown from every other."""
    return token_urlsafe(16)


def once(
    page: ProjectPage, make: Callable[[], _Made], id_of: Callable[[_Made], str]
) -> tuple[_Made | None, str]:
    """Return what `make` made, and its id; if the form was sent before, `None` and the first id.

    Sent twice at once, the second waits for the first. What `make` raises leaves nothing behind.
    A form without an id is of a program, which is taken at its word.
    """
    if not page.request.POST.get(FIELD):
        made = make()
        return made, id_of(made)
    digest = _digest_of(page.request)
    with transaction.atomic():
        row = claim(page.project, _key(page.visitor, digest), digest)
        if row.status_code is not None:
            return None, decrypt(row.answer)
        made = make()
        row.status_code, row.answer = HTTPStatus.CREATED, encrypt(id_of(made))
        row.save(update_fields=["status_code", "answer"])
    return made, id_of(made)


def _key(visitor: str, digest: str) -> str:
    """Return a key of this visitor's; its separators are in no key that the API takes."""
    return f"form\x1f{visitor}\x1f{digest}"


def _digest_of(request: HttpRequest) -> str:
    sent = sorted((name, values) for name, values in request.POST.lists() if name != _NOT_SENT)
    return hashlib.sha256(json.dumps([request.path, sent]).encode()).hexdigest()
