"""Asks the machine's name servers for addresses, without waiting: c-ares, through pycares.

`resolve` calls it and decides what the answers mean. Here is what c-ares is told, and which of its
status codes say what. Its own thread only appends to a queue and calls `wake`.
"""

from __future__ import annotations

import socket
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import Enum, auto
from functools import partial
from ipaddress import ip_address
from typing import Any, Final

import pycares

from subscriptions.guard.address_guard import IPAddress

FAMILIES: Final = (socket.AF_INET, socket.AF_INET6)
"""Asked for one by one: name servers that never answer for IPv6 shall not delay IPv4."""

FIRST_TRY_SECONDS: Final = 0.5
TRIES: Final = 5
"""c-ares doubles the time from try to try, and begins lower (250 ms) with servers that it knows to
be quick: five tries last 7 s at least, so that the caller's deadline is the one that counts."""

_FLAGS: Final = (
    pycares.ARES_FLAG_EDNS
    | pycares.ARES_FLAG_NOSEARCH  # a customer's name is complete: no suffix of our network
    | pycares.ARES_FLAG_NOALIASES  # nor an alias from our environment
    | pycares.ARES_FLAG_NO_DFLT_SVR  # no server configured is an error, not 127.0.0.1
)

_AI_NOSORT: Final = 0x80
"""ARES_AI_NOSORT: keep the server's order. Sorting would open a socket per address."""


class Reply(Enum):
    """What a query came to."""

    ADDRESSES = auto()
    NAME_NOT_FOUND = auto()
    NO_ADDRESS = auto()
    SERVER_FAILURE = auto()
    """The servers answered, but with an error."""
    SILENCE = auto()
    """No answer to any try."""
    NO_SERVER = auto()
    """None is configured, or nothing listens where they should be."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The end of one query."""

    host: str
    family: int
    reply: Reply
    addresses: tuple[IPAddress, ...] = ()
    ttl_seconds: int = 0
    detail: str = ""
    ended_at: float = field(default_factory=time.monotonic)
    """On `time.monotonic()`: it may be looked at later."""


_errors = pycares.errno
_REPLIES: Final[dict[int, Reply]] = {
    _errors.ARES_ENOTFOUND: Reply.NAME_NOT_FOUND,
    _errors.ARES_EBADNAME: Reply.NAME_NOT_FOUND,
    _errors.ARES_ENODATA: Reply.NO_ADDRESS,
    _errors.ARES_ESERVFAIL: Reply.SERVER_FAILURE,
    _errors.ARES_EREFUSED: Reply.SERVER_FAILURE,
    _errors.ARES_EFORMERR: Reply.SERVER_FAILURE,
    _errors.ARES_ENOTIMP: Reply.SERVER_FAILURE,
    _errors.ARES_EBADRESP: Reply.SERVER_FAILURE,
    _errors.ARES_ETIMEOUT: Reply.SILENCE,
    _errors.ARES_ECONNREFUSED: Reply.NO_SERVER,
    _errors.ARES_ENOMEM: Reply.NO_SERVER,
}


class DnsQueries:
    """Queries under way; `start` and `answers` are called from one thread.

    `servers` are `address` or `address:port`, the machine's own when there are none; /etc/hosts
    is read first, as the platform does.
    """

    def __init__(self, *, servers: Iterable[str] = (), wake: Callable[[], None]) -> None:
        self._wake = wake
        self._answers: deque[Answer] = deque()
        self._channel = pycares.Channel(
            servers=list(servers) or None,
            timeout=FIRST_TRY_SECONDS,
            tries=TRIES,
            flags=_FLAGS,
        )

    def start(self, host: str, family: int) -> None:
        """Ask for a host's addresses of one family; the answer comes out of `answers`."""
        try:
            self._channel.getaddrinfo(
                host,
                None,
                family=family,  # type: ignore[arg-type]  # an int is what c-ares takes
                type=socket.SOCK_STREAM,
                flags=_AI_NOSORT,
                callback=partial(self._on_end, host, family),
            )
        except (pycares.AresError, RuntimeError, UnicodeError) as error:
            self._answers.append(Answer(host, family, Reply.NO_SERVER, detail=repr(error)))

    def _on_end(self, host: str, family: int, result: Any, status: int | None) -> None:
        """Note the end of a query; called in c-ares' thread, or at once inside of `start`."""
        if status is None:
            self._answers.append(_addresses_of(host, family, result))
        else:
            reply = _REPLIES.get(status, Reply.SILENCE)
            self._answers.append(Answer(host, family, reply, detail=str(_errors.strerror(status))))
        self._wake()

    def answers(self) -> list[Answer]:
        """Return the queries that ended since the last call."""
        ended = []
        while self._answers:
            ended.append(self._answers.popleft())
        return ended

    def forget_answers(self) -> None:
        """Drop what c-ares remembers, which would be for up to an hour and without bound.

        It reads the machine's resolver configuration anew while it is at it.
        """
        self._channel.reinit()

    def close(self) -> None:
        self._channel.close()


def _addresses_of(host: str, family: int, result: Any) -> Answer:
    addresses = tuple([ip_address(node.addr[0].decode("ascii")) for node in result.nodes])
    ttl_seconds = min([node.ttl for node in result.nodes], default=0)
    reply = Reply.ADDRESSES if addresses else Reply.NO_ADDRESS
    return Answer(host, family, reply, addresses, ttl_seconds)
