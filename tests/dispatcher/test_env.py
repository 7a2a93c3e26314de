"""A wrong value in the environment stops the start; what is right is documented."""

from __future__ import annotations

import ast
import os
import re
import runpy
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from environs import EnvError

ROOT = Path(settings.BASE_DIR)
SETTINGS = ROOT / "dispatcher" / "settings.py"
OURS = re.compile(r"DISPATCHER_[A-Z_]+|DATABASE_URL|REDIS_URL|PORT")

FOR_COMPOSE = {"POSTGRES_PASSWORD"}
"""Read by docker-compose.yml only."""

KEY = "dGhlc2UgYXJlIDMyIGJ5dGVzIGZvciB0ZXN0cy4uLi4="
PRODUCTION = {
    "DATABASE_URL": "postgres://somebody:hidden-password@db.example:5432/dispatcher",
    "DISPATCHER_SECRET_KEY": "for tests only " * 4,
    "DISPATCHER_ENCRYPTION_KEYS": KEY,
    "DISPATCHER_ALLOWED_HOSTS": "hooks.example",
}


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """None of our variables but a place for data."""
    for name in list(os.environ):
        if OURS.fullmatch(name):
            monkeypatch.delenv(name)
    monkeypatch.setenv("DISPATCHER_DATA_DIR", str(tmp_path / "data"))


def start_with(monkeypatch: pytest.MonkeyPatch, **environment: str) -> dict[str, object]:
    """Read the settings afresh in this environment."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return runpy.run_path(str(SETTINGS))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "web"),
        ("PORT", "0"),
        ("PORT", "65536"),
        ("DATABASE_URL", "not a URL"),
        ("DATABASE_URL", "mysql://somebody:hidden-password@db.example/dispatcher"),
        ("DISPATCHER_DATA_DIR", "/dev/null/data"),
        ("DISPATCHER_TRANSPORT", "pigeon"),
        ("DISPATCHER_HEARTBEAT_FILE", "/dev/null/heartbeat"),
        ("DISPATCHER_HEARTBEAT_FILE", "heartbeat"),
        ("DISPATCHER_ALLOWED_NETWORKS", "10.0.0.1/8"),
        ("DISPATCHER_ALLOWED_NETWORKS", "intranet"),
        ("DISPATCHER_TRUSTED_PROXIES", "10.0.0.1/8"),
        ("DISPATCHER_UNFINISHED_LIMIT", "-1"),
        ("DISPATCHER_PUBLISH_RATE_PER_KEY", "10001"),
        ("DISPATCHER_REFUSED_NETWORKS", "10.0.0.1/8"),
        ("DISPATCHER_EGRESS_PROXY", "proxy:3128"),
        ("DISPATCHER_EGRESS_PROXY", "https://robot:hidden-password@proxy:3128"),
        ("DISPATCHER_DNS_SERVERS", "resolver"),
        ("DISPATCHER_ENCRYPTION_KEYS", "too short"),
        ("DISPATCHER_ENCRYPTION_KEYS", f"{KEY},too short"),
        ("DISPATCHER_LEASE_SECONDS", "9"),
        ("DISPATCHER_IN_FLIGHT_LIMIT", "0"),
        ("DISPATCHER_IN_FLIGHT_PER_SUBSCRIPTION", "many"),
        ("DISPATCHER_PAYLOAD_LIMIT_BYTES", "-1"),
        ("DISPATCHER_RETENTION_DAYS", "for ever"),
        ("DISPATCHER_DEBUG", "perhaps"),
    ],
)
def test_a_wrong_value_stops_the_start_and_is_named(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    with pytest.raises((EnvError, ImproperlyConfigured), match=name) as error:
        start_with(monkeypatch, **{name: value})
    assert "hidden-password" not in str(error.value)


@pytest.mark.parametrize(
    "name", ["DISPATCHER_SECRET_KEY", "DISPATCHER_ENCRYPTION_KEYS", "DISPATCHER_ALLOWED_HOSTS"]
)
def test_production_does_not_start_without_its_keys_and_names(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    environment = {key: value for key, value in PRODUCTION.items() if key != name}
    with pytest.raises(EnvError, match=name):
        start_with(monkeypatch, **environment)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DISPATCHER_SECRET_KEY", "too short"),
        ("DISPATCHER_SECRET_KEY", "a" * 60),
        ("DISPATCHER_DEBUG", "true"),
        ("DISPATCHER_ALLOWED_HOSTS", "*"),
        ("DISPATCHER_ALLOWED_HOSTS", "hooks.example,."),
    ],
)
def test_production_does_not_start_as_the_demo_may(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    start_with(monkeypatch, **{name: value} if name != "DISPATCHER_SECRET_KEY" else {})
    with pytest.raises(EnvError, match=name) as error:
        start_with(monkeypatch, **{**PRODUCTION, name: value})
    assert "too short" not in str(error.value)


def test_production_starts_with_what_the_example_names(monkeypatch: pytest.MonkeyPatch) -> None:
    found = start_with(monkeypatch, **PRODUCTION)
    assert found["DISPATCHER_EMBEDDED"] is False


def test_the_user_sees_one_sentence_and_no_traceback(tmp_path: Path) -> None:
    result = subprocess.run(
        [sys.executable, "manage.py", "check"],
        cwd=ROOT,
        env={**os.environ, "DISPATCHER_DATA_DIR": str(tmp_path), "PORT": "web"}
        | {"DJANGO_SETTINGS_MODULE": "dispatcher.settings"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.returncode == 1
    assert len(result.stderr.strip().splitlines()) == 1
    assert "PORT" in result.stderr


def test_keys_are_made_once_and_only_their_owner_can_read_them(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    first = start_with(monkeypatch)
    second = start_with(monkeypatch)

    assert first["SECRET_KEY"] == second["SECRET_KEY"]
    assert first["DISPATCHER_ENCRYPTION_KEYS"] == second["DISPATCHER_ENCRYPTION_KEYS"]
    for name in ("secret.key", "encryption.key"):
        mode = stat.S_IMODE((tmp_path / "data" / name).stat().st_mode)
        assert mode == 0o600, name


def test_the_example_documents_exactly_what_is_read() -> None:
    example = (ROOT / ".env.example").read_text()
    documented = re.findall(r"^# ([A-Z_]+)=", example, re.MULTILINE)
    assert sorted(documented) == sorted(set(documented)), "something is documented twice"
    assert set(documented) - FOR_COMPOSE == variables_read()


def test_the_example_changes_nothing_as_it_is() -> None:
    lines = (ROOT / ".env.example").read_text().splitlines()
    assert [line for line in lines if line and not line.startswith("#")] == []


def variables_read() -> set[str]:
    """Every name that the assembly reads from the environment: first arguments of its readers."""
    names: set[str] = set()
    for path in (ROOT / "dispatcher").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
                argument = node.args[0].value
                if isinstance(argument, str) and OURS.fullmatch(argument):
                    names.add(argument)
    return names
