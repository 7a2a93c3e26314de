"""The product as docker-compose.yml starts it, as processes, on a PostgreSQL of its own.

Used by every case. PostgreSQL is durable, as it comes; Redis keeps nothing, as in the file. Nothing
outlives this process.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from celery import Celery
from cryptography.fernet import Fernet

from bench.environment import unwatched
from bench.receiver import Receiver, start_receiver
from tests.compose_file import ROOT, Place, read_services
from tests.faults.processes import DidNotHappen, Program
from tests.faults.receipts import free_port
from tests.faults.stack import START_SECONDS, eventually, is_up
from tests.faults.stores import Postgres, Redis

STOP_SECONDS = 20.0
COMMAND_SECONDS = 600.0


class Stack:
    """PostgreSQL, Redis and a receiver; web and workers as a case asks for them."""

    def __init__(self, folder: Path, **environment: str) -> None:
        self.folder = folder
        self.postgres = Postgres(folder / "pg")
        self.redis = Redis(folder / "redis")
        self.port = free_port()
        self.site = f"http://127.0.0.1:{self.port}"
        self._environment = environment
        self._services = read_services(_variables())
        self._celery = Celery("bench", broker=self.redis.url)
        self._programs: list[Program] = []
        self._receiver: Receiver | None = None

    def start(self) -> None:
        """Start the servers and the receiver, and make the tables."""
        self.postgres.start()
        self.redis.start()
        self._receiver = start_receiver(self.folder)
        self.run("django", "migrate", "--verbosity", "0")

    def close(self) -> None:
        """End everything, at once."""
        programs = [*self._programs, *([self._receiver.program] if self._receiver else [])]
        for program in programs:
            program.kill()
        self.redis.kill()
        self.postgres.kill()

    @property
    def receiver(self) -> Receiver:
        """The fast one."""
        assert self._receiver, "the stack was not started"
        return self._receiver

    # ---- The product's processes ------------------------------------------------------------

    def start_web(self, **environment: str) -> Program:
        """Start the web server and wait until it is ready."""
        web = self._program("web", "web", environment)
        eventually(lambda: is_up(self.site), "the web answers", within_seconds=START_SECONDS)
        return web

    def start_workers(self, count: int = 1, **environment: str) -> list[Program]:
        """Start so many worker processes and wait until all of them send."""
        workers = []
        for number in range(1, count + 1):
            (self.folder / f"worker{number}" / "heartbeat").unlink(missing_ok=True)
            workers.append(self._program("worker", f"worker{number}", environment))
        for worker in workers:
            sign = self.folder / worker.name / "heartbeat"
            eventually(
                lambda sign=sign, worker=worker: _is_there(sign, worker),  # type: ignore[misc]
                f"{worker.name} sends",
                within_seconds=START_SECONDS,
            )
        return workers

    def stop(self, *programs: Program) -> None:
        """Ask each to end, and wait until it has."""
        for program in programs:
            program.stop(within_seconds=STOP_SECONDS)

    def wake_workers(self) -> None:
        """Send the workers a wake-up, as publishing does."""
        with self._celery.connection() as broker:
            self._celery.send_task(
                "deliveries.send_due", queue="deliveries", ignore_result=True, connection=broker
            )

    def _program(self, service_name: str, name: str, more: dict[str, str]) -> Program:
        place = self._place(name)
        service = self._services[service_name]
        program = Program(
            name,
            service.command_at(place),
            environment=unwatched(service.environment_at(place)) | self._environment | more,
            folder=self.folder,
        )
        self._programs.append(program)
        program.start()
        return program

    def _place(self, name: str) -> Place:
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        return Place(folder, self.postgres.url, self.redis.url, self.port)

    # ---- What is in the database ------------------------------------------------------------

    def run(self, *module: str) -> str:
        """Run a Python module to its end in the product's environment; return what it printed."""
        service = self._services["migrate"]
        done = subprocess.run(
            [sys.executable, "-m", *module],
            cwd=ROOT,
            env=unwatched(service.environment_at(self._place("commands"))) | self._environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=COMMAND_SECONDS,
        )
        if done.returncode:
            raise DidNotHappen(f"{' '.join(module)}:\n{done.stdout}{done.stderr}")
        return done.stdout

    def url(self, path: str) -> str:
        """Return the receiver's address of a path."""
        return self.receiver.origin + path

    def connect(self) -> psycopg.Connection[tuple[object, ...]]:
        """Connect to the database as the product does; every statement commits."""
        return self.postgres.product()


def _is_there(sign_of_life: Path, worker: Program) -> bool:
    if not worker.is_running:
        raise DidNotHappen(f"{worker.name} ended:\n{worker.said()[-2000:]}")
    return sign_of_life.exists()


def _variables() -> dict[str, str]:
    """What the file asks for; the rest is as it comes, the log's level too."""
    return {
        "POSTGRES_PASSWORD": "unused",
        "DISPATCHER_SECRET_KEY": "for the benchmark only " * 3,
        "DISPATCHER_ENCRYPTION_KEYS": Fernet.generate_key().decode(),
        "DISPATCHER_ALLOWED_HOSTS": "hooks.example",
        "DISPATCHER_HTTPS": "false",  # plain HTTP on loopback, with no proxy in front
        "DISPATCHER_ALLOWED_NETWORKS": "127.0.0.0/8",
        # The highest there are: rates are counted as ever, and refuse nothing that is measured.
        "DISPATCHER_PUBLISH_RATE_PER_KEY": "10000",
        "DISPATCHER_PUBLISH_RATE_PER_PROJECT": "10000",
    }


@contextmanager
def running_stack(**environment: str) -> Iterator[Stack]:
    """Give a stack that runs; everything of it ends and is removed with the block."""
    folder = Path(tempfile.mkdtemp(prefix="bench-"))
    folder.chmod(0o711)  # PostgreSQL may run as another user
    stack = Stack(folder, **environment)
    try:
        stack.start()
        yield stack
    finally:
        stack.close()
        shutil.rmtree(folder, ignore_errors=True)
