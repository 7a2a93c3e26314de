"""Runs `manage.py up` as a process of its own, for tests, and talks to it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent.parent
START_SECONDS = 60
"""It takes three; this is for a machine that is busy with other tests."""


def free_port() -> int:
    """Find a port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def embedded_environment(data: Path, port: int, **more: str) -> dict[str, str]:
    """What `make run` sets, and nothing that the tests themselves need."""
    ours = ("DISPATCHER_", "DATABASE_URL", "REDIS_URL", "PORT")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return inherited | {
        "DJANGO_SETTINGS_MODULE": "dispatcher.settings",
        "DISPATCHER_DATA_DIR": str(data),
        "DISPATCHER_ALLOWED_NETWORKS": "127.0.0.1/32",
        "PORT": str(port),
        **more,
    }


@dataclass(frozen=True)
class Answer:
    """What an HTTP request brought back."""

    status: int
    body: bytes

    def json(self) -> Any:
        """The body's value."""
        return json.loads(self.body)


class Up:
    """A running `manage.py up`, and what it has printed so far."""

    def __init__(self, environment: Mapping[str, str], *options: str) -> None:
        self.site = f"http://127.0.0.1:{environment['PORT']}"
        self.process = subprocess.Popen(
            [sys.executable, "manage.py", "up", *options],
            cwd=ROOT,
            env=dict(environment),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._output: dict[str, list[str]] = {"stdout": [], "stderr": []}
        self._readers = [
            threading.Thread(target=self._read, args=(name,), daemon=True) for name in self._output
        ]
        for reader in self._readers:
            reader.start()

    def _read(self, name: str) -> None:
        with getattr(self.process, name) as stream:
            self._output[name].extend(iter(stream.readline, ""))

    @property
    def stdout(self) -> str:
        """What it told the user."""
        return "".join(self._output["stdout"])

    @property
    def stderr(self) -> str:
        """What it logged."""
        return "".join(self._output["stderr"])

    def wait_for(self, text: str) -> None:
        """Wait until it has printed `text`."""
        give_up_at = time.monotonic() + START_SECONDS
        while text not in self.stdout:
            assert self.process.poll() is None, f"it ended: {self.stderr}"
            assert time.monotonic() < give_up_at, f"not printed: {text}\n{self.stdout}"
            time.sleep(0.02)

    def printed(self, label: str) -> str:
        """Return what stands behind a label, such as `API key`."""
        line = next(line for line in self.stdout.splitlines() if line.startswith(label))
        return line.removeprefix(label).strip()

    def stop(self, number: signal.Signals) -> tuple[int, float]:
        """Send a signal; return the exit code and the seconds it took."""
        began = time.monotonic()
        self.process.send_signal(number)
        code = self.process.wait(30)
        for reader in self._readers:
            reader.join(5)
        return code, time.monotonic() - began

    def call(
        self,
        path: str,
        body: Any = None,
        *,
        key: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """GET a path, or POST a JSON body to it."""
        request = urllib.request.Request(
            self.site + path,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json", "Authorization": f"Bearer {key}"}
            | dict(headers or {}),
        )
        try:
            with urllib.request.urlopen(request, timeout=20) as response:
                return Answer(response.status, response.read())
        except urllib.error.HTTPError as error:
            with error:
                return Answer(error.code, error.read())


@contextmanager
def running_up(environment: Mapping[str, str], *options: str) -> Iterator[Up]:
    """Start it, and make sure that it is gone afterwards."""
    up = Up(environment, *options)
    try:
        yield up
    finally:
        if up.process.poll() is None:
            up.process.kill()
            up.process.wait(10)
