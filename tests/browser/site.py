"""A running site to look at: two projects, three people with a role each, and a receiver.

`manage.py up` is a process of its own, so that no test of pages touches Django in this one: the
browser's driver keeps an event loop in the thread that Django would refuse to work in.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from dispatcher.chaos.threaded_server import KEEP, Connection, ThreadedServer
from tests.dispatcher.up_process import embedded_environment, free_port, running_up
from tests.workers import ROOT

PASSWORD = "correct-horse-battery"  # of people who exist for a minute
ROLES = ("owner", "editor", "viewer")
PROJECT, OTHER = "acme", "umbrella"
EMPTY = "empty"
"""A project in which no test makes anything."""
NEWCOMER = "newcomer"
"""Somebody who is a member of nothing."""

_SETTLE = f"""
import json
from django.contrib.auth import get_user_model
from subscriptions.access.api_keys import make_key
from subscriptions.access.projects import create_project
from subscriptions.models import Member

users, keys = get_user_model().objects, {{}}
users.create_superuser("operator", password={PASSWORD!r})
users.create_user({NEWCOMER!r}, password={PASSWORD!r})
for name in ({PROJECT!r}, {OTHER!r}, {EMPTY!r}):
    project = create_project(name.capitalize(), is_https_only=False)
    keys[name] = make_key(project, name="Browser", scopes=["publish", "read", "manage", "own"])[1]
    for role in {ROLES!r}:
        user = users.create_user(f"{{name}}-{{role}}", password={PASSWORD!r})
        Member.objects.create(project=project, user=user, role=role)
print(json.dumps(keys))
"""


class Answering:
    """A receiver whose answer a test chooses; it remembers what came."""

    def __init__(self) -> None:
        self.status = 200
        self.body = b"ok"
        self._lock = threading.Lock()
        self.server = ThreadedServer({"in": self._answer})

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"{self.server.origin}/in"

    @property
    def bodies(self) -> list[Any]:
        """What came, in order."""
        return [json.loads(received.body) for received in self.server.requests]

    def _answer(self, connection: Connection) -> bool:
        with self._lock:
            status, body = self.status, self.body
        head = f"HTTP/1.1 {status} Said\r\nContent-Type: text/plain\r\nContent-Length: {len(body)}"
        connection.send(f"{head}\r\n\r\n".encode() + body)
        return KEEP


@dataclass(frozen=True, slots=True)
class Site:
    """Where it runs, and the keys of its projects."""

    address: str
    keys: dict[str, str]
    receiver: Answering

    def api(self, method: str, path: str, body: Any = None, project: str = PROJECT) -> Any:
        """Call the API as a program of the project does; return what it answers."""
        answer = requests.request(
            method,
            f"{self.address}/api/v1/projects/{project}/{path}".rstrip("/"),
            json=body,
            headers={"Authorization": f"Bearer {self.keys[project]}"},
            timeout=20,
        )
        assert answer.ok, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else None

    def subscribe(self, receiver: Answering, *event_types: str, **more: Any) -> str:
        """Make a subscription; return its id."""
        wanted = {"url": receiver.url, "event_types": event_types, **more}
        return str(self.api("POST", "subscriptions", wanted)["id"])

    def publish(self, event_type: str, **data: Any) -> Any:
        """Publish an event; return it, with the ids of its deliveries."""
        return self.api("POST", "events", {"type": event_type, "data": data})

    def delivered(self, event_type: str, **data: Any) -> Any:
        """Publish an event that one subscription wants; return its delivery when it has ended."""
        (identifier,) = self.publish(event_type, **data)["deliveries"]
        return self.ended(identifier)

    def ended(self, identifier: str) -> Any:
        """Wait until a delivery has ended; return it."""
        states = ("succeeded", "failed", "cancelled")
        path = f"deliveries/{identifier}"
        return wait_for(lambda: self.api("GET", path), lambda found: found["status"] in states)

    def deactivated(self, receiver: Answering, event_type: str) -> str:
        """Make a subscription and let it fail until it is switched off; return its id."""
        identifier, receiver.status = self.subscribe(receiver, event_type), 500
        for number in range(10):
            self.delivered(event_type, number=number)
        path = f"subscriptions/{identifier}"
        wait_for(lambda: self.api("GET", path), lambda found: not found["active"])
        return identifier


def wait_for(look: Callable[[], Any], is_enough: Callable[[Any], bool]) -> Any:
    """Look again and again, for half a minute at most; return what was enough."""
    give_up_at = time.monotonic() + 30
    while not is_enough(found := look()):
        assert time.monotonic() < give_up_at, found
        time.sleep(0.05)
    return found


@contextmanager
def running_site(folder: Path) -> Iterator[Site]:
    """Start it in an empty folder; it ends with the context."""
    environment = embedded_environment(folder / "data", free_port())
    with running_up(environment, "--no-demo") as up:
        up.wait_for("Login ")
        receiver = Answering()
        try:
            yield Site(up.site, _settle(environment), receiver)
        finally:
            receiver.server.close()


def _settle(environment: dict[str, str]) -> dict[str, str]:
    done = subprocess.run(
        [sys.executable, "manage.py", "shell", "--verbosity", "0", "-c", _SETTLE],
        cwd=ROOT,
        env=dict(os.environ) | environment,
        capture_output=True,
        text=True,
        check=True,
    )
    keys: dict[str, str] = json.loads(done.stdout.splitlines()[-1])
    return keys
