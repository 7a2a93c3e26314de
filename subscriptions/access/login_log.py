"""Writes logins, failed ones and logouts into the audit log, wherever in the project they happen.

Connected to Django's signals by `apps`. A name that nobody has is not kept: people type passwords
into the wrong field.
"""

from __future__ import annotations

from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.signals import user_logged_in, user_logged_out, user_login_failed

from subscriptions.access.acting import NOBODY
from subscriptions.access.audit_log import Action, Target, record, target_of_user
from subscriptions.access.request_context import user_actor


def connect() -> None:
    """Listen from now on."""
    user_logged_in.connect(_logged_in, dispatch_uid="audit_log.logged_in")
    user_login_failed.connect(_failed, dispatch_uid="audit_log.login_failed")
    user_logged_out.connect(_logged_out, dispatch_uid="audit_log.logged_out")


def _logged_in(*, user: Any, **_: Any) -> None:
    record(Action.USER_LOGGED_IN, target_of_user(user), actor=user_actor(user))


def _logged_out(*, user: Any, **_: Any) -> None:
    if user is not None:  # somebody whose session was over already
        record(Action.USER_LOGGED_OUT, target_of_user(user), actor=user_actor(user))


def _failed(*, credentials: dict[str, Any], **_: Any) -> None:
    users = get_user_model()
    name = credentials.get(users.USERNAME_FIELD)
    known = users._default_manager.filter(**{users.USERNAME_FIELD: name}).first()
    target = target_of_user(known) if known else Target("user", "unknown", None)
    after = {"name": known.get_username()} if known else None
    record(Action.USER_LOGIN_FAILED, target, after=after, actor=NOBODY)
