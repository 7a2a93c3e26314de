"""Receivers that never come to read a request: each has a port, since no path is asked for."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager

from dispatcher.chaos.threaded_server import Connection, ThreadedServer

_LOOPBACK = "127.0.0.1"


def _never_read(connection: Connection) -> None:
    connection.pause()


@contextmanager
def never_reading(*, host: str = _LOOPBACK, port: int = 0) -> Iterator[ThreadedServer]:
    """Accept connections and read nothing: no large body and no TLS handshake gets through."""
    with ThreadedServer(
        {}, on_connect=_never_read, receive_buffer_bytes=4096, host=host, port=port
    ) as server:
        yield server


@contextmanager
def refusing_port() -> Iterator[int]:
    """Give a port on which connections are refused."""
    with socket.socket() as bound_but_not_listening:
        bound_but_not_listening.bind((_LOOPBACK, 0))
        yield bound_but_not_listening.getsockname()[1]


@contextmanager
def black_hole(*, host: str = _LOOPBACK, port: int = 0) -> Iterator[int]:
    """Give a port on which connections are neither accepted nor refused: its queue is full."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(0)
        waiting = [socket.socket() for _ in range(4)]
        for each in waiting:
            each.setblocking(False)
            each.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]
        for each in waiting:
            each.close()
