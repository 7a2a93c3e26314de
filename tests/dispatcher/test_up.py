"""`manage.py up` as its user meets it: started, used, stopped and started again."""

from __future__ import annotations

import re
import shlex
import signal
import sqlite3
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from subscriptions.access.api_keys import make_key
from tests.dispatcher.up_process import Up, embedded_environment, free_port, running_up
from tests.factories import make_project
from tests.hostile_receiver import HostileReceiver
from tests.workers import eventually, worker_environment

STOP_SECONDS = 22.0
"""It takes eleven at most, mostly one or two; this is for a machine busy with other tests."""


def subscribe(up: Up, url: str, key: str, project: str = "demo") -> str:
    """Subscribe to everything over the API; return the id."""
    answer = up.call(
        f"/api/v1/projects/{project}/subscriptions", {"url": url, "event_types": ["*"]}, key=key
    )
    assert answer.status == 201, answer.body
    identifier: str = answer.json()["id"]
    return identifier


def query(data: Path, statement: str) -> list[Any]:
    """Ask the database that `up` left behind."""
    connection = sqlite3.connect(data / "dispatcher.sqlite3")
    try:
        return connection.execute(statement).fetchall()
    finally:
        connection.close()


@pytest.mark.sqlite
def test_a_start_a_stop_and_a_second_start_on_another_port(tmp_path: Path) -> None:
    with running_up(embedded_environment(tmp_path, free_port())) as up:
        up.wait_for("Publish an event")
        check_first_words(up)
        check_pages(up)
        check_curl_line(up)
        code, seconds = up.stop(signal.SIGINT)
        assert (code, seconds < STOP_SECONDS) == (0, True)
        assert complaints(up) == []
        key = up.printed("API key")
        events = query(tmp_path, "SELECT count(*) FROM deliveries_event")

    with running_up(embedded_environment(tmp_path, free_port())) as up:
        up.wait_for("Publish an event")
        assert key not in up.stdout
        assert "changepassword admin" in up.stdout
        assert query(tmp_path, "SELECT count(*) FROM deliveries_event") == events
        up.call("/api/v1/projects/demo/events", {"type": "Task.update", "data": {}}, key=key)
        eventually(lambda: b"signature verified" in up.call("/demo/inbox/").body)
        check_conflicts(up, tmp_path)
        publishers = [publish_until_refused(up, key) for _ in range(2)]
        eventually(lambda: up.stderr.count("deliveries.attempt") > 20)
        code, seconds = up.stop(signal.SIGTERM)
        assert (code, seconds < STOP_SECONDS) == (0, True)
        for publisher in publishers:
            publisher.join(5)
    states = query(tmp_path, "SELECT DISTINCT status FROM deliveries_delivery")
    assert set(states) <= {("succeeded",), ("pending",)}, "our own inbox went before its callers"


def publish_until_refused(up: Up, key: str) -> threading.Thread:
    """Publish one event after the other until nobody answers."""

    def publish() -> None:
        with suppress(OSError):
            while True:
                up.call("/api/v1/projects/demo/events", {"type": "a.b", "data": {}}, key=key)

    thread = threading.Thread(target=publish, daemon=True)
    thread.start()
    return thread


def check_first_words(up: Up) -> None:
    rows = re.findall(r"^ +(\w+) +(\S+) +succeeded 200 +(\d+) +(\w+)$", up.stdout, re.MULTILINE)
    assert sorted((preset, event_type, verified) for preset, event_type, _, verified in rows) == [
        ("phrase", "translations:create", "yes"),
        ("repsona", "Task.update", "yes"),
        ("standard", "Task.update", "yes"),
        ("standard", "translations:create", "yes"),
    ]
    assert re.fullmatch(r"admin, password [a-z0-9]{16}", up.printed("Login"))


def check_pages(up: Up) -> None:
    login = up.call("/admin/")
    assert login.status == 200
    stylesheet = re.search(rb'href="(/static/unfold/[^"]+\.css)"', login.body)
    assert stylesheet, "the admin has no stylesheet"
    assert up.call(stylesheet[1].decode()).status == 200
    inbox = up.call("/demo/inbox/")
    assert inbox.body.count(b"signature verified") == 4
    assert up.call("/static/demo/inbox.css").status == 200
    assert up.call("/healthz").status == 200


def check_curl_line(up: Up) -> None:
    line = next(line for line in up.stdout.splitlines() if line.startswith("curl "))
    result = subprocess.run(
        [*shlex.split(line), "--silent", "--write-out", "%{http_code}"],
        capture_output=True,
        text=True,
        timeout=20,
        check=True,
    )
    assert result.stdout.endswith("202"), result.stdout
    eventually(lambda: up.call("/demo/inbox/").body.count(b"signature verified") == 6)


