"""A receiver on loopback that misbehaves as the path of the request asks it to.

`HostileReceiver().origin + "/hang"` never answers, and so on: the names are those of the functions
below, with dashes. What happens before any request (black holes and the like) are servers of their
own, at the end.
"""

from __future__ import annotations

import gzip
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager

from tests.threaded_server import KEEP, Behaviour, Connection, ThreadedServer

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
_BLOCK = b"x" * 65536
_GZIP_BOMB = gzip.compress(bytes(50_000_000))


def ok(connection: Connection) -> object:
    connection.send(OK)
    return KEEP


def slow(connection: Connection) -> object:
    connection.pause(0.3)
    connection.send(OK)
    return KEEP


def server_error(connection: Connection) -> object:
    connection.send(b"HTTP/1.1 500 Oops\r\nContent-Length: 5\r\n\r\noops!")
    return KEEP


def sets_cookie(connection: Connection) -> object:
    connection.send(b"HTTP/1.1 200 OK\r\nSet-Cookie: a=b\r\nContent-Length: 0\r\n\r\n")
    return KEEP


def redirect(connection: Connection) -> object:
    connection.send(
        b"HTTP/1.1 307 Elsewhere\r\nLocation: /ok/redirected\r\nContent-Length: 0\r\n\r\n"
    )
    return KEEP


def body_of(connection: Connection) -> object:
    """`/body-of/16384`: as many bytes."""
    length = int(connection.path.rsplit("/", 1)[1])
    connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % length + b"y" * length)
    return KEEP


def headers_of(connection: Connection) -> object:
    """`/headers-of/16384`: a header block of as many bytes, the blank line included."""
    wanted = int(connection.path.rsplit("/", 1)[1])
    start, end = b"HTTP/1.1 200 OK\r\nX-Long: ", b"\r\nContent-Length: 0\r\n\r\n"
    connection.send(start + b"y" * (wanted - len(start + end)) + end)
    return KEEP


# ---- Time --------------------------------------------------------------------------------------


def hang(connection: Connection) -> None:
    connection.pause()


def drip_status_line(connection: Connection) -> None:
    connection.drip(OK, every_seconds=0.2)


def drip_headers(connection: Connection) -> None:
    connection.send(b"HTTP/1.1 200 OK\r\n")
    connection.send_for_ever(b"X-A: y\r\n", every_seconds=0.05)


def drip_body(connection: Connection) -> None:
    connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    connection.drip(b"x" * 1000)


def drip_body_of_error(connection: Connection) -> None:
    connection.send(b"HTTP/1.1 503 Busy\r\nContent-Length: 1000\r\n\r\n")
    connection.drip(b"x" * 1000)


def slow_endless_100(connection: Connection) -> None:
    connection.send_for_ever(b"HTTP/1.1 100 Continue\r\n\r\n", every_seconds=0.05)


def no_length_kept_open(connection: Connection) -> None:
    connection.send(b"HTTP/1.1 200 OK\r\n\r\nhello")
    connection.pause()


# ---- Size --------------------------------------------------------------------------------------


def endless_body(connection: Connection) -> None:
    connection.send(b"HTTP/1.1 200 OK\r\n\r\n")
    connection.send_for_ever(_BLOCK)


def gigabyte_body(connection: Connection) -> None:
    connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n")
    connection.send_for_ever(_BLOCK)


def endless_chunks(connection: Connection) -> None:
    connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    connection.send_for_ever(b"10000\r\n" + _BLOCK + b"\r\n")


def redirect_with_endless_body(connection: Connection) -> None:
    connection.send(b"HTTP/1.1 302 Found\r\nLocation: /ok/redirected\r\n\r\n")
    connection.send_for_ever(_BLOCK)


def fast_endless_100(connection: Connection) -> None:
    connection.send_for_ever(b"HTTP/1.1 100 Continue\r\n\r\n" * 100)


def many_headers(connection: Connection) -> None:
    connection.send(b"HTTP/1.1 200 OK\r\n")
    connection.send_for_ever(b"X-A: y\r\n" * 1000)


def giant_header(connection: Connection) -> None:
    connection.send(b"HTTP/1.1 200 OK\r\nX-A: ")
    connection.send_for_ever(_BLOCK)


def trailer_bomb(connection: Connection) -> None:
    connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n")
    connection.send_for_ever(b"X-A: y\r\n" * 1000)


def gzip_bomb(connection: Connection) -> None:
    connection.send(
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(_GZIP_BOMB)
    )
    connection.send(_GZIP_BOMB)
    connection.pause(0.3)


# ---- Form --------------------------------------------------------------------------------------


