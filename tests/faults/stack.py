"""The product as it runs in production, and as it runs on a laptop, for the rig to hurt.

`ProductionStack`: PostgreSQL, Redis, web, workers and beat, a process each. `EmbeddedStack`:
`manage.py up` on SQLite. Both answer the same few questions, so that a fault can be written once.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from celery import Celery
from cryptography.fernet import Fernet
from redis.exceptions import RedisError

from tests.dns_stub import DnsStub
from tests.faults.database import Database, PostgresDatabase, SqliteDatabase
from tests.faults.driver import Project
from tests.faults.processes import ROOT, DidNotHappen, Program, Usage
from tests.faults.receipts import Receiver, free_port
from tests.faults.stores import Postgres, Redis

LEASE_SECONDS = 10
"""The shortest that the product allows: a killed worker's deliveries are soon sent again."""

DEADLINE_SECONDS = 5.0
"""The product's own for one request."""

START_SECONDS = 60.0
"""Everything starts within a few seconds; this is for a busy machine."""


def eventually(
    condition: Callable[[], bool], what: str, *, within_seconds: float, every_seconds: float = 0.05
) -> float:
    """Wait until `condition` holds; return the seconds it took, or raise `DidNotHappen`."""
    began = time.monotonic()
    while not condition():
        if time.monotonic() - began > within_seconds:
            raise DidNotHappen(f"not within {within_seconds:g} s: {what}")
        time.sleep(every_seconds)
    return time.monotonic() - began


class Stack(Protocol):
    """What every fault may ask of a running product."""

    engine: str
    site: str
    receiver: Receiver
    database: Database
    workers: list[Program]
    """What sends; in the embedded home that is the one process."""
    bystander: Project | None
    """A project that no fault is about; it must notice nothing."""
    spare: list[Project]
    """Projects that were made together and that no run has used."""

    def start(self) -> None: ...
    def close(self) -> None: ...
    def mend(self) -> None:
        """Bring everything back that a fault left stopped, frozen or changed."""

    def run(self, *module: str) -> str:
        """Run a Python module to its end; return what it printed."""

    def programs(self) -> list[Program]:
        """Return the product's own processes."""


def _environment(folder: Path, more: dict[str, str]) -> dict[str, str]:
    """What production sets, and nothing that the surroundings happen to hold."""
    ours = ("DISPATCHER_", "DATABASE_URL", "REDIS_URL", "PORT", "TEST_", "COVERAGE", "COV_")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return inherited | {
        "DJANGO_SETTINGS_MODULE": "dispatcher.settings",
        "DISPATCHER_DATA_DIR": str(folder),
        "DISPATCHER_STATIC_ROOT": str(folder / "static"),
        "DISPATCHER_SECRET_KEY": "for the rig only " * 3,
        "DISPATCHER_ENCRYPTION_KEYS": Fernet.generate_key().decode(),
        "DISPATCHER_ALLOWED_HOSTS": "127.0.0.1",
        "DISPATCHER_ALLOWED_NETWORKS": "127.0.0.0/8",
        "DISPATCHER_LEASE_SECONDS": str(LEASE_SECONDS),
        "DISPATCHER_DEMO": "false",
        "DISPATCHER_HTTPS": "false",
        "PYTHONUNBUFFERED": "1",
        "MALLOC_ARENA_MAX": "2",  # as the image does
        **more,
    }


