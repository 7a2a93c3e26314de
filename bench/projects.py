"""Makes projects with subscriptions by the product's own functions, many in one process.

    python -m bench.projects '[[{"url": "http://127.0.0.1:8000/", "event_types": ["*"]}]]'

in the environment of a stack: a list of projects, each a list of its subscriptions' settings.
Cases call `make_projects`, which runs that.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import django

EVENT_TYPE = "Task.update"

Settings = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Project:
    """A project that was made for a case; ids as the database has them."""

    id: int
    slug: str
    api_key: str
    subscriptions: tuple[str, ...]


def wanting(
    url: str, *event_types: str, count: int = 1, retry_schedule: Sequence[int] = ()
) -> list[Settings]:
    """Describe so many subscriptions to these event types; to everything, where none is given."""
    settings: Settings = {"url": url, "event_types": list(event_types) or ["*"]}
    if retry_schedule:
        settings["retry_schedule"] = list(retry_schedule)
    return [settings] * count


def make_projects(run: Callable[..., str], projects: Iterable[Sequence[Settings]]) -> list[Project]:
    """Make projects with these subscriptions; `run` runs a module in the product's environment."""
    said = run("bench.projects", json.dumps(list(projects)))
    return [
        Project(row["id"], row["slug"], row["api_key"], tuple(row["subscriptions"]))
        for row in json.loads(said)
    ]


def _make(projects: Iterable[Sequence[Any]]) -> list[dict[str, Any]]:
    from subscriptions.access.acting import acting_as, command_user
    from subscriptions.access.api_keys import make_key
    from subscriptions.access.projects import create_project
    from subscriptions.subscription_changes import create_subscription

    made = []
    with acting_as(command_user):
        for number, subscriptions in enumerate(projects):
            project = create_project(f"Bench {number}", is_https_only=False)
            _, key = make_key(project, name="bench")
            created = [create_subscription(project, settings) for settings in subscriptions]
            ids = [str(one.subscription.id) for one in created]
            made.append(
                {"id": project.pk, "slug": project.slug, "api_key": key, "subscriptions": ids}
            )
    return made


if __name__ == "__main__":
    django.setup()
    sys.stdout.write(json.dumps(_make(json.loads(sys.argv[1]))))
