"""Production as docker-compose.yml starts it, as processes, under load: nothing is lost.

    python -m tests.production_run 10000

starts PostgreSQL and Redis, then migrate, web, two workers and beat by the file's own commands;
publishes so many events over REST from eight clients, stops one worker and starts another halfway,
waits until a receiver on loopback has them all, stops everything, and prints what became of it.
`test_production_processes` does the same with a few.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import requests
from cryptography.fernet import Fernet

from dispatcher.chaos.threaded_server import KEEP, Connection, ThreadedServer
from tests.compose_file import ROOT, Place, Service, read_services
from tests.dispatcher.up_process import free_port
from tests.servers import start_both

START_SECONDS = 90
CLIENTS = 8
TRIES = 5


@dataclass(frozen=True, slots=True)
class Report:
    """What became of the events."""

    events: int
    published_per_second: float
    seconds_until_all_were_delivered: float
    """From the first one's publication."""
    lost: int
    duplicates: int
    restarts: int
    exit_statuses: dict[str, int]
    """Of each process that was started, in the order of their start."""


@dataclass(eq=False, slots=True)
class Running:
    """A service's process."""

    service: Service
    place: Place
    process: subprocess.Popen[bytes]


@dataclass(slots=True)
class Production:
    """The file's services, as processes on this machine."""

    services: dict[str, Service]
    folder: Path
    database_url: str
    redis_url: str
    stack: ExitStack
    port: int = field(default_factory=free_port)
    exit_statuses: dict[str, int] = field(default_factory=dict)
    _count: int = 0

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self, name: str) -> Running:
        """Start one more process of a service."""
        self._count += 1
        place = self._place(f"{self._count}-{name}")
        service = self.services[name]
        return Running(service, place, self.stack.enter_context(service.running(place)))

    def wait_until_healthy(self, *those: Running) -> None:
        """Wait for the health check of each; fail when one ended or takes too long."""
        for running in those:
            wait_until(lambda it=running: _is_up(it), START_SECONDS)  # type: ignore[misc]

    def run_to_its_end(self, running: Running) -> None:
        """Wait for a one-shot service."""
        self._note(running, running.process.wait(START_SECONDS))

    def stop(self, *those: Running) -> None:
        """Ask each to stop, and wait as long as Compose would before it kills."""
        for running in those:
            running.process.send_signal(signal.SIGTERM)
        asked_at = time.monotonic()
        for running in those:
            left = asked_at + running.service.grace_seconds - time.monotonic()
            self._note(running, running.process.wait(max(0.1, left)))

    def manage(self, *words: str) -> bytes:
        """Run a management command as one would in a container of the image."""
        place = self._place("manage")
        service = replace(self.services["migrate"], command=())
        return subprocess.run(
            [sys.executable, "manage.py", *words],
            cwd=ROOT,
            env=service.environment_at(place),
            capture_output=True,
            check=True,
        ).stdout

    def _place(self, name: str) -> Place:
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        return Place(folder, self.database_url, self.redis_url, self.port)

    def _note(self, running: Running, status: int) -> None:
        self.exit_statuses[running.place.folder.name] = status


def wait_until(condition: Callable[[], bool], within_seconds: float) -> None:
    """Wait for a condition; fail when it does not come true in time."""
    until = time.monotonic() + within_seconds
    while not condition():
        assert time.monotonic() < until, "it did not happen in time"
        time.sleep(0.1)


def _is_up(running: Running) -> bool:
    assert running.process.poll() is None, f"{running.service.name} ended"
    return running.service.is_healthy(running.place)


@contextmanager
def production(database_url: str, redis_url: str) -> Iterator[Production]:
    """Read the file, with secrets for this run; nothing is started yet."""
    variables = {
        "POSTGRES_PASSWORD": "unused",
        "DISPATCHER_SECRET_KEY": "for tests only " * 4,
        # A database that is there already, such as a test's, was used with the keys of its owner.
        "DISPATCHER_ENCRYPTION_KEYS": os.environ.get("DISPATCHER_ENCRYPTION_KEYS")
        or Fernet.generate_key().decode(),
        "DISPATCHER_ALLOWED_HOSTS": "hooks.example",
        "DISPATCHER_HTTPS": "false",
        "DISPATCHER_ALLOWED_NETWORKS": "127.0.0.0/8",
        "DISPATCHER_LOG_LEVEL": "WARNING",
    }
    with tempfile.TemporaryDirectory(prefix="dispatcher-") as folder, ExitStack() as stack:
        services = read_services(variables)
        yield Production(services, Path(folder), database_url, redis_url, stack)


