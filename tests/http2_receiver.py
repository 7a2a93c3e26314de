"""A receiver on loopback that speaks HTTP/2 over TLS, and misbehaves where the path asks for it.

The first part of a path is the name of one of `_Session`'s answers, with dashes. It keeps each
request, also those that it declines.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass

import h2.config
import h2.connection
import h2.events
import h2.exceptions
from h2.errors import ErrorCodes

from dispatcher.chaos.threaded_server import Connection, GoneError, ThreadedServer

_OK = [(":status", "200"), ("content-length", "2")]
_BLOCK = b"x" * 16384


@dataclass
class Stream:
    """A request as it arrived, on one stream of a connection."""

    connection: int
    headers: list[tuple[str, str]]
    body: bytes = b""

    @property
    def path(self) -> str:
        return dict(self.headers)[":path"]


class Http2Receiver:
    """Listens with a TLS context that offers `h2`."""

    def __init__(self, tls: ssl.SSLContext) -> None:
        self.requests: list[Stream] = []
        self._server = ThreadedServer({}, tls=tls, on_connect=self._serve)
        self.origin = self._server.origin
        self.port = self._server.port

    @property
    def connections(self) -> int:
        return self._server.connections

    def close(self) -> None:
        self._server.close()

    def _serve(self, connection: Connection) -> None:
        _Session(self.requests, connection).serve()


class _Session:
    """One connection's streams."""

    def __init__(self, requests: list[Stream], connection: Connection) -> None:
        self._requests = requests
        self._connection = connection
        self._streams: dict[int, Stream] = {}
        self._is_retired = False
        self._h2 = h2.connection.H2Connection(
            h2.config.H2Configuration(client_side=False, header_encoding="utf-8")
        )

    def serve(self) -> None:
        self._h2.initiate_connection()
        while True:
            self._connection.send(self._h2.data_to_send())
            data = self._connection.receive()
            if self._is_retired:
                continue  # after a GOAWAY, the client may leave in its own time
            try:
                events = self._h2.receive_data(data)
            except h2.exceptions.ProtocolError as error:
                raise GoneError from error  # spoken to in HTTP/1.1
            for event in events:
                self._take(event)

    def _take(self, event: h2.events.Event) -> None:
        if isinstance(event, h2.events.RequestReceived):
            headers = [(str(name), str(value)) for name, value in event.headers]
            self._streams[event.stream_id] = Stream(self._connection.number, headers)
        elif isinstance(event, h2.events.DataReceived):
            self._streams[event.stream_id].body += event.data
            self._h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif isinstance(event, h2.events.StreamEnded):
            stream = self._streams.pop(event.stream_id)
            is_first = stream.path not in [request.path for request in self._requests]
            self._requests.append(stream)
            name = stream.path.split("?")[0].split("/")[1].replace("-", "_")
            if name.endswith("_once") and not is_first:
                name = "ok"
            getattr(self, f"_{name}")(event.stream_id)

    def _ok(self, stream: int) -> None:
        self._h2.send_headers(stream, _OK)
        self._h2.send_data(stream, b"ok", end_stream=True)

    def _hang(self, stream: int) -> None:
        """Answer nothing, while other streams go on."""

    def _hints_then_ok(self, stream: int) -> None:
        self._h2.send_headers(stream, [(":status", "103"), ("link", "</a.css>")])
        self._ok(stream)

    def _many_headers(self, stream: int) -> None:
        bomb = [(f"x-{number}", "y" * 1000) for number in range(60)]
        self._h2.send_headers(stream, [(":status", "200"), *bomb], end_stream=True)

    def _endless_body(self, stream: int) -> None:
        self._h2.send_headers(stream, [(":status", "200")])
        while self._h2.local_flow_control_window(stream) >= len(_BLOCK):
            self._h2.send_data(stream, _BLOCK)

    def _reset_in_body(self, stream: int) -> None:
        self._h2.send_headers(stream, [(":status", "200"), ("content-length", "9")])
        self._h2.send_data(stream, b"ok")
        self._h2.reset_stream(stream, ErrorCodes.INTERNAL_ERROR)

    def _reset(self, stream: int) -> None:
        self._h2.reset_stream(stream, ErrorCodes.INTERNAL_ERROR)

    def _refuse_once(self, stream: int) -> None:
        self._h2.reset_stream(stream, ErrorCodes.REFUSED_STREAM)

    def _refuse(self, stream: int) -> None:
        self._h2.reset_stream(stream, ErrorCodes.REFUSED_STREAM)

    def _retire_once(self, stream: int) -> None:
        """Retire the connection, and say that this request was not taken any more."""
        self._h2.close_connection(ErrorCodes.NO_ERROR, last_stream_id=max(0, stream - 2))
        self._is_retired = True

    def _hang_up(self, _stream: int) -> None:
        raise GoneError
