"""HTTP/2 receivers that flood, stall or break the protocol, frame by frame (RFC 9113, RFC 7541).

Raw bytes: a library that keeps the rules could not send these. `misbehaviours` has their rows.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from dispatcher.chaos.certificates import Authority
from dispatcher.chaos.threaded_server import Behaviour, Connection, ThreadedServer

_DATA, _HEADERS, _RST_STREAM, _SETTINGS, _PUSH_PROMISE = 0, 1, 3, 4, 5
_PING, _GOAWAY, _WINDOW_UPDATE, _CONTINUATION, _UNKNOWN = 6, 7, 8, 9, 200
_ACK, _END_HEADERS, _PADDED = 1, 4, 8

_STATUS_200 = b"\x88"  # of the static table
_REFUSED_STREAM = struct.pack("!I", 7)


def _frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    return struct.pack("!I", len(payload))[1:] + struct.pack("!BBI", kind, flags, stream) + payload


def _begin(
    connection: Connection, settings: bytes = b"", *, patience_seconds: float = 0.05
) -> None:
    """Read what comes first, give the request the time to come, and say hello."""
    connection.receive()
    connection.pause(patience_seconds)
    connection.send(_frame(_SETTINGS, 0, 0, settings) + _frame(_SETTINGS, _ACK, 0))


def _field(name: bytes, value: bytes, *, first: int = 0x10) -> bytes:
    """Return a header field that is written out; integers as in RFC 7541 5.1."""
    rest = len(value) - 127
    length = bytes([127]) if rest >= 0 else bytes([len(value)])
    while rest >= 0:
        length += bytes([rest & 127 | (128 if rest > 127 else 0)])
        rest = (rest >> 7) or -1
    return bytes([first, len(name)]) + name + length + value


def continuation_flood(connection: Connection) -> None:
    _begin(connection)
    connection.send(_frame(_HEADERS, 0, 1, _STATUS_200))
    block = _field(b"x-a", b"y" * 1000) * 10
    connection.send_for_ever(_frame(_CONTINUATION, 0, 1, block), every_seconds=0.05)


def empty_continuations(connection: Connection) -> None:
    _begin(connection)
    connection.send(_frame(_HEADERS, 0, 1, _STATUS_200))
    connection.send_for_ever(_frame(_CONTINUATION, 0, 1) * 1000)


def hpack_bomb(connection: Connection) -> None:
    """Put 3.9 kB into the dynamic table, and name them with one byte each from then on."""
    _begin(connection)
    big = _field(b"x-big", b"z" * 3900, first=0x40)
    connection.send(_frame(_HEADERS, 0, 1, _STATUS_200 + big))
    connection.send_for_ever(_frame(_CONTINUATION, 0, 1, b"\xbe" * 16000), every_seconds=0.05)


def endless_hints(connection: Connection) -> None:
    _begin(connection)
    hints = _field(b":status", b"103")
    connection.send_for_ever(_frame(_HEADERS, _END_HEADERS, 1, hints) * 500)


def settings_flood(connection: Connection) -> None:
    _begin(connection)
    connection.send_for_ever(_frame(_SETTINGS, 0, 0) * 1000)


def ping_flood(connection: Connection) -> None:
    _begin(connection)
    connection.send_for_ever(_frame(_PING, 0, 0, b"12345678") * 1000)


def window_flood(connection: Connection) -> None:
    _begin(connection)
    connection.send_for_ever(_frame(_WINDOW_UPDATE, 0, 0, struct.pack("!I", 1)) * 1000)


def unknown_frames(connection: Connection) -> None:
    _begin(connection)
    connection.send_for_ever(_frame(_UNKNOWN, 0, 0, b"x" * 16000), every_seconds=0.01)


def endless_padding(connection: Connection) -> None:
    _begin(connection)
    connection.send(_frame(_HEADERS, _END_HEADERS, 1, _STATUS_200))
    connection.send_for_ever(_frame(_DATA, _PADDED, 1, b"\xff" + bytes(255)))


def empty_data(connection: Connection) -> None:
    _begin(connection)
    connection.send(_frame(_HEADERS, _END_HEADERS, 1, _STATUS_200))
    connection.send_for_ever(_frame(_DATA, 0, 1) * 1000)


def retires_always(connection: Connection) -> None:
    """Say each time that the request was not taken: it may be sent again, for ever."""
    _begin(connection, patience_seconds=0)
    connection.send(_frame(_GOAWAY, 0, 0, bytes(8)))
    connection.pause()


def refuses_always(connection: Connection) -> None:
    _begin(connection, patience_seconds=0)
    connection.send(_frame(_RST_STREAM, 0, 1, _REFUSED_STREAM))
    connection.pause()


def no_window(connection: Connection) -> None:
    """Take no byte of a body."""
    _begin(connection, settings=struct.pack("!HI", 4, 0))
    connection.pause()


def pushes(connection: Connection) -> None:
    _begin(connection)
    promised = struct.pack("!I", 2) + _STATUS_200
    connection.send(_frame(_PUSH_PROMISE, _END_HEADERS, 1, promised))
    connection.pause()


HTTP2_FLOODS: dict[str, Behaviour] = {
    behaviour.__name__.replace("_", "-"): behaviour
    for behaviour in (
        continuation_flood,
        empty_continuations,
        hpack_bomb,
        endless_hints,
        settings_flood,
        ping_flood,
        window_flood,
        unknown_frames,
        endless_padding,
        empty_data,
        retires_always,
        refuses_always,
        no_window,
        pushes,
    )
}


@contextmanager
def http2_floods(authority: Authority) -> Iterator[dict[str, ThreadedServer]]:
    """Start a server for each, by name."""
    with ExitStack() as stack:
        tls = authority.server_context("127.0.0.1", alpn=("h2",))
        yield {
            name: stack.enter_context(ThreadedServer({}, tls=tls, on_connect=behaviour))
            for name, behaviour in HTTP2_FLOODS.items()
        }