def complaints(up: Up) -> list[str]:
    """Everything logged but the lines of attempts."""
    return [line for line in up.stderr.splitlines() if "deliveries.attempt outcome=" not in line]


def check_conflicts(up: Up, data: Path) -> None:
    """Neither the port nor the data can be used twice; nobody is disturbed by trying."""
    port = up.site.rpartition(":")[2]
    with running_up(embedded_environment(data / "other", int(port))) as second:
        assert second.process.wait(60) == 1
    assert f"Port {port} is in use" in second.stderr
    assert "PORT" in second.stderr
    with running_up(embedded_environment(data, free_port())) as second:
        assert second.process.wait(60) == 1
    assert "DISPATCHER_DATA_DIR" in second.stderr
    assert up.call("/healthz").status == 200


@pytest.mark.sqlite
def test_what_is_under_way_is_finished_and_a_second_interrupt_ends_at_once(
    tmp_path: Path,
) -> None:
    environment = embedded_environment(tmp_path, free_port(), DISPATCHER_DEMO="false")
    event = {"type": "a.b", "data": {}}
    with HostileReceiver() as receiver:
        with running_up(environment) as up:
            up.wait_for("Login")
            assert up.call("/demo/inbox/").status == 404
            assert query(tmp_path, "SELECT count(*) FROM subscriptions_project") == [(0,)]
            key = create_project(environment)
            subscribe(up, receiver.origin + "/hang", key, project="slow")
            up.call("/api/v1/projects/slow/events", event, key=key)
            eventually(lambda: len(receiver.requests) == 1)
            code, seconds = up.stop(signal.SIGINT)
            assert (code, seconds < STOP_SECONDS) == (0, True)
        states = "SELECT status, last_outcome, attempt_count FROM deliveries_delivery"
        assert query(tmp_path, states) == [("failed", "timeout", 1)], "it was not waited for"

        with running_up(environment, "--no-demo") as up:
            up.wait_for("Login")
            up.call("/api/v1/projects/slow/events", event, key=key)
            eventually(lambda: len(receiver.requests) == 2)
            up.process.send_signal(signal.SIGINT)
            up.wait_for("Stopping")
            code, seconds = up.stop(signal.SIGINT)
        assert (code, seconds < 2) == (128 + signal.SIGINT, True)


def create_project(environment: dict[str, str]) -> str:
    """Make a project as an operator does; return its key."""
    result = subprocess.run(
        [sys.executable, "manage.py", "create_project", "Slow", "--allow-http", "--json"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    key = re.search(r'"api_key": "([^"]+)"', result.stdout)
    assert key
    return key[1]


@pytest.mark.sqlite
def test_a_directory_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with running_up(embedded_environment(tmp_path / "file" / "data", free_port())) as up:
        assert up.process.wait(60) == 1
    assert "DISPATCHER_DATA_DIR" in up.stderr.splitlines()[-1]


@pytest.mark.sqlite
def test_a_database_that_does_not_answer_is_named(tmp_path: Path) -> None:
    environment = embedded_environment(
        tmp_path,
        free_port(),
        DATABASE_URL="postgres://somebody:hidden-password@127.0.0.1:1/nothing",
        DISPATCHER_SECRET_KEY="for tests only " * 4,
        DISPATCHER_ENCRYPTION_KEYS="dGhlc2UgYXJlIDMyIGJ5dGVzIGZvciB0ZXN0cy4uLi4=",
        DISPATCHER_ALLOWED_HOSTS="127.0.0.1",
    )
    with running_up(environment) as up:
        assert up.process.wait(60) == 1
    assert "DATABASE_URL" in up.stderr
    assert "Traceback" not in up.stderr
    assert "hidden-password" not in up.stderr


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_one_process_serves_postgresql_as_well() -> None:
    project = make_project()
    _, key = make_key(project)
    environment = worker_environment() | {"PORT": str(free_port())}
    with HostileReceiver() as receiver, running_up(environment) as up:
        up.wait_for("Login")
        assert up.call("/demo/inbox/").status == 404
        subscribe(up, receiver.origin + "/ok", key, project=project.slug)
        up.call(f"/api/v1/projects/{project.slug}/events", {"type": "a.b", "data": {}}, key=key)
        eventually(lambda: len(receiver.requests) == 1)
        code, seconds = up.stop(signal.SIGTERM)
        assert (code, seconds < STOP_SECONDS) == (0, True)
    assert [delivery.status for delivery in project.deliveries.all()] == ["succeeded"]
