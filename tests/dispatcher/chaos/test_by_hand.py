"""The hostile receiver, run by hand: its page says what happens, and that is what happens."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from django.conf import settings

from dispatcher.chaos.by_hand import chaos
from dispatcher.chaos.misbehaviour import MISBEHAVIOURS
from dispatcher.chaos.tls import TLS_MISBEHAVIOURS
from tests.deliveries.sending.misbehaviours import ROWS
from tests.deliveries.sending.transports import TRANSPORTS
from tests.outbound import request_to, send_one

PORTS = 3 + len(TLS_MISBEHAVIOURS)


def free_ports() -> int:
    """Find a port that is free, as those after it are."""
    for first in range(20_000, 30_000, PORTS):
        taken = False
        for port in range(first, first + PORTS):
            with socket.socket() as trying:
                taken = taken or trying.connect_ex(("127.0.0.1", port)) == 0
        if not taken:
            return first
    raise AssertionError("no free ports")


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def port(tmp_path: Path, said: list[str]) -> Iterator[int]:
    port = free_ports()
    with chaos(host="127.0.0.1", port=port, folder=tmp_path, say=said.append):
        yield port


def rows_of(port: int) -> dict[str, str]:
    """Read the page: URLs and outcomes."""
    page = requests.get(f"http://127.0.0.1:{port}/", timeout=5).text
    rows = [line.split() for line in page.splitlines() if line.startswith("http")]
    return {row[0]: row[1] for row in rows}


def test_the_page_lists_every_misbehaviour_with_what_comes_of_it(port: int) -> None:
    rows = rows_of(port)
    assert len(rows) == len(MISBEHAVIOURS) + 2 + len(TLS_MISBEHAVIOURS)
    assert rows[f"http://127.0.0.1:{port}/hang"] == "timeout"
    assert rows[f"http://127.0.0.1:{port}/headers-of/16385"] == "response_too_large"
    assert [url for url in rows if url.startswith("https:")]


def test_the_page_and_the_table_that_transports_are_held_to_agree() -> None:
    due = {row.path: row.outcome for row in ROWS}
    # These two take two requests, and have tests of their own.
    said = {each.path: each.outcome for each in MISBEHAVIOURS.values()}
    others = {"dies-when-reused", "closes-silently", "ok", "slow", "sets-cookie"}
    assert {path: due[path] for path in said if path not in others} == {
        path: outcome for path, outcome in said.items() if path not in others
    }
    assert all(each.does.endswith(".") for each in MISBEHAVIOURS.values())


@pytest.mark.parametrize("name", sorted(TRANSPORTS))
def test_what_the_page_says_is_what_happens(port: int, name: str) -> None:
    transport = TRANSPORTS[name]()
    rows = rows_of(port)
    for url, outcome in rows.items():
        if url.startswith("https:") or url.endswith(("/hang", "/two-lengths", "/nasty-body")):
            exchange = send_one(transport, request_to(url), deadline_seconds=0.5)
            assert exchange.outcome == outcome, exchange
    transport.close()


def test_requests_are_told_on_a_line_and_not_kept(port: int, said: list[str]) -> None:
    requests.post(f"http://127.0.0.1:{port}/ok?x=1", data=b"12345", timeout=5)
    with socket.create_connection(("127.0.0.1", port), timeout=5) as odd:
        odd.sendall(b"GET /\x1b[31m\xff HTTP/1.1\r\n\r\n")
        assert odd.recv(100).startswith(b"HTTP/1.1 404")
    assert said[0] == "'/ok?x=1'  5 bytes"
    assert all(line.isprintable() for line in said)


def test_an_unknown_path_and_what_is_no_request_harm_nobody(port: int) -> None:
    url = f"http://127.0.0.1:{port}"
    assert requests.get(f"{url}/unknown", timeout=5).status_code == 404
    with socket.create_connection(("127.0.0.1", port), timeout=5) as odd:
        odd.sendall(b"x\r\n\r\n")
        assert odd.recv(100) == b""
    for path in ("body-of/x", "body-of/-1", "status/0", "busy/"):
        assert requests.get(f"{url}/{path}", timeout=5).status_code in {200, 503}
    assert len(requests.get(f"{url}/body-of/99999999999", timeout=20).content) == 10_000_000


# ---- The command ---------------------------------------------------------------------------------


def start(port: int) -> subprocess.Popen[str]:
    command = [sys.executable, "manage.py", "chaos_receiver", "--port", str(port)]
    return subprocess.Popen(
        command, cwd=settings.BASE_DIR, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def test_the_command_runs_until_it_is_stopped() -> None:
    port = free_ports()
    process = start(port)
    try:
        assert process.stdout is not None
        greeting = [process.stdout.readline() for _ in range(3)]
        assert f"http://127.0.0.1:{port}/" in greeting[0]
        assert "DISPATCHER_ALLOWED_NETWORKS=127.0.0.1/32" in greeting[2]
        assert requests.get(f"http://127.0.0.1:{port}/ok", timeout=5).text == "ok"
        process.send_signal(signal.SIGTERM)
        output, errors = process.communicate(timeout=20)
    finally:
        process.kill()
    assert process.returncode == 0, errors
    assert output == "'/ok'  0 bytes\n"


def test_a_port_that_is_taken_is_said_in_a_sentence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        process = start(taken.getsockname()[1])
        began_at = time.monotonic()
        _, errors = process.communicate(timeout=60)
        assert time.monotonic() - began_at < 60
    assert process.returncode == 1
    assert "cannot listen on 127.0.0.1" in errors
    assert "Traceback" not in errors
