"""A proxy on loopback that makes tunnels (CONNECT) for real, or fails as it is told to.

Threads and blocking sockets. It keeps the head of each request that it got, and what flowed through
it; tests of the egress proxy start it.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

ESTABLISHED = b"HTTP/1.1 200 Connection established\r\nVia: 1.1 proxy\r\n\r\n"
PATIENCE_SECONDS = 20.0


class ConnectProxy:
    """Answers each CONNECT with `answer`; makes the tunnel if that is a whole 200.

    An empty `answer` closes instead, and `is_silent` says nothing. `answer_for` chooses by whom the
    tunnel is for.
    """

    def __init__(
        self, answer: bytes = ESTABLISHED, *, host: str = "127.0.0.1", port: int = 0
    ) -> None:
        self.answer = answer
        self.is_silent = False
        self.answer_for: Callable[[str], bytes] = lambda _authority: self.answer
        self.heads: list[bytes] = []
        """Of each CONNECT, in order."""
        self.seen = bytearray()
        """What clients sent through their tunnels."""
        self._is_closing = threading.Event()
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._listener = socket.create_server((host, port), family=family, backlog=128)
        self.host = host
        self.port: int = self._listener.getsockname()[1]
        self.connections = 0
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def authorities(self) -> list[str]:
        """Return what each CONNECT asked for."""
        return [head.split(b" ")[1].decode() for head in self.heads]

    def close(self) -> None:
        if not self._is_closing.is_set():
            self._is_closing.set()
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
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return  # closed
            self.connections += 1
            client.settimeout(PATIENCE_SECONDS)
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, contextlib.suppress(OSError):
            head = _read_head(client)
            if not head:
                return
            self.heads.append(head)
            if self.is_silent:
                self._is_closing.wait(PATIENCE_SECONDS)
                return
            authority = head.split(b" ")[1].decode()
            answer = self.answer_for(authority)
            if answer.startswith(b"HTTP/1.1 200 ") and answer.endswith(b"\r\n\r\n"):
                self._tunnel(client, authority, answer)
            else:
                client.sendall(answer)

    def _tunnel(self, client: socket.socket, authority: str, answer: bytes) -> None:
        host, _, port = authority.rpartition(":")
        try:
            server = socket.create_connection((host.strip("[]"), int(port)), PATIENCE_SECONDS)
        except OSError as error:
            client.sendall(f"HTTP/1.1 503 {error.strerror}\r\nContent-Length: 0\r\n\r\n".encode())
            return
        with server:
            client.sendall(answer)
            back = threading.Thread(target=_pump, args=(server, client), daemon=True)
            back.start()
            _pump(client, server, seen=self.seen)
            back.join(PATIENCE_SECONDS)


def _read_head(client: socket.socket) -> bytes:
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        byte = client.recv(1)
        if not byte:
            return b""
        head += byte
    return head


def _pump(source: socket.socket, sink: socket.socket, *, seen: bytearray | None = None) -> None:
    """Pass on what comes until its end; then tell the other side of the end."""
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            if seen is not None:
                seen += data
            sink.sendall(data)
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_WR)
