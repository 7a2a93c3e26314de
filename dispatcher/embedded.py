"""Everything in one process: web, worker with its pump, and beat, started and stopped in order.

Called by `manage.py up`. Each part is what production runs as a process of its own.
"""

from __future__ import annotations

import fcntl
import logging
import os
import queue
import resource
import signal
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import IO, Any

from celery.beat import EmbeddedService
from django.conf import settings
from django.core.management import call_command
from django.core.wsgi import get_wsgi_application
from django.db import OperationalError

from deliveries.sending.engine import is_pump_running
from deliveries.upkeep import partitions
from dispatcher.celery import app
from dispatcher.web_server import WebServer
from subscriptions.secrets import encryption_canary

logger = logging.getLogger(__name__)

HOST = "127.0.0.1"
"""Only this machine: what is meant for others belongs behind a web server with TLS."""

STOP_SECONDS = 11.0
"""A request under way has five seconds, recording it the same again; nobody waits much longer."""

_WEB_PATIENCE_SECONDS = 1.0
"""At least so long for answers under way, however long the worker took."""

_WORKER_PATIENCE_SECONDS = 5.0
"""It is ready in 0.1 s; with a broker that does not answer it polls, and is never "ready"."""

_FILES_WANTED = 4096
"""Descriptors: one per request under way. Some systems allow a process 256 unless it asks."""

_LOOK_SECONDS = 1.0
"""How often the main thread looks whether all parts are alive."""


class CannotStart(Exception):
    """The program cannot run here; `str()` is a sentence for whoever started it."""


class PartDied(Exception):
    """A part of the running program ended by itself."""


class Interrupts:
    """Ctrl-C and SIGTERM, counted: the first asks to stop in order, the second ends at once."""

    def __init__(self) -> None:
        # The one queue whose `put` may be called from a signal handler.
        self._asked: queue.SimpleQueue[int] = queue.SimpleQueue()
        self.is_asked = False

    def take_over(self) -> None:
        """Handle both signals from now on; main thread only."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._handle)

    def wait(self, seconds: float) -> bool:
        """Wait to be asked to stop; return whether that happened, now or before."""
        if not self.is_asked:
            try:
                self._asked.get(timeout=seconds)
            except queue.Empty:
                return False
        return True

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        if self.is_asked:
            os._exit(128 + number)  # leases lapse: what was under way is sent again later
        self.is_asked = True
        self._asked.put(number)


class Embedded:
    """The parts of one process."""

    def __init__(self) -> None:
        """Begin to listen on PORT; raises `PortUnavailable`."""
        settings.WHITENOISE_USE_FINDERS = True  # on PostgreSQL too: nobody collected for us
        self.web = WebServer(
            get_wsgi_application(),
            host=HOST,
            port=settings.DISPATCHER_PORT,
            body_limit_bytes=settings.DISPATCHER_BATCH_LIMIT_BYTES,  # the largest of any route
        )
        self._is_worker_ready = threading.Event()
        self._worker = app.WorkController(
            pool_cls="threads",
            concurrency=1,
            ready_callback=lambda _consumer: self._is_worker_ready.set(),
            # There are no other workers to talk to, or none that matter to this one.
            without_gossip=True,
            without_mingle=True,
            without_heartbeat=True,
        )
        self._worker_thread = threading.Thread(
            target=self._worker.start, name="worker", daemon=True
        )
        self._beat: Any = EmbeddedService(app, thread=True)

    def start(self) -> None:
        """Bring the database up to date, then start web, worker and beat; raises `CannotStart`."""
        _prepare_database()
        self.web.start()
        self._worker_thread.start()
        self._beat.start()
        # A worker that is asked to stop in the midst of starting leaves its pump running.
        self._is_worker_ready.wait(_WORKER_PATIENCE_SECONDS)

    def check(self) -> None:
        """Raise `PartDied` when a part has ended by itself."""
        parts: dict[str, Any] = {"web": self.web, "worker": self._worker_thread, "beat": self._beat}
        dead = [name for name, part in parts.items() if not part.is_alive()]
        if not is_pump_running():
            dead.append("pump")
        if dead:
            raise PartDied(f"Ended unexpectedly: {', '.join(dead)}. The log above says why.")

    def stop(self) -> None:
        """Finish or hand back what is under way; at most `STOP_SECONDS`.

        The worker first: it claims nothing more, and what it has sent gets its answer, from our
        own inbox as well. Then the web: who waits for a delivery's result has it by then.
        """
        stop_by = time.monotonic() + STOP_SECONDS
        self._worker.stop()
        self.web.stop(timeout_seconds=max(_WEB_PATIENCE_SECONDS, stop_by - time.monotonic()))
        self._beat.stop()

    def run(self, interrupts: Interrupts) -> None:
        """Wait to be asked to stop; raises `PartDied`."""
        while not interrupts.wait(_LOOK_SECONDS):
            self.check()


def _prepare_database() -> None:
    try:
        call_command("migrate", verbosity=0, interactive=False)
        encryption_canary.check_keys()
        partitions.make_partitions()
    except encryption_canary.WrongKeys as error:
        raise CannotStart(str(error)) from error
    except OperationalError as error:
        name = "DISPATCHER_DATA_DIR" if settings.DISPATCHER_EMBEDDED else "DATABASE_URL"
        raise CannotStart(f"{name}: the database cannot be used: {error}") from error


@contextmanager
def running(interrupts: Interrupts) -> Iterator[Embedded]:
    """Run everything while the block does; raises `PortUnavailable` and `CannotStart`."""
    interrupts.take_over()
    _allow_many_files()
    _quieten_libraries()
    parts = Embedded()
    with _data_directory():
        parts.start()
        try:
            yield parts
        finally:
            parts.stop()


@contextmanager
def _data_directory() -> Iterator[None]:
    """Hold the data directory for this process alone; raises `CannotStart`."""
    with _lock_file(settings.DATA_DIR) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise CannotStart(
                f"Another `manage.py up` uses {settings.DATA_DIR}: end it, or set "
                "DISPATCHER_DATA_DIR to another directory."
            ) from None
        yield


def _lock_file(directory: Path) -> IO[str]:
    try:
        directory.mkdir(parents=True, exist_ok=True)
        return (directory / "up.lock").open("w")
    except OSError as error:
        raise CannotStart(
            f"DISPATCHER_DATA_DIR: {directory} cannot be written to ({error.strerror})."
        ) from error


def _allow_many_files() -> None:
    """Raise this process's own limit of open files, as far as it may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _FILES_WANTED if hard == resource.RLIM_INFINITY else min(_FILES_WANTED, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _quieten_libraries() -> None:
    """Leave out what says nothing to whoever watches one process on a laptop."""
    # "Task queue depth": said whenever a thread takes a request a moment after it came.
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)
    if not settings.REDIS_URL:  # "No hostname was supplied": memory has none
        logging.getLogger("kombu.connection").setLevel(logging.ERROR)
    # WhiteNoise, where nothing was collected: its finders serve the files.
    warnings.filterwarnings("ignore", "No directory at", UserWarning)