def hints_then_ok(connection: Connection) -> object:
    connection.send(b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n")
    connection.pause(0.1)
    connection.send(OK)
    return KEEP


def switching_protocols(connection: Connection) -> None:
    connection.send(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n")
    connection.pause()


def no_content_with_body(connection: Connection) -> None:
    connection.send(b"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nhello")
    connection.pause(0.1)


def status_999(connection: Connection) -> None:
    connection.send(b"HTTP/1.1 999 Weird\r\nContent-Length: 0\r\n\r\n")


def status_20(connection: Connection) -> None:
    connection.send(b"HTTP/1.1 20 Weird\r\nContent-Length: 0\r\n\r\n")


def http_2_status_line(connection: Connection) -> None:
    """Speak HTTP/1.1, and call it HTTP/2."""
    connection.send(b"HTTP/2 200\r\nContent-Length: 2\r\n\r\nok")


def folded_first_header(connection: Connection) -> None:
    connection.send(b"HTTP/1.1 200 OK\r\n folded\r\nContent-Length: 2\r\n\r\nok")


def negative_chunk(connection: Connection) -> None:
    connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-2\r\nok\r\n0\r\n\r\n")
    connection.pause()


def http_09(connection: Connection) -> None:
    connection.send(b"hello, here is no header\n")


def not_http(connection: Connection) -> None:
    connection.send(b"SSH-2.0-OpenSSH_9.2\r\n")


def bad_chunks(connection: Connection) -> None:
    connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\nabc")
    connection.pause(0.2)


def two_lengths(connection: Connection) -> None:
    connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 5\r\n\r\nokokok")
    connection.pause(0.2)


def nul_in_header(connection: Connection) -> None:
    connection.send(b"HTTP/1.1 200 OK\r\nX-A: a\x00b\r\nContent-Length: 2\r\n\r\nok")
    connection.pause(0.2)


def not_utf8(connection: Connection) -> None:
    connection.send(b"HTTP/1.1 200 \xff\xfe\r\nX-A: \xff\xfe\x1b[31m\r\nContent-Length: 2\r\n\r\n")
    connection.send(b"\xff\x00")


def cut_in_status_line(connection: Connection) -> None:
    connection.send(b"HTTP/1.1 200")


def cut_in_headers(connection: Connection) -> None:
    connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n")


def cut_before_blank_line(connection: Connection) -> None:
    connection.send(b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nX-A: 1\r\n\r")


def cut_before_trailers(connection: Connection) -> None:
    connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n")


def cut_in_body(connection: Connection) -> None:
    connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nok")


# ---- Connections -------------------------------------------------------------------------------


def close_at_once(_connection: Connection) -> None:
    return


def reset(connection: Connection) -> None:
    connection.reset()


def reset_in_body(connection: Connection) -> None:
    connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nok")
    connection.pause(0.1)
    connection.reset()


def early_413(connection: Connection) -> None:
    """Answer before the body was read, and close."""
    connection.send(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
    connection.pause(0.3)


def early_413_kept_open(connection: Connection) -> None:
    """Answer before the body was read, and neither read it nor close."""
    connection.send(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")
    connection.pause()


def dies_when_reused(connection: Connection) -> None:
    """Answer once, then read a second request to its end and close without a word."""
    connection.send(OK)
    connection.read_request()


def closes_silently(connection: Connection) -> None:
    """Answer as if the connection stayed, and close it."""
    connection.send(OK)


BEHAVIOURS: dict[str, Behaviour] = {
    behaviour.__name__.replace("_", "-"): behaviour
    for behaviour in (
        ok,
        slow,
        server_error,
        sets_cookie,
        redirect,
        body_of,
        headers_of,
        hang,
        drip_status_line,
        drip_headers,
        drip_body,
        drip_body_of_error,
        slow_endless_100,
        no_length_kept_open,
        endless_body,
        gigabyte_body,
        endless_chunks,
        redirect_with_endless_body,
        fast_endless_100,
        many_headers,
        giant_header,
        trailer_bomb,
        gzip_bomb,
        hints_then_ok,
        switching_protocols,
        no_content_with_body,
        status_999,
        status_20,
        http_2_status_line,
        folded_first_header,
        negative_chunk,
        http_09,
        not_http,
        bad_chunks,
        two_lengths,
        nul_in_header,
        not_utf8,
        cut_in_status_line,
        cut_in_headers,
        cut_before_blank_line,
        cut_before_trailers,
        cut_in_body,
        close_at_once,
        reset,
        reset_in_body,
        early_413,
        early_413_kept_open,
        dies_when_reused,
        closes_silently,
    )
}


class HostileReceiver(ThreadedServer):
    """All of the above, on one port."""

    def __init__(
        self, *, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1", port: int = 0
    ) -> None:
        super().__init__(
            BEHAVIOURS,
            tls=tls,
            host=host,
            port=port,
            answered_early=frozenset({"early-413", "early-413-kept-open"}),
        )


def _never_read(connection: Connection) -> None:
    connection.pause()


@contextmanager
def never_reading() -> Iterator[ThreadedServer]:
    """Accept connections and read nothing: no large body and no TLS handshake gets through."""
    with ThreadedServer({}, on_connect=_never_read, receive_buffer_bytes=4096) as server:
        yield server


@contextmanager
def refusing_port() -> Iterator[int]:
    """Give a port on which connections are refused."""
    with socket.socket() as bound_but_not_listening:
        bound_but_not_listening.bind(("127.0.0.1", 0))
        yield bound_but_not_listening.getsockname()[1]


@contextmanager
def black_hole() -> Iterator[int]:
    """Give a port on which connections are neither accepted nor refused: its queue is full."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        waiting = [socket.socket() for _ in range(4)]
        for each in waiting:
            each.setblocking(False)
            each.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]
        for each in waiting:
            each.close()
