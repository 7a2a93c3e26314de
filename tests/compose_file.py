"""Reads docker-compose.yml as Compose would, and starts what it names as processes, without Docker.

For tests of the packaging, and for `tests.production_run`.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parent.parent
COMPOSE_FILE = ROOT / "docker-compose.yml"
EXAMPLE = ROOT / ".env.example"

SECRETS = ("POSTGRES_PASSWORD", "DISPATCHER_SECRET_KEY", "DISPATCHER_ENCRYPTION_KEYS")

_VARIABLE = re.compile(r"\$(?:\$|\{(?P<name>\w+)(?:(?P<how>:\?|:-)(?P<rest>[^}]*))?\})")
_OURS = re.compile(r"DISPATCHER_\w+|DATABASE_URL|REDIS_URL|PORT|GRANIAN_\w+")


class MissingVariableError(LookupError):
    """A variable that must be set is not; the text is the file's sentence."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a service's process finds what a container would have had."""

    folder: Path
    """Its own: stands for `/tmp` and the data directory."""
    database_url: str
    redis_url: str
    port: int


@dataclass(frozen=True, slots=True)
class Service:
    """One service of the file, with its variables filled in."""

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    health_check: tuple[str, ...]
    """As Compose has it: `CMD` and the words, or `CMD-SHELL` and a line; empty when it has none."""
    grace_seconds: float

    @contextmanager
    def running(self, place: Place) -> Iterator[subprocess.Popen[bytes]]:
        """Run the command as a process; ended with the block, if it still runs."""
        process = subprocess.Popen(self.command_at(place), cwd=ROOT, env=self.environment_at(place))
        try:
            yield process
        finally:
            if process.poll() is None:
                _end(process)

    def is_healthy(self, place: Place) -> bool:
        """Run the health check as a process; say whether it succeeds within five seconds."""
        how, *words = self.health_check
        command = ["/bin/sh", "-c", *words] if how == "CMD-SHELL" else words
        try:
            result = subprocess.run(
                [_here(word, place) for word in command],
                env=self.environment_at(place),
                stderr=subprocess.DEVNULL,
                timeout=5,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return False
        return result.returncode == 0

    def command_at(self, place: Place) -> list[str]:
        """Return the command, with the addresses and paths of this machine."""
        return [_here(word, place) for word in self.command]

    def environment_at(self, place: Place) -> dict[str, str]:
        """Return the process's environment: the service's, and this machine's but for our names."""
        inherited = {name: value for name, value in os.environ.items() if not _OURS.match(name)}
        own = {name: _here(value, place) for name, value in self.environment.items()}
        return {
            **inherited,
            **own,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "DJANGO_SETTINGS_MODULE": "dispatcher.settings",
            "DATABASE_URL": place.database_url,
            "REDIS_URL": place.redis_url,
            "DISPATCHER_DATA_DIR": str(place.folder),
        }


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ask first: a web server that is killed leaves its own processes behind."""
    process.terminate()
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _here(text: str, place: Place) -> str:
    """Replace a container's addresses and paths by those of this machine."""
    text = text.replace("0.0.0.0", "127.0.0.1").replace("8000", str(place.port))
    return text.replace("/tmp/", f"{place.folder}/")  # noqa: S108  # a container's own


def read_services(variables: Mapping[str, str]) -> dict[str, Service]:
    """Return the file's services by name; raises `MissingVariableError`."""
    services = fill_in(read_file()["services"], variables)
    return {name: _service(name, service, variables) for name, service in services.items()}


def read_file() -> dict[str, Any]:
    """Return the file as it stands, with its anchors followed."""
    return dict(yaml.safe_load(COMPOSE_FILE.read_text()))


def fill_in(value: Any, variables: Mapping[str, str]) -> Any:
    """Replace `${NAME}`, `${NAME:-default}`, `${NAME:?sentence}` and `$$` wherever text is."""
    if isinstance(value, dict):
        return {name: fill_in(part, variables) for name, part in value.items()}
    if isinstance(value, list):
        return [fill_in(part, variables) for part in value]
    if not isinstance(value, str):
        return value
    return _VARIABLE.sub(lambda found: _value_of(found, variables), value)


def _value_of(found: re.Match[str], variables: Mapping[str, str]) -> str:
    name, how, rest = found.group("name", "how", "rest")
    if name is None:
        return "$"
    value = variables.get(name, "")
    if value or how is None:
        return value
    if how == ":?":
        raise MissingVariableError(rest)
    return str(rest)


def _service(name: str, service: Mapping[str, Any], variables: Mapping[str, str]) -> Service:
    stated = service.get("environment", {})
    # Without a value, a variable is handed on as it is, where it is set.
    environment = {
        key: variables.get(key) if value is None else value for key, value in stated.items()
    }
    return Service(
        name=name,
        command=tuple(service.get("command", ())),
        environment={key: text for key, text in environment.items() if text is not None},
        health_check=tuple(service.get("healthcheck", {}).get("test", ())),
        grace_seconds=seconds(service.get("stop_grace_period", "10s")),
    )


def seconds(duration: str) -> float:
    """Read a duration of the file, which are in seconds throughout."""
    assert duration.endswith("s"), duration
    return float(duration.removesuffix("s"))
