"""All misbehaviours on one port, by the path of the request.

`HostileReceiver().origin + "/hang"` never answers, and so on; an unknown path is told so.
"""

from __future__ import annotations

import ssl

from dispatcher.chaos import answers, broken_answers
from dispatcher.chaos.misbehaviour import MISBEHAVIOURS
from dispatcher.chaos.threaded_server import Behaviour, Connection, ThreadedServer

__all__ = ["HostileReceiver", "answers", "broken_answers"]

ANSWERED_EARLY = frozenset({"early-413", "early-413-kept-open"})


def no_such_path(connection: Connection) -> None:
    """Answer 404; `/` lists what there is."""
    text = b"No such path. GET / lists them all.\n"
    connection.send(b"HTTP/1.1 404 Not Found\r\nContent-Length: %d\r\n\r\n" % len(text) + text)


class _Behaviours(dict[str, Behaviour]):
    def __missing__(self, name: str) -> Behaviour:
        return no_such_path


class HostileReceiver(ThreadedServer):
    """Serves the whole list; with a TLS context, over TLS only."""

    def __init__(
        self,
        *,
        tls: ssl.SSLContext | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        index: Behaviour = no_such_path,
    ) -> None:
        """`index` answers at `/`."""
        behaviours = {name: each.behaviour for name, each in MISBEHAVIOURS.items()}
        super().__init__(
            _Behaviours(behaviours | {"": index}),
            tls=tls,
            host=host,
            port=port,
            answered_early=ANSWERED_EARLY,
        )
