"""Knows on whose behalf the code runs: set at the border, read by `audit_log` and the log lines.

The border is `request_context` for pages, `project_view` for the API, and each management command.
Whoever has passed none acts as the system: workers, beat, code in a shell. Pure.
"""

from __future__ import annotations

import getpass
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import Final


@dataclass(frozen=True, slots=True)
class Actor:
    """Who does something."""

    kind: str
    """`api_key`, `user`, `portal`, `command`, `system`, or `nobody`: a request without a login."""
    id: str = ""
    """The key's prefix, the user's number, the portal link's id; stays when names change."""
    label: str = ""
    """The key's or the user's name, for people."""


SYSTEM: Final = Actor("system", label="system")
NOBODY: Final = Actor("nobody")


@dataclass(frozen=True, slots=True)
class Origin:
    """Where what happens now comes from."""

    who: Callable[[], Actor]
    """Asked when it is needed: a request's login costs a query."""
    address: str | None = None
    """The client's."""
    request_id: str = ""


_origin: ContextVar[Origin] = ContextVar("origin", default=Origin(lambda: SYSTEM))  # noqa: B039  # frozen


def current_origin() -> Origin:
    """Return where what happens now comes from."""
    return _origin.get()


@contextmanager
def acting_from(origin: Origin) -> Iterator[None]:
    """Let what the block does come from there, in this thread."""
    token = _origin.set(origin)
    try:
        yield
    finally:
        _origin.reset(token)


@contextmanager
def acting_as(who: Callable[[], Actor]) -> Iterator[None]:
    """Let the block act for somebody, from where the request came from, if there is one."""
    with acting_from(replace(_origin.get(), who=who)):
        yield


def command_user() -> Actor:
    """Return who runs a management command: the account of the operating system."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):  # a container's user id without a name
        name = f"uid {os.getuid()}"
    return Actor("command", label=name)
