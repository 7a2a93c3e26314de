"""Production's processes, started as they are there: web, worker and beat, on one database."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest
import requests

from deliveries.models import Delivery
from subscriptions.api_keys import make_key
from tests.factories import make_project, make_subscription
from tests.threaded_server import KEEP, Connection, ThreadedServer
from tests.workers import ROOT, eventually, is_ready, worker_environment, worker_process

pytestmark = [pytest.mark.postgres, pytest.mark.django_db(transaction=True)]


def accept(connection: Connection) -> bool:
    connection.send(b"HTTP/1.1 204 No Content\r\n\r\n")
    return KEEP


@contextmanager
def process(*command: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command of this Python on the test's database; killed at the end if it still runs."""
    running = subprocess.Popen([sys.executable, "-m", *command], cwd=ROOT, env=worker_environment())
    try:
        yield running
    finally:
        if running.poll() is None:
            running.kill()
            running.wait(10)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


def answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=5).status_code == 200
    except requests.RequestException:  # not yet
        return False


def test_an_event_published_over_rest_arrives_and_all_processes_stop_cleanly() -> None:
    project = make_project()
    _, key = make_key(project, scopes=["publish"])
    site = f"127.0.0.1:{free_port()}"
    with ThreadedServer({"accept": accept}) as receiver, ExitStack() as stack:
        make_subscription(project=project, url=f"{receiver.origin}/accept")
        processes = [
            stack.enter_context(process("gunicorn", "dispatcher.wsgi", "--bind", site)),
            stack.enter_context(worker_process()),
            stack.enter_context(process("celery", "-A", "dispatcher", "beat")),
        ]
        eventually(lambda: answers(f"http://{site}/readyz"), within_seconds=60)
        eventually(lambda: is_ready(processes[1]), within_seconds=60)
        response = requests.post(
            f"http://{site}/api/v1/projects/{project.slug}/events",
            json={"type": "a.b", "data": {"n": 1}},
            headers={"Authorization": f"Bearer {key}"},
            timeout=10,
        )
        assert response.status_code == 202
        eventually(lambda: len(receiver.requests) == 1, within_seconds=60)
        eventually(lambda: Delivery.objects.get().status == "succeeded")
        for running in processes:
            running.send_signal(signal.SIGTERM)
        assert [running.wait(20) for running in processes] == [0, 0, 0]
