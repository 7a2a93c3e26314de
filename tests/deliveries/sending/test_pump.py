"""The pump: what goes wrong with one delivery stays there, and a crash is not kept quiet."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from deliveries.models import Attempt, Delivery, Event
from deliveries.publishing.ingest import NewEvent, publish, publish_many
from deliveries.sending.compose import compose_body
from deliveries.sending.engine import start_pump, stop_pump
from dispatcher.chaos.threaded_server import KEEP, Connection, ThreadedServer
from subscriptions.models import SigningSecret, Subscription
from tests.factories import make_project, make_subscription
from tests.workers import allow_loopback, eventually

pytestmark = pytest.mark.django_db(transaction=True)


def accept(connection: Connection) -> bool:
    connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    return KEEP


@pytest.fixture
def receiver() -> Iterator[ThreadedServer]:
    with ThreadedServer({"accept": accept}) as server:
        yield server


@pytest.fixture(autouse=True)
def _loopback(settings: object) -> None:
    allow_loopback(settings)


def send_all() -> None:
    pump = start_pump()
    try:
        eventually(lambda: not Delivery.objects.filter(next_attempt_at__isnull=False).exists())
    finally:
        assert stop_pump(pump, timeout_seconds=20)


def only_outcome(subscription: Subscription) -> tuple[str, str, str]:
    row = Delivery.objects.get(subscription=subscription)
    attempt = Attempt.objects.get(delivery_id=row.id)
    return row.status, attempt.outcome, attempt.error


def test_what_cannot_be_composed_or_signed_fails_alone(receiver: ThreadedServer) -> None:
    project = make_project()
    url = f"{receiver.origin}/accept"
    healthy = make_subscription(project=project, url=url)
    unsigned = make_subscription(project=project, url=url)
    SigningSecret.objects.filter(subscription=unsigned).delete()
    unreadable = make_subscription(project=project, url=url)
    SigningSecret.objects.filter(subscription=unreadable).update(ciphertext="gAAAAA-rubbish")
    unknown_format = make_subscription(project=project, url=url)
    odd_header = make_subscription(
        project=project, url=url, custom_headers={"X-Odd": "1\r\nX-Injected: 2"}
    )
    bad_url = make_subscription(project=project, url="http://127.1/")
    publish(project=project, event_type="a.b", data={})
    Subscription.objects.filter(id=unknown_format.id).update(wire_format="morse")

    send_all()

    assert only_outcome(healthy) == ("succeeded", "succeeded", "")
    for broken in (unsigned, unreadable, unknown_format, odd_header):
        status, outcome, error = only_outcome(broken)
        assert (status, outcome) == ("failed", "not_sendable")
        assert error
        broken.refresh_from_db()
        assert broken.failure_streak == 1
    assert only_outcome(bad_url)[:2] == ("failed", "blocked_address")
    assert len(receiver.requests) == 1


def test_an_event_that_is_gone_fails_its_delivery(receiver: ThreadedServer) -> None:
    subscription = make_subscription(url=f"{receiver.origin}/accept")
    publish(project=subscription.project, event_type="a.b", data={})
    Event.objects.all().delete()
    send_all()
    assert only_outcome(subscription)[1] == "not_sendable"


def test_a_bug_in_preparing_ends_that_delivery_only(
    receiver: ThreadedServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    subscription = make_subscription(url=f"{receiver.origin}/accept")
    events = [NewEvent("a.b", n) for n in range(5)]
    publish_many(project=subscription.project, events=events)

    def compose_all_but_one(*args: object, **options: object) -> object:
        if options["data"] == "3":
            raise ZeroDivisionError
        return compose_body(*args, **options)  # type: ignore[arg-type]  # passed on

    monkeypatch.setattr("deliveries.sending.preparation.compose_body", compose_all_but_one)
    send_all()
    statuses = sorted(Delivery.objects.values_list("status", flat=True))
    assert statuses == ["failed", *["succeeded"] * 4]
    assert "ZeroDivisionError" in caplog.text


def test_one_line_is_logged_per_attempt_with_every_id_and_no_secret(
    receiver: ThreadedServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "deliveries.attempt")
    subscription = make_subscription(url=f"{receiver.origin}/accept", secret="whsec_" + "QUJD" * 11)
    published = publish(project=subscription.project, event_type="a.b", data={"private": 1})
    send_all()
    (line,) = [record.message for record in caplog.records if record.name == "deliveries.attempt"]
    for identifier in (published.id, *published.delivery_ids, subscription.id):
        assert identifier.hex in line
    assert "outcome=succeeded status=200" in line
    assert "QUJD" not in line
    assert "private" not in line


def test_a_crash_of_the_pump_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    has_crashed = threading.Event()
    monkeypatch.setattr(
        "deliveries.sending.door.Door.collect", lambda *_: (_ for _ in ()).throw(ZeroDivisionError)
    )
    pump = start_pump(on_crash=has_crashed.set)
    assert has_crashed.wait(10)
    assert stop_pump(pump, timeout_seconds=10)


def test_a_pump_whose_slots_are_all_taken_waits_without_work(settings: Any) -> None:
    settings.DISPATCHER_IN_FLIGHT_LIMIT = 4
    released = threading.Event()

    def hold(connection: Connection) -> bool:
        released.wait(20)
        return accept(connection)

    with ThreadedServer({"hold": hold}) as receiver:
        project = make_project()
        make_subscription(project=project, url=f"{receiver.origin}/hold")
        publish_many(project=project, events=[NewEvent("a.b", number) for number in range(20)])
        pump = start_pump()
        try:
            eventually(lambda: Delivery.objects.filter(status="sending").count() == 4)
            time.sleep(1.2)  # longer than what it polls after
            began = time.process_time()
            time.sleep(1.5)
            assert time.process_time() - began < 0.5
        finally:
            released.set()
            assert stop_pump(pump, timeout_seconds=20)