# ---- The run ------------------------------------------------------------------------------------


def run(events: int, *, database_url: str, redis_url: str) -> Report:
    """Publish so many events while a worker is replaced; return what became of them."""
    with (
        production(database_url, redis_url) as site,
        ThreadedServer({"accept": accept}) as receiver,
    ):
        site.run_to_its_end(site.start("migrate"))
        web, *workers, beat = (site.start(name) for name in ("web", "worker", "worker", "beat"))
        site.wait_until_healthy(web, *workers, beat)
        client = Client.of_new_project(site)
        client.post("subscriptions", {"url": f"{receiver.origin}/accept", "event_types": ["*"]})

        began_at = time.monotonic()
        publishing = Publishing(client, events)
        wait_until(lambda: len(receiver.requests) >= events // 3, 60 + events / 20)
        site.stop(workers.pop(0))
        workers.append(site.start("worker"))
        publish_seconds = publishing.wait()
        wait_until(lambda: len(numbers(receiver)) >= events, 60 + events / 50)
        all_seconds = max(request.at for request in receiver.requests) - began_at
        site.wait_until_healthy(*workers)
        site.stop(*workers, beat, web)
        return Report(
            events=events,
            published_per_second=events / publish_seconds,
            seconds_until_all_were_delivered=all_seconds,
            lost=len(set(range(events)) - numbers(receiver)),
            duplicates=len(receiver.requests) - len(numbers(receiver)),
            restarts=1,
            exit_statuses=site.exit_statuses,
        )


def accept(connection: Connection) -> bool:
    connection.send(b"HTTP/1.1 204 No Content\r\n\r\n")
    return KEEP


def numbers(receiver: ThreadedServer) -> set[int]:
    """Return the numbers of the events that arrived."""
    return {json.loads(request.body)["data"]["n"] for request in list(receiver.requests)}


@dataclass(frozen=True, slots=True)
class Client:
    """Whoever publishes: repeats what was not answered, with the same idempotency key."""

    root: str
    key: str

    @classmethod
    def of_new_project(cls, site: Production) -> Client:
        made = json.loads(site.manage("create_project", "Run", "--json", "--allow-http"))
        return cls(f"{site.origin}/api/v1/projects/{made['project']}", made["api_key"])

    def post(
        self, path: str, body: object, *, idempotency_key: str = "", session: Any = requests
    ) -> None:
        headers = {"Authorization": f"Bearer {self.key}"}
        if idempotency_key:
            headers["Idempotency-Key"] = idempotency_key
        for tries_left in reversed(range(TRIES)):
            try:
                response = session.post(
                    f"{self.root}/{path}", json=body, headers=headers, timeout=30
                )
            except requests.ConnectionError:
                if not tries_left:
                    raise
            else:
                assert response.ok, response.text
                return


class Publishing:
    """Eight clients that publish events, numbered from 0, as fast as they are answered."""

    def __init__(self, client: Client, events: int) -> None:
        self._client = client
        self._local = threading.local()
        self._began_at = time.monotonic()
        self._threads = ThreadPoolExecutor(CLIENTS)
        self._answers = [self._threads.submit(self._publish, number) for number in range(events)]

    def wait(self) -> float:
        """Return how many seconds all of it took; raises what went wrong."""
        for answer in self._answers:
            answer.result()
        self._threads.shutdown()
        return time.monotonic() - self._began_at

    def _publish(self, number: int) -> None:
        if not hasattr(self._local, "session"):
            self._local.session = requests.Session()
        self._client.post(
            "events",
            {"type": "Task.update", "data": {"n": number, "text": "x" * 200}},
            idempotency_key=f"event-{number}",
            session=self._local.session,
        )


def main() -> int:
    """Run with as many events as asked for; returns 1 when something was lost or ended badly."""
    events = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    with start_both(durable=True) as urls:
        report = run(events, database_url=urls["DATABASE_URL"], redis_url=urls["REDIS_URL"])
    for part in fields(report):
        value = getattr(report, part.name)
        shown = f"{value:.1f}" if isinstance(value, float) else value
        sys.stdout.write(f"{part.name.replace('_', ' ')}: {shown}\n")
    return 1 if report.lost or any(report.exit_statuses.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
