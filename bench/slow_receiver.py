"""The receiver that misbehaves, and that tells when each request came: asyncio, on loopback.

    python -m bench.slow_receiver PORT ARRIVALS

What a path begins with decides: `/ok` answers 204 at once, `/busy` after 0.8 s, `/fail` 500; after
a request for `/-/trouble` `/hang` never answers and `/late` after 4.5 s, until then they are as
`/ok`. Each request's arrival goes to the file ARRIVALS, a line each, for `SlowReceiver` to read.
"""

from __future__ import annotations

import asyncio
import re
import sys
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from bench.environment import unwatched
from tests.faults.processes import Program
from tests.faults.receipts import free_port
from tests.faults.stack import eventually, status_of

LATE_SECONDS = 4.5
"""Half a second before a request's deadline."""

BUSY_SECONDS = 0.8
"""Not so long that a subscription would count as struggling."""

_FLUSH_SECONDS = 0.1
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_ID = re.compile(rb"\r\nwebhook-id: *evt_([0-9a-f]{32})", re.IGNORECASE)
_NO_CONTENT = b"HTTP/1.1 204 No Content\r\n\r\n"
_ERROR = b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Arrival:
    """A request, when the last byte of it was there."""

    at: float
    """On the machine's monotonic clock."""
    path: str
    event_id: str
    """In hex digits."""


class _State:
    def __init__(self, arrivals: TextIO) -> None:
        self.arrivals = arrivals
        self.is_in_trouble = False


class _Connection(asyncio.Protocol):
    def __init__(self, state: _State) -> None:
        self._state = state
        self._unread = b""
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._unread += data
        head, blank, body = self._unread.partition(b"\r\n\r\n")
        length = _LENGTH.search(head)
        if not blank or len(body) < (int(length[1]) if length else 0):
            return
        self._unread = b""
        path = head.split(b" ", 2)[1]
        if path == b"/-/trouble":
            self._state.is_in_trouble = True
        elif found := _ID.search(head):
            line = f"{time.monotonic()} {path.decode()} {found[1].decode()}\n"
            self._state.arrivals.write(line)
        self._answer(path)

    def _answer(self, path: bytes) -> None:
        if path.startswith(b"/fail"):
            self._transport.write(_ERROR)
        elif path.startswith(b"/busy"):
            self._answer_in(BUSY_SECONDS)
        elif not self._state.is_in_trouble or not path.startswith((b"/hang", b"/late")):
            self._transport.write(_NO_CONTENT)
        elif path.startswith(b"/late"):
            self._answer_in(LATE_SECONDS)

    def _answer_in(self, seconds: float) -> None:
        asyncio.get_running_loop().call_later(seconds, self._transport.write, _NO_CONTENT)


async def _serve(port: int, file: str) -> None:
    loop = asyncio.get_running_loop()
    with Path(file).open("w") as arrivals:
        state = _State(arrivals)
        await loop.create_server(lambda: _Connection(state), "127.0.0.1", port, backlog=4096)
        while True:
            await asyncio.sleep(_FLUSH_SECONDS)
            arrivals.flush()


class SlowReceiver:
    """Such a receiver as a process, and what arrived there."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.origin = f"http://127.0.0.1:{self.port}"
        self._file = folder / "arrivals"
        self._offset = 0
        self.program = Program(
            "slow-receiver",
            [sys.executable, "-m", "bench.slow_receiver", str(self.port), str(self._file)],
            environment=unwatched(),
            folder=folder,
        )

    def start(self) -> None:
        """Start it and wait until it answers; it ends with us, or when its program is killed."""
        self.program.start()
        eventually(lambda: status_of(self.origin, "/ok") == 204, "it answers", within_seconds=20)

    def make_trouble(self) -> None:
        """From now on let `/hang` hang and `/late` be late."""
        urllib.request.urlopen(f"{self.origin}/-/trouble", timeout=5).close()  # noqa: S310

    def take_arrivals(self) -> list[Arrival]:
        """Return what arrived since the last call."""
        time.sleep(2 * _FLUSH_SECONDS)
        with self._file.open() as file:
            file.seek(self._offset)
            lines = file.readlines()
            if lines and not lines[-1].endswith("\n"):
                lines.pop()  # half of it is still to be flushed
            self._offset += sum(map(len, lines))  # all of it is ASCII
        return [_arrival(line) for line in lines]


def _arrival(line: str) -> Arrival:
    at, path, event_id = line.split()
    return Arrival(float(at), path, event_id)


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1]), sys.argv[2]))
