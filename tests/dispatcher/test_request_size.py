"""A body that is announced as too long is refused at once, unread, by both web servers."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.test import Client

from dispatcher.web_server import WebServer
from tests.dispatcher.up_process import free_port
from tests.workers import ROOT

LIMIT_BYTES = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
ROUTES = ["/api/v1/projects/any/events", "/api/nowhere", "/admin/login/", "/healthz", "/nowhere"]
SENTENCE = f"The request's body has more than {LIMIT_BYTES} bytes."


@contextmanager
def waitress() -> Iterator[int]:
    port = free_port()
    server = WebServer(
        get_wsgi_application(), host="127.0.0.1", port=port, body_limit_bytes=LIMIT_BYTES
    )
    server.start()
    yield port
    server.stop(timeout_seconds=5)


@contextmanager
def granian(folder: Path) -> Iterator[int]:
    port = free_port()
    command = ["granian", "--interface=wsgi", f"--port={port}", "dispatcher.wsgi:application"]
    environment = os.environ | {
        "DJANGO_SETTINGS_MODULE": "dispatcher.settings",
        "DISPATCHER_DATA_DIR": str(folder),
    }
    process = subprocess.Popen([sys.executable, "-m", *command], cwd=ROOT, env=environment)
    try:
        wait_until_it_listens(process, port)
        yield port
    finally:
        process.terminate()
        process.wait(30)


def wait_until_it_listens(process: subprocess.Popen[bytes], port: int) -> None:
    give_up_at = time.monotonic() + 60
    while time.monotonic() < give_up_at:
        assert process.poll() is None, "it ended"
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except ConnectionError:
            time.sleep(0.1)
        else:
            return
    pytest.fail("it does not listen")


@pytest.fixture(scope="module", params=["waitress", "granian"])
def port(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    folder = tmp_path_factory.mktemp("data")
    with waitress() if request.param == "waitress" else granian(folder) as found:
        yield found


def ask(port: int, path: str, body_bytes: int, *headers: str) -> bytes:
    """Send the head of a request, not one byte of its body, and return what is answered."""
    lines = [f"POST {path} HTTP/1.1", "Host: localhost", f"Content-Length: {body_bytes}", *headers]
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall("\r\n".join([*lines, "Connection: close", "", ""]).encode())
        parts = []
        while part := connection.recv(65536):
            parts.append(part)
    return b"".join(parts)


@pytest.mark.parametrize("path", ROUTES)
def test_every_route_refuses_it_before_a_byte_has_come(port: int, path: str) -> None:
    answer = ask(port, path, LIMIT_BYTES + 1)
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert SENTENCE.encode() in answer
    assert (b"application/problem+json" in answer) == path.startswith("/api/")


def test_a_client_that_waits_to_be_asked_for_the_body_is_not_asked(port: int) -> None:
    answer = ask(port, "/healthz", 10 * LIMIT_BYTES, "Expect: 100-continue")
    assert answer.startswith(b"HTTP/1.1 413 ")


def test_what_is_within_the_limit_is_read(port: int) -> None:
    body = b" " * LIMIT_BYTES
    head = f"POST /api/nowhere HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n"
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(f"{head}Connection: close\r\n\r\n".encode() + body)
        assert connection.recv(65536).startswith(b"HTTP/1.1 404 ")


@pytest.mark.parametrize("served_at", ["", "/webhooks"])
@pytest.mark.parametrize("path", ROUTES)
def test_the_refusal_is_a_problem_document_in_the_api_and_a_sentence_elsewhere(
    path: str, served_at: str
) -> None:
    announced = str(LIMIT_BYTES + 1)
    response = Client().post(
        path, b"", "application/json", CONTENT_LENGTH=announced, SCRIPT_NAME=served_at
    )
    assert response.status_code == 413
    if path.startswith("/api/"):
        (error,) = json.loads(response.content)["errors"]
        assert error == {"field": "", "code": "too_large", "message": SENTENCE}
    else:
        assert response.content.decode() == SENTENCE