class ProductionStack:
    """PostgreSQL, Redis, web, workers and beat, as the README starts them."""

    engine = "postgres"
    bystander: Project | None = None

    def __init__(self, folder: Path, *, workers: int = 2, **more: str) -> None:
        folder.chmod(0o711)  # PostgreSQL may run as another user
        self.spare: list[Project] = []
        self._folder = folder
        (folder / "static").mkdir()
        self.postgres = Postgres(folder / "pg")
        self.redis = Redis(folder / "redis")
        self.dns = DnsStub()
        servers = {
            "DATABASE_URL": self.postgres.url,
            "REDIS_URL": self.redis.url,
            "DISPATCHER_DNS_SERVERS": self.dns.server,
        }
        self.environment = _environment(folder, servers | more)
        self.receiver = Receiver(folder, self.environment)
        self.database: Database = PostgresDatabase(self.postgres.url)
        self.celery = Celery("rig", broker=self.redis.url)
        self._port = free_port()
        self.site = f"http://127.0.0.1:{self._port}"
        self.web = self.web_program("dispatcher.wsgi:application", port=self._port)
        self.beat = self.program("beat", "celery", "-A", "dispatcher", "beat")
        self.workers = [self.worker(f"worker{number}") for number in range(1, workers + 1)]

    def program(self, name: str, *module: str, **more: str) -> Program:
        """Make a program of this Python's, with the stack's environment."""
        return Program(
            name,
            [sys.executable, "-m", *module],
            environment=self.environment | more,
            folder=self._folder,
        )

    def web_program(self, application: str, *, port: int) -> Program:
        """Make a web server; it is called `web`, or by its port where it is not the stack's own."""
        place = ("--host", "127.0.0.1", "--port", str(port))
        size = ("--workers", "2", "--blocking-threads", "8", "--workers-kill-timeout", "12")
        options = ("--interface", "wsgi", "--no-ws", "--respawn-failed-workers", *place, *size)
        name = "web" if port == self._port else f"web{port}"
        return self.program(name, "granian", *options, application)

    def worker(self, name: str, *module: str, **more: str) -> Program:
        """Make a worker; `module` replaces Celery's own command by one of the rig's."""
        command = module or ("celery", "-A", "dispatcher")
        arguments = ("worker", "-P", "threads", "-c", "2", "-n", f"{name}@rig")
        sign = {"DISPATCHER_HEARTBEAT_FILE": str(self._sign_of_life(name))}
        return self.program(name, *command, *arguments, **sign | more)

    def start(self) -> None:
        """Start all of it and wait until it is ready."""
        self.postgres.start()
        self.redis.start()
        self.run("django", "migrate", "--verbosity", "0")
        self.receiver.start()
        self.web.start()
        self.beat.start()
        for worker in self.workers:
            worker.start()
        self.mend()

    def close(self) -> None:
        """End everything, at once."""
        for program in [*self.programs(), self.receiver.program]:
            program.kill()
        self.redis.kill()
        self.postgres.kill()
        self.dns.close()

    def programs(self) -> list[Program]:
        return [self.web, self.beat, *self.workers]

    def mend(self) -> None:
        for program in self.programs():
            program.start()
            program.thaw()
        eventually(lambda: is_up(self.site), "the web answers", within_seconds=START_SECONDS)
        for worker in self.workers:
            self.wait_until_sending(worker)
        self.wait_until_consuming()

    def wait_until_sending(self, worker: Program) -> None:
        """Wait for a worker's next sign of life: its pump is at work."""
        sign, asked_at = self._sign_of_life(worker.name), time.time()

        def has_moved() -> bool:
            if not worker.is_running:
                raise DidNotHappen(f"{worker.name} ended:\n{worker.said()[-2000:]}")
            return sign.exists() and sign.stat().st_mtime > asked_at

        eventually(has_moved, f"{worker.name} sends", within_seconds=START_SECONDS)

    def wait_until_consuming(self) -> None:
        """Wait until as many clients of Redis wait for messages as there are workers."""

        def wait_for_messages() -> bool:
            try:
                clients = self.redis.client().client_list()
            except RedisError:
                return False
            return sum(client["cmd"] == "brpop" for client in clients) >= len(self.workers)

        eventually(wait_for_messages, "the workers consume", within_seconds=START_SECONDS)

    def _sign_of_life(self, name: str) -> Path:
        return self._folder / f"{name}.heartbeat"

    def send_task(self, name: str) -> None:
        """Put a task into the queue, as beat or a publisher would."""
        with self.celery.connection() as broker:
            self.celery.send_task(name, queue="deliveries", ignore_result=True, connection=broker)

    def run(self, *module: str) -> str:
        return _run(self.environment, *module)


class EmbeddedStack:
    """`manage.py up` on SQLite: one process for everything."""

    engine = "sqlite"
    bystander: Project | None = None

    def __init__(self, folder: Path) -> None:
        self.spare: list[Project] = []
        port = free_port()
        self.data = folder / "data"
        self.data.mkdir()
        self.environment = _environment(self.data, {"PORT": str(port)})
        self.site = f"http://127.0.0.1:{port}"
        self.receiver = Receiver(folder, self.environment)
        self.database: Database = SqliteDatabase(self.data / "dispatcher.sqlite3")
        self.up = Program(
            "up",
            [sys.executable, "manage.py", "up", "--no-demo"],
            environment=self.environment,
            folder=folder,
        )
        self.workers = [self.up]

    def start(self) -> None:
        """Start it and wait until it is ready."""
        self.receiver.start()
        self.mend()

    def close(self) -> None:
        """End everything, at once."""
        self.up.kill()
        self.receiver.program.kill()

    def programs(self) -> list[Program]:
        return [self.up]

    def mend(self) -> None:
        self.up.start()
        self.up.thaw()
        eventually(lambda: is_up(self.site), "the web answers", within_seconds=START_SECONDS)

    def run(self, *module: str) -> str:
        return _run(self.environment, *module)


def _run(environment: dict[str, str], *module: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", *module],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    if done.returncode:
        raise DidNotHappen(f"{' '.join(module)}:\n{done.stdout}{done.stderr}")
    return done.stdout


def is_up(site: str, path: str = "/readyz") -> bool:
    """Say whether the product calls itself ready."""
    return status_of(site, path) == 200


def status_of(site: str, path: str) -> int:
    """Return the status of an answer; 0 when there is none."""
    return ask(site, path)[0]


def ask(site: str, path: str) -> tuple[int, dict[str, Any]]:
    """Return status and JSON of an answer; 0 when there is none, nothing where it is not JSON."""
    try:
        with urllib.request.urlopen(site + path, timeout=10) as response:
            return response.status, _json_of(response.read())
    except urllib.error.HTTPError as error:
        with error:
            return error.code, _json_of(error.read())
    except OSError:
        return 0, {}


def _json_of(body: bytes) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(body)
    except ValueError:  # the page of a server that does not get as far as the product
        return {}
    return found


def usage_of(stack: Stack) -> dict[str, Usage]:
    """Measure each of the product's processes."""
    return {program.name: program.usage() for program in stack.programs() if program.is_running}


def remove(folder: Path) -> None:
    """Remove a stack's folder; what another user wrote there as well, where we may."""
    shutil.rmtree(folder, ignore_errors=True)
