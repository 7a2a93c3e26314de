"""Keeps what may be kept of one answer while it arrives, and says when to stop reading.

`curl_transfer` gives it libcurl's header lines and pieces of the body. Pure; it decides what a
complete header block is, and the caps, not what the answer means for the attempt.
"""

from __future__ import annotations

import time
from typing import Final

from deliveries.sending.transport import BODY_LIMIT_BYTES, HEADERS_LIMIT_BYTES

STOP: Final = 0
"""Given back to libcurl: none of the bytes were taken, end the transfer."""

SWITCHING_PROTOCOLS: Final = 101
"""The one interim status that no other follows (RFC 9110, section 15.2.2)."""

_BLANK_LINES: Final = frozenset({b"\r\n", b"\n"})


class ResponseReader:
    """The final header block and the first of the body; one reader serves many answers in turn."""

    __slots__ = (
        "_begins_block",
        "_body",
        "_body_room",
        "_header_room",
        "_lines",
        "first_byte_at",
        "has_headers_over_limit",
        "is_complete",
        "is_truncated",
        "status_code",
    )

    def __init__(self) -> None:
        self._lines: list[bytes] = []
        self._body: list[bytes] = []
        self.clear()

    def clear(self) -> None:
        """Forget the former answer."""
        self._lines.clear()
        self._body.clear()
        self._header_room = HEADERS_LIMIT_BYTES
        self._body_room = BODY_LIMIT_BYTES
        self._begins_block = True
        self.is_complete = False
        """The blank line that ends the final header block has arrived."""
        self.status_code: int | None = None
        """Of the final header block, once it is complete."""
        self.is_truncated = False
        self.has_headers_over_limit = False
        self.first_byte_at: float | None = None

    @property
    def has_body_due(self) -> bool:
        """Whether a body is due: the header block is complete, and does not end the answer."""
        return self.is_complete and self.status_code != SWITCHING_PROTOCOLS

    @property
    def headers(self) -> bytes:
        """The final header block as received, the status line included."""
        return b"".join(self._lines)

    @property
    def body(self) -> bytes:
        return b"".join(self._body)

    @property
    def http_version(self) -> str | None:
        """`1.0`, `1.1` or `2`, as the status line says."""
        if not self._lines:
            return None
        status_line = self._lines[0]
        return "1.1" if status_line.startswith(b"HTTP/1.1 ") else _version_of(status_line)

    def take_header_line(self, line: bytes) -> int | None:
        """Keep a line of a header block; interim answers (1xx) make way for what follows.

        All lines count towards the limit, those of interim answers and of trailers too, or
        these could go on for ever.
        """
        room = self._header_room - len(line)
        if room < 0:
            self.has_headers_over_limit = True
            return STOP
        self._header_room = room
        if self._begins_block:
            if self.is_complete:
                return None  # a trailer: it cannot change what the answer was
            self._begin_block()
        self._lines.append(line)
        if len(line) <= 2 and line in _BLANK_LINES:
            self._end_block()
            if self.status_code == SWITCHING_PROTOCOLS:
                return STOP  # what follows is no HTTP any more, for as long as it pleases
        return None

    def _begin_block(self) -> None:
        self._begins_block = False
        self._lines.clear()
        if self.first_byte_at is None:
            self.first_byte_at = time.monotonic()

    def _end_block(self) -> None:
        self._begins_block = True
        status = _status_of(self._lines[0])
        if status >= 200 or status == SWITCHING_PROTOCOLS:
            self.is_complete = True
            self.status_code = status

    def take_body(self, piece: bytes) -> int | None:
        """Keep a piece of the body, up to the limit."""
        room = self._body_room - len(piece)
        if room < 0:
            self._body.append(piece[: self._body_room])
            self._body_room = 0
            self.is_truncated = True
            return STOP
        self._body.append(piece)
        self._body_room = room
        return None


def _status_of(status_line: bytes) -> int:
    """Read `HTTP/1.1 200 OK` or `HTTP/2 200`; libcurl lets nothing else through."""
    digits = status_line.split(b" ", 2)[1:2]
    return int(digits[0][:3]) if digits and digits[0][:3].isdigit() else 0


def _version_of(status_line: bytes) -> str | None:
    protocol = status_line.split(b" ", 1)[0]
    if not protocol.startswith(b"HTTP/"):
        return None  # an answer that is none
    return protocol.removeprefix(b"HTTP/").decode("ascii", "replace")
