"""The cheap client keeps its pace, counts from when a request was due, and takes no refusal."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import pytest

from bench.publisher import Load
from bench.publishing_load import publish
from dispatcher.chaos.threaded_server import KEEP, Connection, ThreadedServer

ID = "0123456789abcdef0123456789abcdef"


def accept(connection: Connection) -> bool:
    body = json.dumps({"id": f"evt_{ID}", "deliveries": []}).encode()
    head = f"HTTP/1.1 202 Accepted\r\ncontent-length: {len(body)}\r\n\r\n".encode()
    connection.send(head + body[:20])
    connection.send(body[20:])  # an answer may come in pieces
    return KEEP


def accept_all(connection: Connection) -> bool:
    body = b'{"accepted": 3, "repeated": 0, "refused": 0, "results": []}'
    connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
    return KEEP


def accept_late(connection: Connection) -> bool:
    time.sleep(0.2)
    return accept(connection)


def refuse(connection: Connection) -> bool:
    connection.send(b"HTTP/1.1 429 Too Many Requests\r\nContent-Length: 0\r\n\r\n")
    return KEEP


@pytest.fixture
def server() -> Iterator[ThreadedServer]:
    with ThreadedServer({"api": accept}) as running:
        yield running


def load(server: ThreadedServer, **more: object) -> Load:
    port = int(server.origin.rpartition(":")[2])
    return Load(port, "demo", "whd_key", **{"seconds": 1.0, **more})  # type: ignore[arg-type]


def test_it_keeps_the_pace_and_notes_each_event(server: ThreadedServer) -> None:
    published = publish(load(server, per_second=40, event_types=("a.b", "c.d")))
    assert published.events == 40
    assert published.seconds > 0.95
    assert published.statuses == {"202": published.events}
    assert len(published.answer_ms) == published.events
    assert published.answered_at.keys() == {ID}
    types = [json.loads(request.body)["type"] for request in server.requests[:4]]
    assert types == ["a.b", "c.d", "a.b", "c.d"]
    assert server.requests[0].headers["authorization"] == "Bearer whd_key"
    assert server.requests[0].path == "/api/v1/projects/demo/events"


def test_a_request_that_could_not_be_sent_in_time_has_waited() -> None:
    with ThreadedServer({"api": accept_late}) as server:
        published = publish(load(server, per_second=20, clients=1, seconds=0.5))
    assert max(published.answer_ms) > 400  # 200 of its own, and those of others before it


def test_a_batch_counts_what_was_accepted_of_it() -> None:
    with ThreadedServer({"api": accept_all}) as server:
        published = publish(load(server, per_second=5, batch=3))
        assert len(json.loads(server.requests[0].body)["events"]) == 3
    assert published.events == 3 * len(published.answer_ms)


def test_a_refusal_spoils_the_run() -> None:
    with (
        ThreadedServer({"api": refuse}) as server,
        pytest.raises(RuntimeError, match="not all was taken"),
    ):
        publish(load(server, per_second=5))
