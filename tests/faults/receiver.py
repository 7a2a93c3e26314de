"""The receiver: a process that logs each request, verifies it, and behaves as it is told.

    python -m tests.faults.receiver PORT INSTRUCTIONS LOG

`INSTRUCTIONS` is a JSON file, `{path: {"secrets": […], "behaviour": {…}}}`; `GET /-/reload` reads
it again. `LOG` gets a line per request as it arrives and another when it was answered, which
`receipts` reads. Knows nothing of the product but Standard Webhooks.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import socket
import struct
import sys
import time
from pathlib import Path
from typing import IO, Any

from standardwebhooks import Webhook, WebhookVerificationError

_RELOAD = "/-/reload"
_COUNTER = itertools.count(1)


class Desk:
    """What the receiver was told, and where it writes down what it saw."""

    def __init__(self, instructions: Path, log: IO[str]) -> None:
        self._file = instructions
        self._log = log
        self._told: dict[str, dict[str, Any]] = {}
        self._verifiers: dict[str, list[Webhook]] = {}
        self.reload()

    def reload(self) -> None:
        """Read the instructions again; they are in force for what arrives from now on."""
        self._told = json.loads(self._file.read_text())
        self._verifiers = {
            path: [Webhook(secret) for secret in told.get("secrets", ())]
            for path, told in self._told.items()
        }

    def behaviour(self, path: str) -> dict[str, Any]:
        """Return how to answer requests for a path."""
        found: dict[str, Any] = self._told.get(path, {}).get("behaviour", {})
        return found

    def note(self, **line: Any) -> None:
        """Write a line to the log, at once: the rig may read, or kill us, at any time."""
        self._log.write(json.dumps(line, separators=(",", ":")) + "\n")
        self._log.flush()

    def complaint(self, path: str, headers: dict[str, str], body: bytes) -> str:
        """Say what is wrong with a signature; empty when one of the path's secrets verifies."""
        words = "no secret for this path"
        for verifier in self._verifiers.get(path, ()):
            try:
                verifier.verify(body, headers)
                return ""
            except WebhookVerificationError as error:
                words = str(error)
        return words


class Conversation(asyncio.Protocol):
    """One connection; requests are answered in order, one at a time."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._unread = b""
        self._answering: asyncio.Task[None] | None = None
        self._transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        _ = exc  # what we owe the log, we note when we would have answered

    def data_received(self, data: bytes) -> None:
        self._unread += data
        self._read_on()

    def _read_on(self) -> None:
        if self._answering and not self._answering.done():
            return
        head, blank, rest = self._unread.partition(b"\r\n\r\n")
        if not blank:
            return
        headers = _headers(head)
        length = int(headers.get("content-length", "0"))
        if len(rest) < length:
            return
        body, self._unread = rest[:length], rest[length:]
        path = head.split(b" ", 2)[1].decode("latin-1")
        if path == _RELOAD:
            self._desk.reload()
            self._transport.write(b"HTTP/1.1 204 No Content\r\n\r\n")
            return
        number = next(_COUNTER)
        self._desk.note(
            kind="request",
            n=number,
            at=time.monotonic(),
            wall=time.time(),
            path=path,
            head=head.decode("latin-1"),
            body=body.decode("latin-1"),
            complaint=self._desk.complaint(path, headers, body),
        )
        self._answering = asyncio.ensure_future(self._answer(number, self._desk.behaviour(path)))
        self._answering.add_done_callback(lambda _: self._read_on())

    async def _answer(self, number: int, behaviour: dict[str, Any]) -> None:
        """Do as told; note the answer even when nobody waits for it any more: the work was done."""
        await asyncio.sleep(behaviour.get("delay_seconds", 0))
        kind = behaviour.get("kind", "answer")
        if kind == "hang":
            return
        if kind == "reset":
            _reset(self._transport)
            return
        status = behaviour.get("status", 204)
        is_heard = not self._transport.is_closing()
        self._desk.note(kind="answer", n=number, at=time.monotonic(), status=status, heard=is_heard)
        self._transport.write(_response(status, behaviour.get("headers", {})))


def _headers(head: bytes) -> dict[str, str]:
    pairs = (line.partition(":") for line in head.decode("latin-1").split("\r\n")[1:])
    return {name.lower(): value.strip() for name, _, value in pairs}


def _response(status: int, headers: dict[str, str]) -> bytes:
    lines = (
        [f"HTTP/1.1 {status} As told", "Content-Length: 0"]
        if status != 204
        else ["HTTP/1.1 204 No Content"]
    )
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def _reset(transport: Any) -> None:
    """End with a RST instead of a FIN."""
    transport.get_extra_info("socket").setsockopt(
        socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
    )
    transport.abort()


async def _serve(port: int, desk: Desk) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: Conversation(desk), "127.0.0.1", port, backlog=1024, reuse_address=True
    )
    async with server:
        await server.serve_forever()


def main() -> None:
    """Serve until killed."""
    port, instructions, log = sys.argv[1:]
    with Path(log).open("a", encoding="utf-8") as output:
        asyncio.run(_serve(int(port), Desk(Path(instructions), output)))


if __name__ == "__main__":
    main()
