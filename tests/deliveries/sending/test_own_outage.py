"""Our own outage is not the receivers' fault: nothing is lost, nobody is deactivated."""

from __future__ import annotations

import logging
import threading

import pytest
from django.utils import timezone

from deliveries.models import Attempt, Delivery, Worker
from deliveries.publishing.ingest import NewEvent, publish_many
from deliveries.sending.outage import FEELERS
from dispatcher.chaos.threaded_server import Connection, ThreadedServer
from subscriptions.models import Project, Subscription
from tests.factories import make_project, make_subscription
from tests.workers import allow_loopback, eventually, sending_in_this_process

pytestmark = pytest.mark.django_db(transaction=True)

RECEIVERS = 5
EVENTS = 30


def accept(connection: Connection) -> None:
    connection.send(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")


def network(port: int = 0) -> ThreadedServer:
    """One listener for receivers on addresses of their own: they all come and go at once."""
    return ThreadedServer({"accept": accept}, host="0.0.0.0", port=port)


def subscribe_receivers(project: Project, port: int) -> None:
    for number in range(1, RECEIVERS + 1):
        make_subscription(project=project, url=f"http://127.0.1.{number}:{port}/accept")


def publish_some(project: Project) -> None:
    publish_many(project=project, events=[NewEvent("a.b", n) for n in range(EVENTS)])


def finished() -> int:
    return Delivery.objects.filter(next_attempt_at=None).count()


def test_an_outage_of_our_own_deactivates_nobody_and_loses_nothing(
    settings: object, caplog: pytest.LogCaptureFixture
) -> None:
    allow_loopback(settings)
    project = make_project()
    with caplog.at_level(logging.WARNING), sending_in_this_process():
        with network() as receivers:
            subscribe_receivers(project, receivers.port)
            publish_many(project=project, events=[NewEvent("a.b", "first")])
            eventually(lambda: finished() == RECEIVERS)

        publish_some(project)  # nobody can be reached any more
        eventually(lambda: Attempt.objects.filter(outcome="own_outage").exists())
        eventually(lambda: Worker.objects.filter(own_outage_since__isnull=False).exists())
        assert finished() == RECEIVERS
        assert not Subscription.objects.exclude(is_active=True, failure_streak=0).exists()

        with network(receivers.port):
            Delivery.objects.filter(status="pending").update(next_attempt_at=timezone.now())
            eventually(lambda: finished() == RECEIVERS * (EVENTS + 1), within_seconds=30)
            eventually(lambda: not Worker.objects.filter(own_outage_since__isnull=False).exists())

    assert set(Delivery.objects.values_list("status", flat=True)) == {"succeeded"}
    assert "own outage: this worker reaches nobody" in caplog.text
    assert "own outage over" in caplog.text


def test_in_an_outage_only_a_few_deliveries_feel_the_way(
    settings: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    allow_loopback(settings)
    project = make_project()
    callers: list[str] = []
    monkeypatch.setattr(
        "deliveries.wake.wake_a_worker", lambda: callers.append(threading.current_thread().name)
    )
    with sending_in_this_process():
        with network() as receivers:
            subscribe_receivers(project, receivers.port)
            publish_many(project=project, events=[NewEvent("a.b", "first")])
            eventually(lambda: finished() == RECEIVERS)
        publish_many(project=project, events=[NewEvent("a.b", "second")])
        eventually(lambda: Attempt.objects.filter(outcome="own_outage").count() == RECEIVERS)

        publish_some(project)
        feelers = Attempt.objects.filter(outcome="own_outage")
        eventually(lambda: feelers.count() > RECEIVERS)

    assert feelers.count() <= RECEIVERS + 3 * FEELERS
    assert callers
    assert not [name for name in callers if name.startswith("ledger")]  # no other worker is called
    assert Delivery.objects.filter(attempt_count=0).count() >= EVENTS * RECEIVERS - 3 * FEELERS
