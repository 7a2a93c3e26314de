"""Checks the head of an outbound request, and gives its header lines as they go on the wire.

Both transports call it. What it refuses is our own mistake (`compose` lets none of it through),
but a library would send it: a second header, or a second request, inside of the first.
"""

from __future__ import annotations

from functools import lru_cache

from deliveries.sending.transport import OutboundRequest

_CHANGES_THE_MESSAGE = frozenset({"transfer-encoding", "expect", "connection", "upgrade", "te"})


class NotSendable(ValueError):
    """A request would not go out as it is written; `str()` is for the operator."""


def header_lines(request: OutboundRequest) -> list[bytes]:
    """Return `Name: value` for each header, in order, or raise `NotSendable`.

    Wants the `Host` of the URL and the `Content-Length` of the body, and nothing that would
    change where the message ends (RFC 9112, section 6).
    """
    headers = request.headers
    try:
        block = "\n".join([f"{name}: {value}" for name, value in headers]).encode("ascii")
    except UnicodeEncodeError as error:
        raise NotSendable("a header is not ASCII") from error
    lines = block.split(b"\n")
    if len(lines) != len(headers) or b"\r" in block or b"\0" in block:
        raise NotSendable("a header contains a line break or NUL")
    if b" \n" in block or block.endswith(b" "):
        raise NotSendable("a header's value is empty, or ends in a space")
    host_at, length_at = _checked_positions(tuple([name for name, _ in headers]))
    if headers[host_at][1] != request.url.host_header:
        raise NotSendable("Host is not the URL's")
    if headers[length_at][1] != str(len(request.body)):
        raise NotSendable("Content-Length is not the body's")
    return lines


@lru_cache(maxsize=1024)  # the names are the same for all requests of a subscription
def _checked_positions(names: tuple[str, ...]) -> tuple[int, int]:
    """Return where `Host` and `Content-Length` are; judge the names."""
    folded = [name.lower() for name in names]
    if len(set(folded)) != len(folded) or not _CHANGES_THE_MESSAGE.isdisjoint(folded):
        raise NotSendable("a header is there twice, or is not one that a webhook may carry")
    try:
        return folded.index("host"), folded.index("content-length")
    except ValueError:
        raise NotSendable("Host or Content-Length is missing") from None
