"""Links of the portal, and addresses below them."""

from __future__ import annotations

from typing import Any

from subscriptions.access.portal import Link, make_link
from subscriptions.models import Project


def link_of(project: Project, role: str = "viewer", **options: Any) -> Link:
    given: dict[str, Any] = {"subscription_ids": None, "expires_in_seconds": 3600}
    return make_link(project, role=role, **given | options)


def below(link: Link, path: str) -> str:
    return f"/portal/{link.token}{path}"
