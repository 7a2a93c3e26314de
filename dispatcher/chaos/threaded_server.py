"""An HTTP/1.1 server on loopback whose answers are written byte by byte, by what is given to it.

Threads and blocking sockets, so that a behaviour reads like what goes over the wire. It keeps each
request as it came. `hostile_receiver` gives it its behaviours.
"""

from __future__ import annotations

import contextlib
import itertools
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

PATIENCE_SECONDS = 20.0
"""How long a behaviour goes on where nobody stops it: longer than any test waits."""

KEEP = True
"""What a behaviour returns when the connection serves further requests."""


class GoneError(Exception):
    """The other side has gone, or the server is closing."""


@dataclass(frozen=True)
class Received:
    """A request as it arrived."""

    path: str
    head: bytes
    """Request line and headers, with the blank line."""
    body: bytes
    connection: int
    """Numbers the server's connections from 1."""
    at: float = field(default_factory=time.monotonic)

    @property
    def header_lines(self) -> list[bytes]:
        return self.head.split(b"\r\n")[1:-2]

    @property
    def headers(self) -> dict[str, str]:
        """By name, in lower case."""
        pairs = (line.decode().split(": ", 1) for line in self.header_lines)
        return {name.lower(): value for name, value in pairs}


class Connection:
    """One accepted connection, in the words that behaviours use."""

    def __init__(self, server: ThreadedServer, accepted: socket.socket, number: int) -> None:
        self._server = server
        self._socket = accepted
        self.number = number
        self._unread = b""
        self.path = ""
        """Of the request that is being answered."""

    def read_request(self) -> Received:
        """Read a request to its end and keep it; raises `GoneError` when there is none."""
        while b"\r\n\r\n" not in self._unread:
            self._unread += self.receive()
        head, self._unread = self._unread.split(b"\r\n\r\n", 1)
        length = _content_length(head)
        request_line = head.split(b" ", 2)
        if len(request_line) < 3:
            raise GoneError  # not a request
        self.path = request_line[1].decode("latin-1")
        if self.behaviour_name in self._server.answered_early:
            length = 0
        while len(self._unread) < length:
            self._unread += self.receive()
        body, self._unread = self._unread[:length], self._unread[length:]
        received = Received(self.path, head + b"\r\n\r\n", body, self.number)
        self._server.note(received)
        return received

    @property
    def behaviour_name(self) -> str:
        """The first part of the path; what follows is the test's own."""
        return self.path.split("?")[0].strip("/").split("/")[0]

    @property
    def number_in_path(self) -> int:
        """What follows the path's last slash; 10 million at most, so that no request costs more."""
        text = self.path.rsplit("/", 1)[-1]
        return min(int(text), 10_000_000) if text.isdecimal() else 0

    def receive(self) -> bytes:
        data = self._socket.recv(65536)
        if not data:
            raise GoneError
        return data

    def send(self, data: bytes) -> None:
        self._socket.sendall(data)

    def send_for_ever(self, data: bytes, *, every_seconds: float = 0.0) -> None:
        while True:
            self.send(data)
            self.pause(every_seconds)

    def drip(self, data: bytes, *, every_seconds: float = 0.05) -> None:
        """Send byte by byte."""
        for number in data:
            self.send(bytes([number]))
            self.pause(every_seconds)

    def pause(self, seconds: float = PATIENCE_SECONDS) -> None:
        """Wait, but not for longer than the server is there."""
        if self._server.is_closing.wait(seconds):
            raise GoneError

    def reset(self) -> None:
        """End the connection with a RST instead of a FIN."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        raise GoneError


Behaviour = Callable[[Connection], object]
"""Answers the request that was just read; the connection is closed unless it returns `KEEP`."""


class ThreadedServer:
    """Listens on a port of its own; with a TLS context, for TLS only.

    `on_connect` replaces reading requests altogether. Paths in `answered_early` are answered before
    the body was read.
    """

    def __init__(
        self,
        behaviours: Mapping[str, Behaviour],
        *,
        tls: ssl.SSLContext | None = None,
        on_connect: Behaviour | None = None,
        answered_early: frozenset[str] = frozenset(),
        host: str = "127.0.0.1",
        port: int = 0,
        receive_buffer_bytes: int | None = None,
        is_dual_stack: bool = False,
    ) -> None:
        self._behaviours = behaviours
        self._tls = tls
        self._on_connect = on_connect
        self.answered_early = answered_early
        self.requests: list[Received] = []
        self.connections = 0
        self.is_closing = threading.Event()
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._listener = socket.create_server(
            (host, port), family=family, backlog=512, dualstack_ipv6=is_dual_stack
        )
        if receive_buffer_bytes:  # accepted sockets inherit it
            self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer_bytes)
        self.port: int = self._listener.getsockname()[1]
        self.origin = (
            f"http{'s' if tls else ''}://{f'[{host}]' if ':' in host else host}:{self.port}"
        )
        threading.Thread(target=self._accept, daemon=True).start()

    def note(self, received: Received) -> None:
        """Take note of a request that has arrived."""
        self.requests.append(received)

    def requests_for(self, path: str) -> list[Received]:
        """Return what arrived for one path, in order."""
        return [received for received in self.requests if received.path == path]

    def close(self) -> None:
        if self.is_closing.is_set():
            return
        self.is_closing.set()
        # A thread that is inside of accept() keeps the listener open unless it is shut down.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _accept(self) -> None:
        for number in itertools.count(1):
            try:
                accepted, _ = self._listener.accept()
            except OSError:
                return  # closed
            self.connections = number
            accepted.settimeout(PATIENCE_SECONDS)
            threading.Thread(target=self._serve, args=(accepted, number), daemon=True).start()

    def _serve(self, accepted: socket.socket, number: int) -> None:
        try:
            with accepted:
                if self._tls is None:
                    self._talk(Connection(self, accepted, number))
                else:
                    with self._tls.wrap_socket(
                        accepted, server_side=True, do_handshake_on_connect=False
                    ) as secured:
                        _shake_hands(secured)
                        self._talk(Connection(self, secured, number))
        except (GoneError, OSError):
            return  # that is how connections end here

    def _talk(self, connection: Connection) -> None:
        if self._on_connect is not None:
            self._on_connect(connection)
            return
        keeps = True
        while keeps:
            connection.read_request()
            keeps = self._behaviours[connection.behaviour_name](connection) is KEEP


def _shake_hands(secured: ssl.SSLSocket) -> None:
    """Begin TLS; where that fails, let the other side read why before it is hung up on.

    With TLS 1.3 it may be sending already: closing over unread bytes is a RST, and our alert lost.
    """
    try:
        secured.do_handshake()
    except ssl.SSLError:
        secured.settimeout(1.0)
        with contextlib.suppress(OSError):
            socket.socket.shutdown(secured, socket.SHUT_WR)
            while socket.socket.recv(secured, 65536):
                pass
        raise


def _content_length(head: bytes) -> int:
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length" and value.strip().isdigit():
            return int(value)
    return 0
