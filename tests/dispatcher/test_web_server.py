"""The web server of `manage.py up`: what is under way when it stops gets its answer."""

from __future__ import annotations

import socket
import threading
import time
import urllib.request
from collections.abc import Iterable
from contextlib import suppress
from http.client import HTTPException
from typing import Any

import pytest

from dispatcher.web_server import PortUnavailable, WebServer
from tests.dispatcher.up_process import free_port


class SlowApplication:
    """Answers when it is let go."""

    def __init__(self) -> None:
        self.has_begun = threading.Event()
        self.may_answer = threading.Event()

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        self.has_begun.set()
        self.may_answer.wait(10)
        body = environ["wsgi.input"].read() or b"x" * 300_000  # more than one write
        start_response("200 OK", [("Content-Length", str(len(body)))])
        return [body]


class Get:
    """A request on a thread of its own."""

    def __init__(self, port: int) -> None:
        self.body = b""
        self._port = port
        self.thread = threading.Thread(target=self._get, daemon=True)
        self.thread.start()

    def _get(self) -> None:
        with (
            suppress(OSError, HTTPException),  # what it did not get, `body` says
            urllib.request.urlopen(f"http://127.0.0.1:{self._port}/", timeout=10) as response,
        ):
            self.body = response.read()


def serving(application: Any, port: int) -> WebServer:
    server = WebServer(application, host="127.0.0.1", port=port, body_limit_bytes=1000)
    server.start()
    return server


def test_what_is_under_way_is_answered_in_full_and_nothing_new_is_taken() -> None:
    application, port = SlowApplication(), free_port()
    server = serving(application, port)
    under_way = Get(port)
    assert application.has_begun.wait(5)
    ended: list[bool] = []
    stopping = threading.Thread(target=lambda: ended.append(server.stop(timeout_seconds=5)))
    stopping.start()
    wait_until_refused(port)

    assert not ended, "it did not wait"
    application.may_answer.set()
    stopping.join(5)
    under_way.thread.join(5)

    assert ended == [True]
    assert len(under_way.body) == 300_000


def wait_until_refused(port: int) -> None:
    give_up_at = time.monotonic() + 5
    while time.monotonic() < give_up_at:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except ConnectionError:  # refused, or reset when it was just being closed
            return
        time.sleep(0.01)
    pytest.fail("it still accepts connections")


def test_it_does_not_wait_longer_than_it_may() -> None:
    application, port = SlowApplication(), free_port()
    server = serving(application, port)
    Get(port)
    assert application.has_begun.wait(5)
    began = time.monotonic()

    assert not server.stop(timeout_seconds=0.2)

    assert time.monotonic() - began < 2
    application.may_answer.set()


def test_an_idle_connection_does_not_hold_it_up() -> None:
    port = free_port()
    server = serving(SlowApplication(), port)
    with socket.create_connection(("127.0.0.1", port), timeout=5):
        began = time.monotonic()
        assert server.stop(timeout_seconds=5)
        assert time.monotonic() - began < 1


def test_a_port_in_use_is_named() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(PortUnavailable, match=f"Port {port} is in use.*PORT"):
            WebServer(SlowApplication(), host="127.0.0.1", port=port, body_limit_bytes=1)
