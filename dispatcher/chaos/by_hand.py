"""Runs all the receivers that misbehave, so that somebody can look how the sender takes them.

`manage.py chaos_receiver` calls it. One port has a path for each misbehaviour, and the list at `/`;
what goes wrong before a request has a port of its own, counted up from there.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from dispatcher.chaos.certificates import Authority
from dispatcher.chaos.hostile_receiver import HostileReceiver
from dispatcher.chaos.misbehaviour import MISBEHAVIOURS
from dispatcher.chaos.silent import black_hole, never_reading
from dispatcher.chaos.threaded_server import Connection, Received
from dispatcher.chaos.tls import TLS_MISBEHAVIOURS

Says = Callable[[str], None]

_PLACE_WIDTH = 50
_OUTCOME_WIDTH = 20


class _TellingReceiver(HostileReceiver):
    """Says each request on a line, and keeps none."""

    def __init__(self, *, host: str, port: int, page: list[str], say: Says) -> None:
        self._page = page
        self._say = say
        super().__init__(host=host, port=port, index=self._list_all)

    def note(self, received: Received) -> None:
        """Say what came, as one line whatever stands in it."""
        self._say(f"{received.path[:100]!a}  {len(received.body)} bytes")

    def _list_all(self, connection: Connection) -> None:
        content = "\n".join([*self._page, ""]).encode()
        connection.send(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\n"
            b"Content-Length: %d\r\nConnection: close\r\n\r\n" % len(content) + content
        )


@contextmanager
def chaos(*, host: str, port: int, folder: Path, say: Says) -> Iterator[list[str]]:
    """Run them; gives the page that lists them. Raises `OSError` where a port is taken.

    Certificates are kept in `folder`, which is the caller's to remove.
    """
    page: list[str] = []
    with ExitStack() as stack:
        stack.enter_context(_TellingReceiver(host=host, port=port, page=page, say=say))
        page += _head(host, port)
        stack.enter_context(black_hole(host=host, port=port + 1))
        page.append(_row(_origin("http", host, port + 1), "It takes no connection.", "timeout"))
        stack.enter_context(never_reading(host=host, port=port + 2))
        does = "It reads nothing; take an event of 100 kB or more."
        page.append(_row(_origin("http", host, port + 2), does, "timeout"))
        authority = Authority(folder)
        for number, each in enumerate(TLS_MISBEHAVIOURS, start=port + 3):
            stack.enter_context(each.open(authority, host, number))
            page.append(_row(_origin("https", host, number) + "ok", each.does, each.outcome))
        page += ["", *textwrap.wrap(_ABOUT_TLS, 100)]
        yield page


_ABOUT_TLS = (
    "The authority of these certificates is made on the fly, and no sender knows it. Where a "
    "certificate has another flaw, either of the two may be the one that is named."
)


def _head(host: str, port: int) -> list[str]:
    origin = _origin("http", host, port)
    lines = [
        "Subscribe to one of these URLs, send a test, and look how the attempt ended.",
        "",
        _row("URL", "what the receiver does", "outcome"),
    ]
    lines += [_row(origin + each.path, each.does, each.outcome) for each in MISBEHAVIOURS.values()]
    return lines


def _row(place: str, does: str, outcome: str) -> str:
    return f"{place:{_PLACE_WIDTH}} {outcome:{_OUTCOME_WIDTH}} {does.replace('`', '')}"


def _origin(scheme: str, host: str, port: int) -> str:
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}/"
