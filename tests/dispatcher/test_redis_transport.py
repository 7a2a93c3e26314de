"""A worker outlives strange messages and a failover; real processes on a Redis of their own."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from deliveries.models import Delivery
from deliveries.publishing.ingest import publish
from dispatcher.chaos.threaded_server import KEEP, Connection, ThreadedServer
from tests.factories import make_subscription
from tests.servers import start_redis
from tests.workers import ROOT, eventually, worker_environment, worker_process

pytestmark = [pytest.mark.postgres, pytest.mark.django_db(transaction=True)]

QUEUE = "deliveries"
TLS_HANDSHAKE = b"\x16"

CONNECT = "from dispatcher.celery import app; app.connection_for_write().connect()"


def message(body: object = ((), {}, {}), **changes: Any) -> bytes:
    """A wake-up as kombu writes it, apart from what is changed."""
    wanted = {
        "body": b64encode(json.dumps(body).encode()).decode(),
        "headers": {"task": "deliveries.send_due", "id": "1"},
        "content-type": "application/json",
        "content-encoding": "utf-8",
        "properties": {
            "delivery_tag": "1",
            "body_encoding": "base64",
            "delivery_info": {"exchange": "", "routing_key": QUEUE},
        },
    }
    return json.dumps(wanted | changes).encode()


PROPERTIES = json.loads(message())["properties"]
STRANGE = {
    "not JSON": b"not JSON",
    "empty": b"",
    "bytes": b"\xff\xfe\x00",
    "deep": b"[" * 100_000,
    "a value that kombu cannot make": b'{"__type__": "datetime", "__value__": 5}',
    "a number": b"1",
    "null": b"null",
    "a list": b"[]",
    "an empty object": b"{}",
    "no delivery tag": b'{"body": "!!", "properties": {}}',
    "not base64": message()[:-1] + b', "body": "!"}',
    "unknown encoding": message(properties=PROPERTIES | {"body_encoding": "rot13"}),
    "no delivery info": message(properties={"delivery_tag": "2", "body_encoding": "base64"}),
    "a tag that is a list": message(properties=PROPERTIES | {"delivery_tag": ["3"]}),
    "headers that are a list": message(headers=["task"]),
    "no headers": message(headers={}),
    "a body that is a number": message(5),
    "a body of an unknown type": message(**{"content-type": "application/x-unknown"}),
    "a body that is pickled": message(**{"content-type": "application/x-python-serialize"}),
    "unknown task": message(headers={"task": "deliveries.nothing", "id": "1"}),
    "unknown task without an id": message(headers={"task": "deliveries.nothing"}),
    "no task's name": message(headers={"task": ["deliveries.send_due"], "id": "1"}),
    "wrong arguments": message(((1, 2), {"a": 3}, {})),
    "wrong types of arguments": message((5, 6, 7)),
    "wrong time limit": message(headers={"task": "deliveries.send_due", "id": "1", "timelimit": 5}),
    "wrong time": message(headers={"task": "deliveries.send_due", "id": "1", "eta": "soon"}),
    "the old form, without an id": message({"task": "deliveries.nothing"}, headers={}),
}


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[Redis]:
    with start_redis(tmp_path / "redis", durable=False) as server:
        client = Redis.from_url(server.url)
        yield client
        client.close()


@pytest.fixture
def receiver() -> Iterator[ThreadedServer]:
    server = ThreadedServer({"accept": accept})
    yield server
    server.close()


def accept(connection: Connection) -> bool:
    connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    return KEEP


def url_of(redis: Redis) -> str:
    return f"redis://127.0.0.1:{redis.connection_pool.connection_kwargs['port']}/0"


def waiting(redis: Redis) -> list[str]:
    """Ids of the connections that wait for a message: the worker's, once it is up."""
    return [client["id"] for client in redis.client_list() if client["cmd"] == "brpop"]


def worker_s_connections(redis: Redis) -> int:
    """How many there are beside ours."""
    return len(redis.client_list()) - 1


def writes_refused(redis: Redis) -> int:
    """How often somebody tried to take a lock, as a worker does when it connects again."""
    calls: int = redis.info("commandstats")["cmdstat_set"]["rejected_calls"]
    return calls


def check_it_sends(receiver: ThreadedServer) -> None:
    before = len(receiver.requests)
    subscription = make_subscription(url=f"{receiver.origin}/accept")
    publish(project=subscription.project, event_type="a.b", data={})
    eventually(lambda: not Delivery.objects.filter(next_attempt_at__isnull=False).exists())
    assert len(receiver.requests) == before + 1


def test_a_worker_drops_strange_messages_without_connecting_again(
    redis: Redis, receiver: ThreadedServer
) -> None:
    with worker_process(REDIS_URL=url_of(redis)) as worker:
        eventually(lambda: bool(waiting(redis)), within_seconds=60)
        connections = waiting(redis)
        for name, content in STRANGE.items():
            redis.lpush(QUEUE, content)
            eventually(lambda: not redis.llen(QUEUE) and not redis.exists("unacked"))
            assert worker.poll() is None, name
            eventually(lambda: bool(waiting(redis)))
            assert waiting(redis) == connections, name
        check_it_sends(receiver)
        assert worker.poll() is None


def test_a_worker_outlives_a_failover_and_consumes_again(
    redis: Redis, receiver: ThreadedServer
) -> None:
    with worker_process(REDIS_URL=url_of(redis)) as worker:
        eventually(lambda: bool(waiting(redis)), within_seconds=60)
        connections = worker_s_connections(redis)
        redis.replicaof("127.0.0.1", "1")  # unblocks the worker with an error, refuses its writes
        check_it_sends(receiver)
        refused = writes_refused(redis)
        eventually(lambda: writes_refused(redis) > refused + 3)
        assert worker_s_connections(redis) <= connections + 1
        assert worker.poll() is None
        redis.replicaof("NO", "ONE")
        eventually(lambda: bool(waiting(redis)))
        redis.lpush(QUEUE, message())
        eventually(lambda: not redis.llen(QUEUE) and not redis.exists("unacked"))
        assert worker_s_connections(redis) <= connections
        assert worker.poll() is None


def test_a_url_with_tls_is_spoken_to_with_tls() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(20)
        url = f"rediss://127.0.0.1:{listener.getsockname()[1]}/0"
        process = subprocess.Popen(
            [sys.executable, "-c", CONNECT],
            cwd=ROOT,
            env=worker_environment() | {"REDIS_URL": url},
            stderr=subprocess.DEVNULL,
        )
        try:
            connection, _ = listener.accept()
            with connection:
                connection.settimeout(20)
                assert connection.recv(1) == TLS_HANDSHAKE
        finally:
            process.kill()
            process.wait(10)
