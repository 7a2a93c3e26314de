"""The main job, whole: an event comes in, a signed POST goes out, its history can be read.

Real processes, a real receiver, and verifiers that this project did not write.
"""

from __future__ import annotations

import json
import signal
import subprocess
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from threading import Event

import pytest
from django.db import transaction
from django.utils import timezone
from standardwebhooks import Webhook

from deliveries.models import Attempt, Delivery
from deliveries.publishing.ingest import NewEvent, publish, publish_many
from dispatcher.chaos.threaded_server import KEEP, Connection, ThreadedServer
from subscriptions.models import Subscription
from subscriptions.payload import payload_from_json
from subscriptions.secrets.signing_secrets import reveal_newest
from tests.factories import make_project, make_subscription
from tests.hostile_receiver import dies_when_reused
from tests.workers import allow_loopback, eventually, sending, worker_process

pytestmark = pytest.mark.django_db(transaction=True)

SAMPLES = Path(__file__).parent / "deliveries" / "data"
LEGACY_SECRET = "3b1f9a6c0c2e4d7f8a5b"


def accept(connection: Connection) -> bool:
    connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    return KEEP


def refuse(connection: Connection) -> bool:
    connection.send(b"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n")
    return KEEP


def accept_slowly(connection: Connection) -> bool:
    connection.pause(1.0)
    return accept(connection)


@pytest.fixture
def receiver() -> Iterator[ThreadedServer]:
    """A receiver with a path per temper."""
    server = ThreadedServer(
        {
            "accept": accept,
            "refuse": refuse,
            "slow": accept_slowly,
            "dies-when-reused": dies_when_reused,
        }
    )
    yield server
    server.close()


@pytest.fixture(autouse=True)
def _loopback(settings: object) -> None:
    allow_loopback(settings)


def all_finished() -> bool:
    return not Delivery.objects.filter(next_attempt_at__isnull=False).exists()


def openssl_hmac(secret: str, content: bytes) -> bytes:
    """What `openssl dgst` says the HMAC-SHA256 is, in hex."""
    command = ["openssl", "dgst", "-sha256", "-hmac", secret, "-hex"]
    result = subprocess.run(command, input=content, capture_output=True, check=True)
    return result.stdout.split()[-1]


def test_a_standard_request_verifies_with_the_reference_library(receiver: ThreadedServer) -> None:
    subscription = make_subscription(url=f"{receiver.origin}/accept")
    data = {"id": 20004, "名前": "タスク", "amount": 123456789012345678901234567890}
    published = publish(project=subscription.project, event_type="Task.update", data=data)
    with sending():
        eventually(all_finished)

    (request,) = receiver.requests
    body = Webhook(reveal_newest(subscription)).verify(request.body, request.headers)
    assert list(body) == ["type", "timestamp", "data"]
    assert (body["type"], body["data"]) == ("Task.update", data)
    assert request.headers["webhook-id"] == f"evt_{published.id.hex}"
    assert "タスク".encode() in request.body

    attempt = Attempt.objects.get()
    assert attempt.request_headers.encode() == b"\n".join(request.header_lines)
    assert bytes(attempt.response_body) == b"ok"
    assert attempt.remote_address == "127.0.0.1"


def test_the_documented_repsona_payload_arrives_and_verifies(receiver: ThreadedServer) -> None:
    subscription = make_subscription(
        url=f"{receiver.origin}/accept", wire_format="repsona", secret=LEGACY_SECRET
    )
    sample = json.loads((SAMPLES / "repsona_task_update.json").read_text())
    publish(project=subscription.project, event_type=sample["type"], data=sample["event"])
    with sending():
        eventually(all_finished)

    (request,) = receiver.requests
    assert json.loads(request.body) == sample
    signature = request.headers["repsona-signature"]
    moment, digest = (part.split("=", 1)[1] for part in signature.split(","))
    assert openssl_hmac(LEGACY_SECRET, f"{moment}.".encode() + request.body) == digest.encode()


@pytest.mark.parametrize("scheme", ["phrase", "phrase-hex"])
def test_the_documented_phrase_payload_arrives_and_verifies(
    receiver: ThreadedServer, scheme: str
) -> None:
    subscription = make_subscription(
        url=f"{receiver.origin}/accept",
        wire_format="phrase",
        secret=LEGACY_SECRET,
        signature_schemes=[scheme],
    )
    text = (SAMPLES / "phrase_translations_create.json").read_text()
    sample = json.loads(text)
    publish(project=subscription.project, event_type=sample["event"], data=payload_from_json(text))
    with sending():
        eventually(all_finished)

    (request,) = receiver.requests
    assert json.loads(request.body) == sample
    assert list(json.loads(request.body)) == list(sample)
    headers = request.headers
    assert headers["x-phraseapp-event"] == "translations:create"
    digest = bytes.fromhex(openssl_hmac(LEGACY_SECRET, request.body).decode())
    expected = digest.hex() if scheme == "phrase-hex" else _base64(digest)
    assert headers["x-phraseapp-signature"] == expected


