"""Answers that are plain, too slow or too large; the path of a request names one.

`hostile_receiver` serves them. The names are those of the functions, with dashes.
"""

from __future__ import annotations

import gzip

from dispatcher.chaos.misbehaviour import comes_to
from dispatcher.chaos.threaded_server import KEEP, Connection

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
_BLOCK = b"x" * 65536
_GZIP_BOMB = gzip.compress(bytes(50_000_000))


@comes_to("succeeded")
def ok(connection: Connection) -> object:
    """Answer 200, and keep the connection."""
    connection.send(OK)
    return KEEP


@comes_to("succeeded")
def slow(connection: Connection) -> object:
    """Answer 200 after 0.3 s."""
    connection.pause(0.3)
    connection.send(OK)
    return KEEP


@comes_to("http_error")
def server_error(connection: Connection) -> object:
    """Answer 500."""
    connection.send(b"HTTP/1.1 500 Oops\r\nContent-Length: 5\r\n\r\noops!")
    return KEEP


@comes_to("http_error", example="/404")
def status(connection: Connection) -> object:
    """Answer with this status."""
    number = min(max(connection.number_in_path, 200), 999)
    connection.send(b"HTTP/1.1 %d As asked\r\nContent-Length: 0\r\n\r\n" % number)
    return KEEP


@comes_to("http_error")
def gone(connection: Connection) -> object:
    """Answer 410: the subscription is deactivated at once."""
    connection.send(b"HTTP/1.1 410 Gone\r\nContent-Length: 0\r\n\r\n")
    return KEEP


@comes_to("http_error", example="/600")
def busy(connection: Connection) -> object:
    """Answer 503, and ask for this many seconds of patience; retry schedules heed it."""
    seconds = connection.number_in_path
    connection.send(b"HTTP/1.1 503 Busy\r\nRetry-After: %d\r\nContent-Length: 0\r\n\r\n" % seconds)
    return KEEP


@comes_to("succeeded")
def sets_cookie(connection: Connection) -> object:
    """Set a cookie, which must not come back."""
    connection.send(b"HTTP/1.1 200 OK\r\nSet-Cookie: a=b\r\nContent-Length: 0\r\n\r\n")
    return KEEP


@comes_to("http_error")
def redirect(connection: Connection) -> object:
    """Answer 307; nobody may follow."""
    connection.send(
        b"HTTP/1.1 307 Elsewhere\r\nLocation: /ok/redirected\r\nContent-Length: 0\r\n\r\n"
    )
    return KEEP


@comes_to("succeeded", example="/16385")
def body_of(connection: Connection) -> object:
    """Send a body of as many bytes."""
    length = connection.number_in_path
    connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % length + b"y" * length)
    return KEEP


@comes_to("response_too_large", example="/16385")
def headers_of(connection: Connection) -> object:
    """Send a header block of as many bytes, the blank line included."""
    wanted = connection.number_in_path
    start, end = b"HTTP/1.1 200 OK\r\nX-Long: ", b"\r\nContent-Length: 0\r\n\r\n"
    connection.send(start + b"y" * (wanted - len(start + end)) + end)
    return KEEP


# ---- Time --------------------------------------------------------------------------------------


@comes_to("timeout")
def hang(connection: Connection) -> None:
    """Never answer."""
    connection.pause()


@comes_to("timeout")
def drip_status_line(connection: Connection) -> None:
    """Send the answer byte by byte, five a second."""
    connection.drip(OK, every_seconds=0.2)


@comes_to("timeout")
def drip_headers(connection: Connection) -> None:
    """Send one header after the other, without end."""
    connection.send(b"HTTP/1.1 200 OK\r\n")
    connection.send_for_ever(b"X-A: y\r\n", every_seconds=0.05)


@comes_to("succeeded")
def drip_body(connection: Connection) -> None:
    """Send the body byte by byte."""
    connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    connection.drip(b"x" * 1000)


@comes_to("http_error")
def drip_body_of_error(connection: Connection) -> None:
    """Answer 503, and send the body byte by byte."""
    connection.send(b"HTTP/1.1 503 Busy\r\nContent-Length: 1000\r\n\r\n")
    connection.drip(b"x" * 1000)


@comes_to("timeout")
def slow_endless_100(connection: Connection) -> None:
    """Send `100 Continue` again and again."""
    connection.send_for_ever(b"HTTP/1.1 100 Continue\r\n\r\n", every_seconds=0.05)


@comes_to("succeeded")
def no_length_kept_open(connection: Connection) -> None:
    """Send a body without a length, and never close."""
    connection.send(b"HTTP/1.1 200 OK\r\n\r\nhello")
    connection.pause()


# ---- Size --------------------------------------------------------------------------------------


@comes_to("succeeded")
def endless_body(connection: Connection) -> None:
    """Send a body without end."""
    connection.send(b"HTTP/1.1 200 OK\r\n\r\n")
    connection.send_for_ever(_BLOCK)


@comes_to("succeeded")
def gigabyte_body(connection: Connection) -> None:
    """Announce a gigabyte, and send it."""
    connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n")
    connection.send_for_ever(_BLOCK)


@comes_to("succeeded")
def endless_chunks(connection: Connection) -> None:
    """Send chunks without end."""
    connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    connection.send_for_ever(b"10000\r\n" + _BLOCK + b"\r\n")


@comes_to("http_error")
def redirect_with_endless_body(connection: Connection) -> None:
    """Answer 302 with a body without end."""
    connection.send(b"HTTP/1.1 302 Found\r\nLocation: /ok/redirected\r\n\r\n")
    connection.send_for_ever(_BLOCK)


@comes_to("response_too_large")
def fast_endless_100(connection: Connection) -> None:
    """Send `100 Continue` as fast as it goes."""
    connection.send_for_ever(b"HTTP/1.1 100 Continue\r\n\r\n" * 100)


@comes_to("response_too_large")
def many_headers(connection: Connection) -> None:
    """Send headers without end."""
    connection.send(b"HTTP/1.1 200 OK\r\n")
    connection.send_for_ever(b"X-A: y\r\n" * 1000)


@comes_to("response_too_large")
def giant_header(connection: Connection) -> None:
    """Send one header without end."""
    connection.send(b"HTTP/1.1 200 OK\r\nX-A: ")
    connection.send_for_ever(_BLOCK)


@comes_to("succeeded")
def trailer_bomb(connection: Connection) -> None:
    """Send trailers without end after the last chunk."""
    connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n")
    connection.send_for_ever(b"X-A: y\r\n" * 1000)


@comes_to("succeeded")
def gzip_bomb(connection: Connection) -> None:
    """Send 50 MB of zeros, compressed to 49 kB; nobody may unpack them."""
    connection.send(
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(_GZIP_BOMB)
    )
    connection.send(_GZIP_BOMB)
    connection.pause(0.3)
