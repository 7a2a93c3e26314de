"""Makes and reads the links by which a provider shows a project's pages inside its own product.

A link holds all that its visitor may do, signed with the installation's secret key and good for a
short time: nothing of it is stored, no cookie is needed in a frame, and who changes it has none.
"""

from __future__ import annotations

import time
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.core import signing
from django.db import transaction
from django.utils import timezone

from subscriptions.access.acting import Actor
from subscriptions.access.audit_log import Action, Target, record
from subscriptions.ids import new_id, to_public
from subscriptions.models import Member, Project

ROLES: Final = (Member.Role.VIEWER.value, Member.Role.EDITOR.value)
"""An owner's pages are for members: they show who they are, and keys."""

DEFAULT_SECONDS: Final = 3600
SHORTEST_SECONDS: Final = 60
LONGEST_SECONDS: Final = 24 * 3600

LIMIT_SUBSCRIPTIONS: Final = 50
"""They stand in the link: with more it would be too long for some proxies."""

_SALT: Final = "subscriptions.portal"

_LONGEST_TOKEN_CHARACTERS: Final = 4096


class LinkEnded(Exception):
    """The link is past its time, was changed, or signed with a key that is used no longer."""


@dataclass(frozen=True, slots=True)
class Grant:
    """What the visitor of a portal may do."""

    id: str
    """For the audit log: which link it was."""
    project_id: int
    role: Member.Role
    subscription_ids: tuple[UUID, ...] | None
    """Those that are shown; `None`: all of the project."""
    expires_at: datetime

    @property
    def actor(self) -> Actor:
        """Who it is that acts."""
        return Actor("portal", self.id, f"portal link of {self.role.value}")


@dataclass(frozen=True, slots=True)
class Link:
    """A link that was made."""

    id: str
    token: str
    expires_at: datetime


def make_link(
    project: Project,
    *,
    role: str,
    subscription_ids: Collection[UUID] | None,
    expires_in_seconds: int,
) -> Link:
    """Make a link for a visitor; its subscriptions are the project's, which the caller has checked.

    It cannot be taken back before its time; hence that is short.
    """
    identifier = to_public("ptl", new_id())
    expires_at = timezone.now().replace(microsecond=0) + timedelta(seconds=expires_in_seconds)
    ids = None if subscription_ids is None else sorted(subscription_ids)
    content: dict[str, Any] = {
        "i": identifier,
        "p": project.pk,
        "r": role,
        "s": None if ids is None else [each.hex for each in ids],
        "e": int(expires_at.timestamp()),
    }
    after = {
        "role": role,
        "subscriptions": None if ids is None else [to_public("sub", each) for each in ids],
        "expires_at": expires_at.isoformat(),
    }
    with transaction.atomic():
        target = Target("portal_link", identifier, project.pk)
        record(Action.PORTAL_LINK_CREATED, target, after=after)
    return Link(identifier, signing.dumps(content, salt=_SALT, compress=True), expires_at)


def read_token(token: str) -> Grant:
    """Return what a link's token grants; raises `LinkEnded`."""
    if len(token) > _LONGEST_TOKEN_CHARACTERS:
        raise LinkEnded
    try:
        content = signing.loads(token, salt=_SALT)
    except signing.BadSignature:
        raise LinkEnded from None
    if content["e"] <= time.time():
        raise LinkEnded
    ids = content["s"]
    return Grant(
        id=content["i"],
        project_id=content["p"],
        role=Member.Role(content["r"]),
        subscription_ids=None if ids is None else tuple(UUID(hex=each) for each in ids),
        expires_at=datetime.fromtimestamp(content["e"], UTC),
    )