def _base64(raw: bytes) -> str:
    result = subprocess.run(["openssl", "base64", "-A"], input=raw, capture_output=True, check=True)
    return result.stdout.decode()


def test_what_was_rolled_back_is_never_sent(receiver: ThreadedServer) -> None:
    subscription = make_subscription(url=f"{receiver.origin}/accept")
    with transaction.atomic():
        publish(project=subscription.project, event_type="a.b", data="never")
        transaction.set_rollback(True)
    with sending():
        publish(project=subscription.project, event_type="a.b", data="sent")
        eventually(all_finished)
    assert [json.loads(request.body)["data"] for request in receiver.requests] == ["sent"]


@pytest.mark.postgres
def test_an_event_whose_broker_was_down_is_sent(receiver: ThreadedServer) -> None:
    subscription = make_subscription(url=f"{receiver.origin}/accept")
    nobody = "redis://127.0.0.1:1/0"
    with worker_process(REDIS_URL=nobody):
        publish(project=subscription.project, event_type="a.b", data={})
        eventually(all_finished, within_seconds=60)
    assert len(receiver.requests) == 1


def test_a_connection_that_dies_under_a_request_loses_nothing(receiver: ThreadedServer) -> None:
    subscription = make_subscription(url=f"{receiver.origin}/dies-when-reused")
    with sending():
        for n in range(4):  # without a retry schedule
            publish(project=subscription.project, event_type="a.b", data=n)
            eventually(all_finished)

    assert set(Delivery.objects.values_list("status", flat=True)) == {"succeeded"}
    ends = Counter(Attempt.objects.values_list("outcome", flat=True))
    assert ends == {"succeeded": 4, "connection_failed": 1}
    assert [json.loads(request.body)["data"] for request in receiver.requests] == [0, 1, 1, 2, 3]
    subscription.refresh_from_db()
    assert subscription.failure_streak == 0


def test_ten_failures_in_a_row_deactivate_and_cancel_the_rest(receiver: ThreadedServer) -> None:
    subscription = make_subscription(url=f"{receiver.origin}/refuse")
    other = make_subscription(project=subscription.project, url=f"{receiver.origin}/accept")
    events = [NewEvent("a.b", n) for n in range(200)]
    publish_many(project=subscription.project, events=events)
    with sending():
        eventually(all_finished)

    subscription.refresh_from_db()
    assert (subscription.is_active, subscription.failure_streak) == (False, 10)
    assert subscription.deactivation_reason == "failures"
    assert "500" in subscription.last_error
    ends = Counter(
        Delivery.objects.filter(subscription=subscription).values_list("status", "end_reason")
    )
    sent = len(receiver.requests_for("/refuse"))
    assert ends == {("failed", ""): sent, ("cancelled", "deactivated"): 200 - sent}
    assert 10 <= sent <= 200
    assert len(receiver.requests_for("/accept")) == 200
    assert Subscription.objects.get(id=other.id).is_active


def test_a_stop_under_load_loses_nothing_and_doubles_nothing(receiver: ThreadedServer) -> None:
    subscription = make_subscription(project=make_project(), url=f"{receiver.origin}/slow")
    events = [NewEvent("a.b", n) for n in range(400)]  # fifty at a time, for a second each
    publish_many(project=subscription.project, events=events)
    with sending():
        eventually(lambda: len(receiver.requests) >= 20)
    assert not Delivery.objects.filter(status="sending").exists()
    assert Delivery.objects.filter(status="pending").exists()
    with sending():
        eventually(all_finished, within_seconds=60)
    assert sorted(json.loads(request.body)["data"] for request in receiver.requests) == list(
        range(400)
    )
    assert set(Attempt.objects.values_list("outcome", flat=True)) == {"succeeded"}


@pytest.mark.postgres
def test_what_a_killed_worker_had_in_flight_is_sent_again_and_its_history_says_so() -> None:
    is_killed = Event()

    def accept_once_killed(connection: Connection) -> bool:
        is_killed.wait(4)  # the attempt's deadline is five
        return accept(connection)

    with ThreadedServer({"waits": accept_once_killed}) as receiver:
        subscription = make_subscription(url=f"{receiver.origin}/waits")
        events = [NewEvent("a.b", n) for n in range(10)]
        published = publish_many(project=subscription.project, events=events)
        with worker_process() as worker:
            eventually(lambda: len(receiver.requests) == 10, within_seconds=60)
            worker.send_signal(signal.SIGKILL)
            worker.wait(10)
        killed_at = timezone.now()
        is_killed.set()
        with sending():
            due_at = max(timezone.now(), killed_at + timedelta(seconds=10))  # the lease
            eventually(all_finished, within_seconds=40)
            assert (timezone.now() - due_at).total_seconds() < 5 + 5  # the bound, and its sending
        sent = Counter(json.loads(request.body)["data"] for request in receiver.requests)
    assert sent == dict.fromkeys(range(10), 2)
    for event in published:
        history = Attempt.objects.filter(delivery_id=event.delivery_ids[0])
        assert list(history.values_list("number", "outcome")) == [
            (1, "interrupted"),
            (2, "succeeded"),
        ]
