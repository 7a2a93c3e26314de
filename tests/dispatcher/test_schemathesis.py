"""Schemathesis reads the API's description, and sends what fits it and what does not.

All of its checks hold for every operation: no 5xx, nothing that the description does not say, what
fits is accepted and what does not is refused. A real server process answers.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest
from django.conf import settings

from subscriptions.access.api_keys import make_key
from tests.dispatcher.up_process import embedded_environment, free_port, running_up
from tests.factories import make_project
from tests.workers import worker_environment

FOLDER = Path(__file__).parent / "schemathesis_run"
ROOT = Path(__file__).parents[2]
SECONDS = os.environ.get("SCHEMATHESIS_SECONDS", "12")
"""For each search at random; more finds more."""

ONLY = os.environ.get("SCHEMATHESIS_ONLY", "")
"""A regular expression: paths to look at, while one works on them."""

PHASES = {
    # A case for each constraint: as many as there are, unless the machine is busy.
    "examples,coverage": ("--max-time", os.environ.get("SCHEMATHESIS_SECONDS", "36")),
    "fuzzing": ("--max-time", SECONDS),
    "stateful": ("--max-time", SECONDS),  # what one answer made, the next request uses
}

START_SECONDS = 60
UNLIMITED = {
    "DISPATCHER_REQUEST_RATE_PER_KEY": "0",
    "DISPATCHER_PUBLISH_RATE_PER_KEY": "0",
    "DISPATCHER_PUBLISH_RATE_PER_PROJECT": "0",
    "DISPATCHER_SUBSCRIPTIONS_PER_PROJECT": "100000",
    "DISPATCHER_LOG_LEVEL": "ERROR",
}


@pytest.mark.sqlite
def test_the_description_holds_on_sqlite(tmp_path: Path) -> None:
    environment = embedded_environment(tmp_path / "data", free_port(), **UNLIMITED)
    with running_up(environment) as up:
        up.wait_for("Publish an event")
        run_schemathesis(up.site, project="demo", key=operators_key(environment), folder=tmp_path)


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_the_description_holds_on_postgresql(tmp_path: Path) -> None:
    project = make_project()
    _, key = make_key(None)
    with web_server(worker_environment() | UNLIMITED) as site:
        run_schemathesis(site, project=project.slug, key=key, folder=tmp_path)


def operators_key(environment: Mapping[str, str]) -> str:
    """Return a key for every route, which none of them finds and revokes."""
    command = [sys.executable, "manage.py", "create_key", "--operator"]
    made = subprocess.run(
        command, cwd=ROOT, env=dict(environment), capture_output=True, text=True, check=True
    )
    return made.stdout.split()[0]


@contextmanager
def web_server(environment: Mapping[str, str]) -> Iterator[str]:
    """Run the production web server on the test's database; gives its address."""
    port = free_port()
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "granian", "--interface=wsgi", f"--port={port}"),
            "dispatcher.wsgi:application",
        ],
        cwd=ROOT,
        env=dict(environment),
    )
    try:
        wait_until_it_answers(f"http://127.0.0.1:{port}/healthz")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(30)


def wait_until_it_answers(url: str) -> None:
    give_up_at = time.monotonic() + START_SECONDS
    while True:
        try:
            urllib.request.urlopen(url, timeout=5).close()
        except OSError:
            assert time.monotonic() < give_up_at, "the web server does not answer"
            time.sleep(0.1)
        else:
            return


def run_schemathesis(site: str, *, project: str, key: str, folder: Path) -> None:
    """Run every phase with all checks; the output says what failed and how to repeat it."""
    for phases, bound in PHASES.items():
        run = subprocess.run(
            [
                *(sys.executable, "-m", "schemathesis.cli"),
                *("--config-file", str(FOLDER / "config.toml")),
                *("run", f"{site}/api/v1/openapi.json", "--header", f"Authorization: Bearer {key}"),
                *("--checks", "all", "--phases", phases, *bound, "--no-color"),
                *(("--include-path-regex", ONLY) if ONLY else ()),
            ],
            cwd=folder,  # it keeps a cache where it runs
            env={**os.environ, "PYTHONPATH": str(FOLDER), "SCHEMATHESIS_PROJECT": project},
            capture_output=True,
            text=True,
            check=False,
        )
        print(run.stdout.partition("= SUMMARY =")[2])  # noqa: T201  # with `-s`: how many cases
        assert run.returncode == 0, run.stdout + run.stderr
        assert int(re.findall(r"(\d+) generated", run.stdout)[0]) > 20, run.stdout


def test_settings_are_those_that_the_servers_read() -> None:
    assert all(hasattr(settings, name) for name in UNLIMITED if name != "DISPATCHER_LOG_LEVEL")
