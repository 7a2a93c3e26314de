"""A cheap client that publishes over REST: `python -m bench.publisher '{"port": 8000, …}'`.

Keep-alive connections on one thread, requests made beforehand, answers read as far as needed: it
takes a tenth of what web takes. Either as fast as answers come, or at a rate: then what is late to
be sent has waited, and that counts. Its argument is a `Load` as JSON; it prints a `Published`.
"""

from __future__ import annotations

import json
import re
import selectors
import socket
import sys
import time
from collections import Counter, deque
from dataclasses import asdict, dataclass, field
from itertools import cycle

from bench.projects import EVENT_TYPE

TEXT_CHARACTERS = 980
"""Of each payload: with its other member it has 1 KiB."""

_ID = re.compile(rb'"id":\s*"evt_([0-9a-f]{32})"')
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Load:
    """What is published, by whom and how fast."""

    port: int
    slug: str
    api_key: str
    seconds: float
    clients: int = 8
    """Connections; each has one request under way at most."""
    batch: int = 1
    """Events per request; more than one go to the route for batches."""
    event_types: tuple[str, ...] = (EVENT_TYPE,)
    """In turns, one per request."""
    per_second: float | None = None
    """Requests begun per second; `None`: as fast as they are answered."""


@dataclass(slots=True)
class Published:
    """What came of it."""

    events: int = 0
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    """The client's own."""
    answer_ms: list[float] = field(default_factory=list)
    """Of each request, from when it was to be sent."""
    statuses: dict[str, int] = field(default_factory=dict)
    answered_at: dict[str, float] = field(default_factory=dict)
    """By event id, on the machine's monotonic clock; empty for batches."""

    @property
    def per_second(self) -> float:
        """Events per second."""
        return self.events / self.seconds


@dataclass(slots=True)
class _Client:
    connection: socket.socket
    due_at: float = 0.0
    unread: bytes = b""


class Publisher:
    """Runs one load."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._requests = cycle([_request(load, event_type) for event_type in load.event_types])
        self._selector = selectors.DefaultSelector()
        self._free: deque[_Client] = deque()
        self._statuses: Counter[str] = Counter()
        self._published = Published()
        self._begun = 0
        for _ in range(load.clients):
            client = _Client(socket.create_connection(("127.0.0.1", load.port)))
            client.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._selector.register(client.connection, selectors.EVENT_READ, client)
            self._free.append(client)

    def run(self) -> Published:
        """Publish all that is due within the time, or for so long; wait for what is under way."""
        began, cpu_began = time.monotonic(), time.process_time()
        while self._next_due_at(began) is not None or len(self._free) < self._load.clients:
            self._begin_due(began)
            for key, _ in self._selector.select(self._patience_seconds(began)):
                self._read(key.data)
        self._published.seconds = time.monotonic() - began
        self._published.cpu_seconds = time.process_time() - cpu_began
        self._published.statuses = dict(self._statuses)
        return self._published

    def _next_due_at(self, began: float) -> float | None:
        """Return when the next request is to be sent, however late it is; `None` after the last."""
        rate, seconds = self._load.per_second, self._load.seconds
        if rate is not None:
            return began + self._begun / rate if self._begun < rate * seconds else None
        now = time.monotonic()
        return now if now < began + seconds else None

    def _begin_due(self, began: float) -> None:
        while self._free:
            due_at = self._next_due_at(began)
            if due_at is None or due_at > time.monotonic():
                return
            client = self._free.popleft()
            client.due_at = due_at
            client.connection.sendall(next(self._requests))
            self._begun += 1

    def _patience_seconds(self, began: float) -> float:
        due_at = self._next_due_at(began)
        if not self._free or due_at is None:
            return 1.0
        return max(0.0, due_at - time.monotonic())

    def _read(self, client: _Client) -> None:
        data = client.connection.recv(1 << 20)
        if not data:
            raise SystemExit("the web server closed a connection")
        client.unread += data
        head, blank, body = client.unread.partition(b"\r\n\r\n")
        length = _LENGTH.search(head) if blank else None
        if length is None or len(body) < int(length[1]):
            return
        client.unread = b""
        self._note(client, status=head[9:12].decode(), body=body)
        self._free.append(client)

    def _note(self, client: _Client, *, status: str, body: bytes) -> None:
        now = time.monotonic()
        self._statuses[status] += 1
        self._published.answer_ms.append(1000 * (now - client.due_at))
        if status == "202":
            self._published.events += 1
            if found := _ID.search(body):
                self._published.answered_at[found[1].decode()] = now
        elif status == "200":
            self._published.events += int(json.loads(body)["accepted"])


def _request(load: Load, event_type: str) -> bytes:
    event = {"type": event_type, "data": {"n": 1, "text": "x" * TEXT_CHARACTERS}}
    path = f"/api/v1/projects/{load.slug}/events"
    content: object = event
    if load.batch > 1:
        path, content = f"{path}/batch", {"events": [event] * load.batch}
    body = json.dumps(content).encode()
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {load.api_key}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def main() -> None:
    """Parse, publish, print."""
    published = Publisher(Load(**json.loads(sys.argv[1]))).run()
    sys.stdout.write(json.dumps(asdict(published)))


if __name__ == "__main__":
    main()
