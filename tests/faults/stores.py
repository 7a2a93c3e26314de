"""PostgreSQL and Redis of one stack: each can be stopped, killed or frozen, and come back.

What `tests.servers` starts, with handles to hurt it. Called by `stack` and by the faults.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import quote

import psycopg
import redis

from tests.faults.processes import children_of
from tests.faults.receipts import free_port
from tests.servers import start_postgres, start_redis

ROLE = "dispatcher"
"""The product is no superuser: limits that PostgreSQL waives for those hold for it."""


class Postgres:
    """A PostgreSQL that keeps its data from start to start."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._context = ExitStack()
        self._pid = 0
        host = quote(str(folder), safe="")
        self.url = f"postgres://{ROLE}@{host}:5432/{ROLE}"
        self._admin = f"host={folder} port=5432 user=postgres dbname=postgres"

    @property
    def pid(self) -> int:
        """The postmaster, whose children are all other processes of it."""
        return self._pid

    def start(self) -> None:
        """Start it, durable as it comes; the first time with an empty database for the product."""
        is_new = not (self.folder / "cluster" / "PG_VERSION").exists()
        self._pid = self._context.enter_context(start_postgres(self.folder, durable=True)).pid
        if is_new:
            with self.superuser() as connection:
                connection.execute(f"CREATE ROLE {ROLE} LOGIN")
                connection.execute(f"CREATE DATABASE {ROLE} OWNER {ROLE}")

    def stop(self, number: signal.Signals = signal.SIGINT) -> None:
        """Shut it down: `SIGINT` is fast, `SIGQUIT` immediate (as after a power cut)."""
        os.kill(self._pid, number)
        self._context.close()

    def restart(self) -> None:
        """Shut it down fast, unless it has given up by itself, and start it again."""
        _signal(self._pid, signal.SIGINT)
        self._context.close()
        self.start()

    def kill(self) -> None:
        """End every process of it at once."""
        for pid in self._processes():
            _signal(pid, signal.SIGKILL)
        self._context.close()

    def freeze(self) -> None:
        """Stop every process of it; its sockets stay open and say nothing."""
        for pid in self._processes():
            _signal(pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        for pid in self._processes():
            _signal(pid, signal.SIGCONT)

    def superuser(self, database: str = "postgres") -> psycopg.Connection[tuple[object, ...]]:
        """Connect as the operator, who gets in when nobody else does."""
        return psycopg.connect(f"{self._admin} ", dbname=database, autocommit=True)

    def product(self) -> psycopg.Connection[tuple[object, ...]]:
        """Connect as the product does."""
        return psycopg.connect(self.url, autocommit=True)

    def _processes(self) -> Iterable[int]:
        # Backends leave the process group (setsid); they stay children.
        return [self._pid, *children_of(self._pid)] if self._pid else []


class Redis:
    """A Redis that comes back on its port; durable ones keep their data."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._context = ExitStack()
        self._pid = 0
        self._port = free_port()
        self.url = f"redis://127.0.0.1:{self._port}/0"

    @property
    def pid(self) -> int:
        """Its process."""
        return self._pid

    def start(self) -> None:
        """Start it, without persistence: what it forgets must not matter."""
        server = start_redis(self._folder, durable=False, port=self._port)
        self._pid = self._context.enter_context(server).pid

    def stop(self) -> None:
        """End it, and all that it knew."""
        self._context.close()

    def kill(self) -> None:
        """End it at once."""
        _signal(self._pid, signal.SIGKILL)
        self._context.close()

    def freeze(self) -> None:
        """Stop it; connections stay open and nothing answers."""
        _signal(self._pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        _signal(self._pid, signal.SIGCONT)

    def client(self) -> redis.Redis:
        """Talk to it as an operator would."""
        return redis.Redis(port=self._port, socket_timeout=5)


def _signal(pid: int, number: signal.Signals) -> None:
    if not pid:
        return  # it was never started, and 0 is our own process group
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return  # it has ended


def wait_for_postgres(postgres: Postgres, *, within_seconds: float = 30.0) -> None:
    """Wait until it takes connections again."""
    until = time.monotonic() + within_seconds
    while True:
        try:
            with postgres.product():
                return
        except psycopg.OperationalError:
            if time.monotonic() > until:
                raise
            time.sleep(0.05)
