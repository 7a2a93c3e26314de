"""Reads the answer to a POST in place of `http.client`'s reading of headers.

`http.client` calls a header block complete that was cut off, takes 103 for the final answer, and
keeps 50 MB of headers. Here `ResponseReader` decides what is kept and when it is complete, and
urllib3 and requests see nothing of it but the length of the body.
"""

from __future__ import annotations

import http.client
import re
import socket
import ssl
from typing import Final, Protocol

from deliveries.sending import verdicts
from deliveries.sending.requests_attempt import Attempt, AttemptEnded
from deliveries.sending.response_reader import STOP, SWITCHING_PROTOCOLS
from deliveries.sending.transport import HEADERS_LIMIT_BYTES

_PROTOCOL: Final = b"HTTP/"
# As lenient as libcurl: the customer shall read the same, whichever transport was used.
_STATUS_LINE: Final = re.compile(rb"HTTP/1\.[01] [1-9][0-9]{2}[^\0\r]*\r?\n")
_HEADER_LINE: Final = re.compile(rb"(?:[^\0\r:]*:|[ \t])[^\0\r]*\r?\n")
_BLANK_LINES: Final = (b"\r\n", b"\n")

_FRAMING_HEADERS: Final = frozenset({b"content-length", b"transfer-encoding", b"connection"})
_Framing = dict[bytes, set[bytes]]
"""What was said under these names; all in lower case."""

_LENGTH_DIGITS: Final = 18
"""Of a length that fits into 63 bits; a longer body is one without an end."""

_NO_BODY_STATUSES: Final = frozenset({SWITCHING_PROTOCOLS, 204, 304})


class _ReadsLines(Protocol):
    """What is read from here: the buffered bytes of a socket."""

    def readline(self, limit: int, /) -> bytes:
        """Return a line, or as much of it."""

    def peek(self, size: int, /) -> bytes:
        """Return what is there, at least one byte unless it is the end."""


class Answer(http.client.HTTPResponse):
    """An answer as urllib3 wants it, read with care."""

    fp: _ReadsLines  # type: ignore[assignment]  # http.client's own, less what is not used here

    def __init__(self, read_from: socket.socket, *, attempt: Attempt, method: str) -> None:
        super().__init__(read_from, method=method)
        self._socket = read_from
        self._attempt = attempt
        self.may_be_kept = False
        """The connection can carry a next request, once the body was read to its end."""

    def begin(self) -> None:
        """Read header blocks up to the final one; raises `AttemptEnded`."""
        framing: _Framing = {}
        try:
            while not self._attempt.reader.is_complete:
                framing = self._read_block()
        except OSError as error:
            raise self._attempt.failure(error) from error
        self._measure_body(framing)

    def _read_block(self) -> _Framing:
        """Read a header block to its blank line; return what it says of the body's end."""
        begun = self.fp.peek(1)[: len(_PROTOCOL)]
        if not _PROTOCOL.startswith(begun):
            raise _not_http("begins with", begun)
        line = self._read_line()
        if not _STATUS_LINE.fullmatch(line):
            raise _not_http("no status line:", line)
        framing: _Framing = {}
        while line not in _BLANK_LINES:
            self._keep(line)
            line = self._read_line()
            _note_framing(line, framing)
        self._keep(line)
        return framing

    def _read_line(self) -> bytes:
        line = self.fp.readline(HEADERS_LIMIT_BYTES + 1)
        if line.endswith(b"\n"):
            return line
        if len(line) > HEADERS_LIMIT_BYTES:
            self._keep(line)
        raise self._attempt.failure(self._attempt.send_error or _end_after(line))

    def _keep(self, line: bytes) -> None:
        reader = self._attempt.reader
        if reader.take_header_line(line) == STOP and reader.has_headers_over_limit:
            raise AttemptEnded(verdicts.HEADERS_TOO_LARGE, f"a line of {len(line)} bytes more")

    def _measure_body(self, framing: _Framing) -> None:
        """Find where the body ends (RFC 9112, section 6.3), and tell `http.client`."""
        reader = self._attempt.reader
        self.code = self.status = reader.status_code or 0
        self.reason = ""
        self.version = 10 if reader.http_version == "1.0" else 11
        self.headers = self.msg = http.client.HTTPMessage()
        self.chunked = b"chunked" in framing.get(b"transfer-encoding", ())
        self.chunk_left = None
        (length,) = framing.get(b"content-length") or (b"",)
        is_length = 0 < len(length) <= _LENGTH_DIGITS and not self.chunked
        self.length = int(length) if is_length else None
        if self.status in _NO_BODY_STATUSES:
            self.chunked, self.length = False, 0
        if self.length is not None:
            self.msg["Content-Length"] = str(self.length)
        self.may_be_kept = (
            self.version == 11
            and self.status != SWITCHING_PROTOCOLS
            and (self.chunked or self.length is not None)
            and b"close" not in framing.get(b"connection", ())
        )
        self.will_close = False  # or http.client would close the connection before the body is read

    def _read_and_discard_trailer(self) -> None:
        """Read what follows the last chunk; `http.client` would read on for ever."""
        line = b"-"
        while line and line not in _BLANK_LINES:
            line = self.fp.readline(HEADERS_LIMIT_BYTES + 1)
            if self._attempt.reader.take_header_line(line) == STOP:
                raise AttemptEnded(verdicts.HEADERS_TOO_LARGE, "trailers over the limit")

    def _close_conn(self) -> None:
        """Let go of the buffer at the answer's end; what else is in there would be lost with it."""
        self.may_be_kept = self.may_be_kept and not self._has_more()
        super()._close_conn()  # type: ignore[misc]  # http.client's own

    def _has_more(self) -> bool:
        """Look, without waiting, whether the receiver sent more than an answer."""
        self._socket.settimeout(0)
        try:
            return self.fp.peek(1) != b""
        except ssl.SSLWantReadError:
            return False
        except OSError:
            return True  # not that, but an error is no reason to keep it either


def _note_framing(line: bytes, framing: _Framing) -> None:
    """Note a header that says where the body or the connection ends; refuse what is no header."""
    if line in _BLANK_LINES:
        return
    if not _HEADER_LINE.fullmatch(line):
        raise _not_http("no header line:", line)
    name, _, text = line.partition(b":")
    name = name.lower()
    if name not in _FRAMING_HEADERS:
        return
    values = framing.setdefault(name, set())
    values.update(value.strip().lower() for value in text.split(b","))
    if not _is_clear(name, values):
        raise _not_http("contradictory:", name + b": " + b", ".join(sorted(values)))


def _is_clear(name: bytes, values: set[bytes]) -> bool:
    """Tell whether all that was said under a name leaves no doubt about the body's end."""
    if name == b"content-length":
        return len(values) == 1 and all(value.isdigit() for value in values)
    if name == b"transfer-encoding":
        return values in ({b"chunked"}, {b"identity"})
    return True


def _end_after(line: bytes) -> EOFError:
    return EOFError(f"end of stream after {line[:100]!r}")


def _not_http(what: str, read: bytes) -> AttemptEnded:
    return AttemptEnded(verdicts.NOT_HTTP, f"{what} {read[:100]!r}")
