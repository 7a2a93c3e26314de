"""Answers that are not as they should be, and connections that end; the path names one.

`hostile_receiver` serves them. The names are those of the functions, with dashes.
"""

from __future__ import annotations

from dispatcher.chaos.answers import OK
from dispatcher.chaos.misbehaviour import comes_to
from dispatcher.chaos.threaded_server import KEEP, Connection


@comes_to("succeeded")
def hints_then_ok(connection: Connection) -> object:
    """Send `103 Early Hints` before the answer."""
    connection.send(b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n")
    connection.pause(0.1)
    connection.send(OK)
    return KEEP


@comes_to("http_error")
def switching_protocols(connection: Connection) -> None:
    """Answer 101, which nobody asked for."""
    connection.send(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n")
    connection.pause()


@comes_to("succeeded")
def no_content_with_body(connection: Connection) -> None:
    """Answer 204, with a body all the same."""
    connection.send(b"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nhello")
    connection.pause(0.1)


@comes_to("http_error")
def status_999(connection: Connection) -> None:
    """Answer with a status that does not exist."""
    connection.send(b"HTTP/1.1 999 Weird\r\nContent-Length: 0\r\n\r\n")


@comes_to("connection_failed")
def status_20(connection: Connection) -> None:
    """Answer with a status of two digits."""
    connection.send(b"HTTP/1.1 20 Weird\r\nContent-Length: 0\r\n\r\n")


@comes_to("succeeded")
def http_2_status_line(connection: Connection) -> None:
    """Speak HTTP/1.1, and call it HTTP/2."""
    connection.send(b"HTTP/2 200\r\nContent-Length: 2\r\n\r\nok")


@comes_to("connection_failed")
def folded_first_header(connection: Connection) -> None:
    """Begin the headers with a continued line."""
    connection.send(b"HTTP/1.1 200 OK\r\n folded\r\nContent-Length: 2\r\n\r\nok")


@comes_to("succeeded")
def negative_chunk(connection: Connection) -> None:
    """Send a chunk of negative length."""
    connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-2\r\nok\r\n0\r\n\r\n")
    connection.pause()


@comes_to("connection_failed")
def http_09(connection: Connection) -> None:
    """Answer without a header, as in HTTP/0.9."""
    connection.send(b"hello, here is no header\n")


@comes_to("connection_failed")
def not_http(connection: Connection) -> None:
    """Answer as an SSH server."""
    connection.send(b"SSH-2.0-OpenSSH_9.2\r\n")


@comes_to("succeeded")
def bad_chunks(connection: Connection) -> None:
    """Send a chunk whose length is no number."""
    connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\nabc")
    connection.pause(0.2)


@comes_to("connection_failed")
def two_lengths(connection: Connection) -> None:
    """Send two lengths that differ."""
    connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 5\r\n\r\nokokok")
    connection.pause(0.2)


@comes_to("connection_failed")
def nul_in_header(connection: Connection) -> None:
    """Send a NUL in a header."""
    connection.send(b"HTTP/1.1 200 OK\r\nX-A: a\x00b\r\nContent-Length: 2\r\n\r\nok")
    connection.pause(0.2)


@comes_to("succeeded")
def not_utf8(connection: Connection) -> None:
    """Send bytes that are no UTF-8, and a terminal's escape codes."""
    connection.send(b"HTTP/1.1 200 \xff\xfe\r\nX-A: \xff\xfe\x1b[31m\r\nContent-Length: 2\r\n\r\n")
    connection.send(b"\xff\x00")


@comes_to("succeeded")
def nasty_body(connection: Connection) -> object:
    """Send what may break pages, terminals and tables: markup, escape codes, NUL, formulas."""
    body = (
        "</script></pre></textarea><script>alert(1)</script><img src=x onerror=alert(2)>"
        "{{7*7}}{% debug %} \x1b[31m\x1b]0;title\x07\x9b2J \0 \u202etxt.exe\u202c \ufeff\u2028"
        "\r\n=cmd|' /C calc'!A0\r\n" + "long " * 2000
    ).encode()
    connection.send(
        b"HTTP/1.1 200 <b>OK</b>\r\nContent-Type: text/html\r\nX-<script>: =1+1\r\n"
        b"Content-Length: %d\r\n\r\n" % len(body) + body
    )
    return KEEP


@comes_to("connection_failed")
def cut_in_status_line(connection: Connection) -> None:
    """Close in the middle of the status line."""
    connection.send(b"HTTP/1.1 200")


@comes_to("connection_failed")
def cut_in_headers(connection: Connection) -> None:
    """Close in the middle of the headers."""
    connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n")


@comes_to("connection_failed")
def cut_before_blank_line(connection: Connection) -> None:
    """Close before the blank line that ends the headers."""
    connection.send(b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nX-A: 1\r\n\r")


@comes_to("succeeded")
def cut_before_trailers(connection: Connection) -> None:
    """Close before the end of the trailers."""
    connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n")


@comes_to("succeeded")
def cut_in_body(connection: Connection) -> None:
    """Close in the middle of the body."""
    connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nok")


# ---- Connections -------------------------------------------------------------------------------


@comes_to("connection_failed")
def close_at_once(_connection: Connection) -> None:
    """Read the request, and close."""
    return


@comes_to("connection_failed")
def reset(connection: Connection) -> None:
    """Read the request, and reset the connection."""
    connection.reset()


@comes_to("succeeded")
def reset_in_body(connection: Connection) -> None:
    """Reset the connection in the middle of the body."""
    connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nok")
    connection.pause(0.1)
    connection.reset()


@comes_to("http_error")
def early_413(connection: Connection) -> None:
    """Answer 413 before the body was read, and close."""
    connection.send(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
    connection.pause(0.3)


@comes_to("http_error")
def early_413_kept_open(connection: Connection) -> None:
    """Answer 413 before the body was read, and neither read it nor close."""
    connection.send(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")
    connection.pause()


@comes_to("succeeded")
def dies_when_reused(connection: Connection) -> None:
    """Answer once, then read a second request to its end and close without a word."""
    connection.send(OK)
    connection.read_request()


@comes_to("succeeded")
def closes_silently(connection: Connection) -> None:
    """Answer as if the connection stayed, and close it."""
    connection.send(OK)
