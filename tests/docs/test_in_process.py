"""The page about connecting a Django project is followed, in one that Django itself makes."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest

from deliveries.default_settings import DEFAULTS
from dispatcher.chaos.threaded_server import KEEP, Connection, ThreadedServer
from tests.docs.pages import ROOT, blocks_of
from tests.workers import eventually

PAGE = "docs/how-to/connect-your-django-project.md"
KEY = "dGhlc2UgYXJlIDMyIGJ5dGVzIGZvciB0ZXN0cy4uLi4="


def accept(connection: Connection) -> bool:
    connection.send(b"HTTP/1.1 204 No Content\r\n\r\n")
    return KEEP


@pytest.fixture
def database_url() -> Iterator[str]:
    """An empty database beside that of the tests."""
    server, name = os.environ["TEST_DATABASE_URL"], f"host_{uuid4().hex}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
        address, _, options = server.partition("?")
        yield f"{address.rpartition('/')[0]}/{name}?{options}"
        connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture
def project(tmp_path: Path, database_url: str) -> Path:
    """A new project with what the page says."""
    python("-m", "django", "startproject", "mysite", str(tmp_path), cwd=tmp_path)
    settings, celery, package, _ = [block.text for block in blocks_of(PAGE, "python")]
    append(tmp_path / "mysite" / "settings.py", "\nimport os\n\n", settings, in_this_test())
    append(tmp_path / "mysite" / "celery.py", celery)
    append(tmp_path / "mysite" / "__init__.py", package)
    (tmp_path / "environment").write_text(database_url)
    return tmp_path


def in_this_test() -> str:
    """What is another in every project: where the database is, and a receiver on loopback."""
    return (
        "\nimport dj_database_url\nfrom ipaddress import ip_network\n"
        'DATABASES = {"default": dj_database_url.parse(os.environ["HOST_DATABASE_URL"])}\n'
        'DISPATCHER_ALLOWED_NETWORKS = (ip_network("127.0.0.1/32"),)\n'
    )


def append(file: Path, *texts: str) -> None:
    with file.open("a") as stream:
        stream.writelines(texts)


def environment(project: Path | None) -> dict[str, str]:
    ours = ("DISPATCHER_", "DATABASE_URL", "REDIS_URL", "PORT", "DJANGO_SETTINGS_MODULE")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    if project is None:
        return inherited
    return inherited | {
        "PYTHONPATH": str(ROOT),
        "DJANGO_SETTINGS_MODULE": "mysite.settings",
        "DISPATCHER_ENCRYPTION_KEYS": KEY,
        "HOST_DATABASE_URL": (project / "environment").read_text(),
        # Wake-ups of its own: the suite's workers leave these alone.
        "REDIS_URL": os.environ["TEST_REDIS_URL"].rpartition("/")[0] + "/9",
    }


def python(*arguments: str, cwd: Path, project: Path | None = None) -> str:
    result = subprocess.run(
        [sys.executable, *arguments],
        cwd=cwd,
        env=environment(project),
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


@contextmanager
def worker(project: Path) -> Iterator[None]:
    """Run the worker as the page starts it."""
    commands = "\n".join(block.text for block in blocks_of(PAGE, "sh"))
    command = next(line for line in commands.splitlines() if " worker " in line)
    running = subprocess.Popen(
        [sys.executable, "-m", *command.split()], cwd=project, env=environment(project)
    )
    try:
        yield
        running.terminate()
        assert running.wait(20) == 0
    finally:
        if running.poll() is None:
            running.kill()
            running.wait(10)


@pytest.mark.postgres
def test_a_django_project_publishes_and_the_worker_sends(project: Path) -> None:
    python("manage.py", "migrate", cwd=project, project=project)
    python("manage.py", "check", "--fail-level", "WARNING", cwd=project, project=project)
    publishing = blocks_of(PAGE, "python")[-1].text
    with ThreadedServer({"hooks": accept}) as receiver, worker(project):
        publishing = publishing.replace("https://example.com", receiver.origin).replace(
            'create_project("My customer")', 'create_project("My customer", is_https_only=False)'
        )
        secret = python("manage.py", "shell", "-v0", "-c", publishing, cwd=project, project=project)
        eventually(lambda: len(receiver.requests) == 1, within_seconds=30)
    assert secret.startswith("whsec_")
    assert b'"type":"order.paid"' in receiver.requests[0].body


def test_every_setting_that_the_apps_read_has_a_default_but_the_keys() -> None:
    files = [file for app in ("subscriptions", "deliveries") for file in (ROOT / app).rglob("*.py")]
    read = {
        name
        for file in files
        for name in re.findall(r"settings\.(DISPATCHER_\w+)", file.read_text())
    }
    assert set(DEFAULTS) == read - {"DISPATCHER_ENCRYPTION_KEYS"}


def test_the_defaults_are_those_of_the_assembly(tmp_path: Path) -> None:
    code = (
        "import json; from dispatcher import settings; from deliveries.default_settings import *;"
        "print(json.dumps([getattr(settings, name) == value for name, value in DEFAULTS.items()]))"
    )
    bare = environment(None) | {"DISPATCHER_DATA_DIR": str(tmp_path)}
    printed = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=bare, capture_output=True, check=True
    )
    assert set(json.loads(printed.stdout)) == {True}
