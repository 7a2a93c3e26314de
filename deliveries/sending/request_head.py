"""What a request says above its body: header lines that were checked, as they go on the wire.

`compose` makes them. Transports send them as they are and history keeps them: a second header, or a
second request, inside of the first cannot be written here, so nobody has to look for it again.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

import msgspec

Header = tuple[str, str]

_CHANGES_THE_MESSAGE: Final = frozenset(
    {"transfer-encoding", "expect", "connection", "upgrade", "te"}
)

_TOKEN: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
"""A name (RFC 9110, section 5.1)."""

_LINES: Final = re.compile(r"(?:[^:\n]++: [\t -~]*+(?<![\t ])(?:\n|\Z))*+")
"""Lines of `Name: value` (section 5.5); a value is not empty, nor does it end in white space:
libraries would send another one than was signed or shown."""


class NotSendable(ValueError):
    """A request would not go out as it is written; `str()` is for the operator."""


class RequestHead(msgspec.Struct, frozen=True, gc=False):
    """All headers of a request, in order; `checked_head` makes it."""

    text: str
    """`Name: value` lines of ASCII, without a line break at the end."""

    @property
    def fields(self) -> tuple[Header, ...]:
        """Names and values."""
        lines = [line.partition(": ") for line in self.text.splitlines()]
        return tuple([(name, value) for name, _, value in lines])

    @property
    def lines(self) -> list[bytes]:
        """`Name: value` for each header."""
        return self.text.encode("ascii").split(b"\n") if self.text else []


NO_HEAD: Final = RequestHead("")
"""Of a request that is never sent."""


def checked_head(headers: Sequence[Header], *, host_header: str, body_bytes: int) -> RequestHead:
    """Return the headers as they go out, or raise `NotSendable`.

    Wants the `Host` of the URL and the `Content-Length` of the body, no name twice, and nothing
    that would change where the message ends (RFC 9112, section 6).
    """
    text = "\n".join([f"{name}: {value}" for name, value in headers])
    if not _LINES.fullmatch(text) or text.count("\n") != len(headers) - 1:
        raise NotSendable("a header is not one line of ASCII, or its value ends in a space")
    host_at, length_at = _checked_positions(tuple([name for name, _ in headers]))
    if headers[host_at][1] != host_header:
        raise NotSendable("Host is not the URL's")
    if headers[length_at][1] != str(body_bytes):
        raise NotSendable("Content-Length is not the body's")
    return RequestHead(text)


@lru_cache(maxsize=1024)  # the names are the same for all requests of a subscription
def _checked_positions(names: tuple[str, ...]) -> tuple[int, int]:
    """Return where `Host` and `Content-Length` are; judge the names."""
    if not all(_TOKEN.fullmatch(name) for name in names):
        raise NotSendable("a header's name is none")
    folded = [name.lower() for name in names]
    if len(set(folded)) != len(folded) or not _CHANGES_THE_MESSAGE.isdisjoint(folded):
        raise NotSendable("a header is there twice, or is not one that a webhook may carry")
    try:
        return folded.index("host"), folded.index("content-length")
    except ValueError:
        raise NotSendable("Host or Content-Length is missing") from None
