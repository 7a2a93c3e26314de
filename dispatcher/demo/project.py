"""Makes the demo project: subscriptions to the demo inbox, a login, a key, two sample events.

Called by `tour`. Everything goes through what the API uses as well.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from uuid import UUID

from django.contrib.auth import get_user_model
from django.db import transaction

from deliveries.publishing.ingest import publish
from subscriptions.access.api_keys import make_key
from subscriptions.access.project_scope import subscriptions_of
from subscriptions.access.projects import create_project
from subscriptions.models import Member, Project
from subscriptions.subscription_changes import change_subscription, create_subscription

SLUG = "demo"
LOGIN = "admin"

FILTERS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {"standard": ("*",), "repsona": ("Task.*",), "phrase": ("translations:*",)}
)
"""One subscription per preset, and the event types that it asks for."""

_SAMPLES = Path(__file__).parent / "samples"
_INBOX_URL = re.compile(r"http://127\.0\.0\.1(?::\d+)?(?P<path>/demo/inbox/[a-z]+)")

_PASSWORD_ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"  # noqa: S105  # nothing that looks alike
_PASSWORD_CHARACTERS = 16  # of 31 signs: 79 bits


@dataclass(frozen=True, slots=True)
class Credentials:
    """What is shown once and stored hashed only."""

    api_key: str
    password: str
    """Empty when there was a login of that name already."""


def is_wanted() -> bool:
    """Say whether this is the first start: no project was made yet, by anybody."""
    return not Project.objects.exists()


@transaction.atomic
def make_demo(site: str) -> Credentials:
    """Store the demo project with all that belongs to it; raises `FieldsRefused`.

    It is refused where nothing may be sent to this machine or this port. `site` is such as
    `http://127.0.0.1:8000`.
    """
    project = create_project(SLUG.capitalize(), is_https_only=False)
    for preset, filters in FILTERS.items():
        create_subscription(
            project,
            {
                "url": f"{site}/demo/inbox/{preset}",
                "description": f"The demo inbox, in the {preset} format",
                "event_types": list(filters),
                "wire_format": preset,
            },
        )
    password = _make_owner(project)
    _, api_key = make_key(project, name="Demo")
    return Credentials(api_key, password)


def _make_owner(project: Project) -> str:
    users = get_user_model()
    owner = users.objects.filter(username=LOGIN).first()
    password = ""
    if owner is None:
        password = "".join(secrets.choice(_PASSWORD_ALPHABET) for _ in range(_PASSWORD_CHARACTERS))
        owner = users.objects.create_superuser(LOGIN, password=password)
    Member.objects.create(project=project, user=owner, role=Member.Role.OWNER)
    return password


def publish_samples() -> list[UUID]:
    """Publish the two sample payloads; return the ids of their deliveries."""
    project = Project.objects.get(slug=SLUG)
    return [
        delivery_id
        for event_type, data in sample_events()
        for delivery_id in publish(project=project, event_type=event_type, data=data).delivery_ids
    ]


def sample_events() -> list[tuple[str, object]]:
    """Read the payloads that the two systems document, as event type and data."""
    repsona = json.loads((_SAMPLES / "repsona_task_update.json").read_bytes())
    phrase = json.loads((_SAMPLES / "phrase_translations_create.json").read_bytes())
    return [(repsona["type"], repsona["event"]), (phrase.pop("event"), phrase)]


def follow_port(project: Project, site: str) -> None:
    """Let the demo's subscriptions to the inbox lead to this start's port.

    Raises `FieldsRefused`.
    """
    for subscription in subscriptions_of(project):
        inbox = _INBOX_URL.fullmatch(subscription.url)
        if inbox and subscription.url != site + inbox["path"]:
            change_subscription(subscription, {"url": site + inbox["path"]})
