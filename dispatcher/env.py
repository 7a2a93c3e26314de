"""Turns environment variables into values; a wrong one stops the start with a sentence naming it.

Called by `settings` only. Each variable is documented in `.env.example`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from ipaddress import ip_network
from pathlib import Path
from typing import Any, cast

import dj_database_url
from cryptography.fernet import Fernet
from environs import Env, EnvError

from deliveries.sending.egress_proxy import EgressProxy, parse_egress_proxy
from subscriptions.guard.address_guard import IPNetwork

env = Env()

_SECRET_KEY_CHARACTERS = 50
_SECRET_KEY_DIFFERENT = 10


@env.parser_for("networks")
def _parse_networks(value: str) -> tuple[IPNetwork, ...]:
    try:
        return tuple(ip_network(part.strip()) for part in value.split(",") if part.strip())
    except ValueError as error:
        raise EnvError(f"{error}; write networks such as 10.0.0.0/8, comma-separated") from error


@env.parser_for("encryption_keys")
def _parse_encryption_keys(value: str) -> tuple[str, ...]:
    keys = tuple(part.strip() for part in value.split(",") if part.strip())
    for position, key in enumerate(keys, start=1):
        try:
            Fernet(key)
        except ValueError as error:  # never quote the key itself
            raise EnvError(
                f"key {position} is not 32 bytes in URL-safe base64 "
                "(`manage.py make_encryption_key` prints one)"
            ) from error
    if not keys:
        raise EnvError("at least one key is needed (`manage.py make_encryption_key` prints one)")
    return keys


@env.parser_for("dns_servers")
def _parse_dns_servers(value: str) -> tuple[str, ...]:
    servers = tuple(part.strip() for part in value.split(",") if part.strip())
    for server in servers:
        if not re.fullmatch(r"[0-9.]+(:\d{1,5})?|\[[0-9a-fA-F:.]+\](:\d{1,5})?", server):
            raise EnvError(f"{server!r} is not an address such as 10.0.0.2 or [fd00::2]:5353")
    return servers


@env.parser_for("database")
def _parse_database(value: str) -> dict[str, Any]:
    try:
        database = dict(dj_database_url.parse(value, conn_max_age=60, conn_health_checks=True))
    except ValueError as error:  # the URL may hold a password: do not repeat it
        raise EnvError("write postgres://user:password@host:5432/name") from error
    if database["ENGINE"] != "django.db.backends.postgresql":
        raise EnvError("only PostgreSQL is supported: postgres://user:password@host:5432/name")
    return database


def database(name: str) -> dict[str, Any]:
    """Read a PostgreSQL URL into Django's settings of one database."""
    return cast("dict[str, Any]", env.database(name))


def make_directory(name: str, path: Path) -> None:
    """Make the directory that the variable names, unless it is there; it must be writable."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _invalid(name, str(error)) from error
    if not os.access(path, os.W_OK | os.X_OK):
        raise _invalid(name, f"{path} is not writable")


def heartbeat_file(name: str) -> Path | None:
    """Read where to leave signs of life, or `None`; the directory must be there, and writable."""
    value = env.str(name, "")
    path = Path(value)
    if value and (not path.is_absolute() or not os.access(path.parent, os.W_OK | os.X_OK)):
        raise _invalid(name, "write an absolute path in a directory that can be written to")
    return path if value else None


def networks(name: str) -> tuple[IPNetwork, ...]:
    """Read CIDR networks, comma-separated; unset or empty means none."""
    return cast("tuple[IPNetwork, ...]", env.networks(name, ""))


def encryption_keys(name: str) -> tuple[str, ...]:
    """Read Fernet keys, comma-separated: the first encrypts, all of them decrypt."""
    return cast("tuple[str, ...]", env.encryption_keys(name))


def dns_servers(name: str) -> tuple[str, ...]:
    """Read `address[:port]` of name servers, comma-separated; none means the system's own."""
    return cast("tuple[str, ...]", env.dns_servers(name, ""))


def egress_proxy(name: str) -> EgressProxy | None:
    """Read `http://user:password@host:port`; unset or empty means none."""
    value: str = env.str(name, "")
    try:
        return parse_egress_proxy(value) if value else None
    except ValueError as error:  # it may hold a password, and is not repeated
        raise _invalid(name, str(error)) from None


def secret_key(name: str) -> str:
    """Read what signs sessions: fifty characters or more, at least ten of them different."""
    key: str = env.str(name)
    if len(key) < _SECRET_KEY_CHARACTERS or len(set(key)) < _SECRET_KEY_DIFFERENT:
        raise _invalid(
            name,
            f"take {_SECRET_KEY_CHARACTERS} random characters or more, such as "
            "`openssl rand -hex 32` prints",
        )
    return key


def refuse_outside_of_the_demo(*, debug: bool, hosts: list[str]) -> None:
    """Stop the start where production is set up as only the demo may be."""
    if debug:
        raise _invalid(
            name="DISPATCHER_DEBUG",
            why="with DATABASE_URL error pages must not show code and values",
        )
    if open_to_all := [host for host in hosts if host.strip(".") in {"", "*"}]:
        raise _invalid(
            name="DISPATCHER_ALLOWED_HOSTS",
            why=f"{open_to_all[0]!r} would allow every name; list those of this site",
        )


def read_or_create_key_file(path: Path, make_key: Callable[[], str]) -> str:
    """Return the key kept in `path`; on the first start make one that only its owner can read."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path.read_text().strip()
    with os.fdopen(descriptor, "w") as file:
        key = make_key()
        file.write(key + "\n")
    return key


def _invalid(name: str, why: str) -> EnvError:
    """Say it as `environs` does of what its parsers refuse."""
    return EnvError(f'Environment variable "{name}" invalid: {why}')
