"""An outage of our own resolver under load: no name is blamed, nobody is deactivated."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from django.db.models import Q
from django.utils import timezone

from deliveries.models import Attempt, Delivery, Worker
from deliveries.publishing.ingest import NewEvent, publish_many
from dispatcher.chaos.threaded_server import Connection, ThreadedServer
from subscriptions.models import Project, Subscription
from tests.dns_stub import Answer, DnsStub
from tests.factories import make_project, make_subscription
from tests.workers import allow_loopback, eventually, sending_in_this_process

pytestmark = pytest.mark.django_db(transaction=True)

NAMES = 8
ROUND_SECONDS = 0.5
SILENT_ROUNDS = 14
"""Longer than a look-up may last (4 s), so that some are asked and given up in the outage."""


def accept(connection: Connection) -> None:
    connection.send(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")


@pytest.fixture
def project(settings: object) -> Iterator[Project]:
    """Return a project with receivers by name, and one by address; the pump asks the stub."""
    allow_loopback(settings)
    project = make_project()
    with ThreadedServer({"accept": accept}, host="0.0.0.0") as receivers:
        hosts = [f"receiver{number}.example.org" for number in range(NAMES)]
        for host in [*hosts, "127.0.0.1"]:
            make_subscription(project=project, url=f"http://{host}:{receivers.port}/accept")
        yield project


@pytest.fixture
def dns(settings: object) -> Iterator[DnsStub]:
    """Start a name server whose answers are to be forgotten at once."""
    with DnsStub() as dns:
        dns.unknown = Answer(("127.0.0.1",))
        settings.DISPATCHER_DNS_SERVERS = (dns.server,)  # type: ignore[attr-defined]
        yield dns


def publish_rounds(project: Project, count: int) -> None:
    for number in range(count):
        publish_many(project=project, events=[NewEvent("a.b", number)])
        time.sleep(ROUND_SECONDS)


def unfinished() -> int:
    return Delivery.objects.exclude(next_attempt_at=None).count()


def workers_in_outage() -> int:
    return Worker.objects.filter(own_outage_since__isnull=False).count()


def test_our_resolvers_silence_blames_no_name_and_loses_nothing(
    project: Project, dns: DnsStub
) -> None:
    with sending_in_this_process():
        publish_rounds(project, 3)
        dns.is_dead = True
        publish_rounds(project, SILENT_ROUNDS)
        eventually(lambda: workers_in_outage() == 1)
        dns.is_dead = False
        publish_rounds(project, 3)
        # What failed for our sake is repeated 15 s later: here at once.
        pending = Delivery.objects.filter(status="pending", next_attempt_at__gt=timezone.now())
        eventually(
            lambda: pending.update(next_attempt_at=timezone.now()) >= 0 and not unfinished(),
            within_seconds=40,
        )
        eventually(lambda: workers_in_outage() == 0)

    assert set(Delivery.objects.values_list("status", flat=True)) == {"succeeded"}
    outcomes = set(Attempt.objects.values_list("outcome", flat=True))
    assert outcomes == {"succeeded", "own_outage"}
    assert not Subscription.objects.filter(Q(is_active=False) | Q(failure_streak__gt=0)).exists()


def test_an_outage_of_our_resolver_is_over_though_nobody_needs_it_any_more(
    project: Project, dns: DnsStub
) -> None:
    """Who was looked up in vain is asked again much later, and the others have addresses."""
    named = Subscription.objects.exclude(url__contains="127.0.0.1")
    with sending_in_this_process():
        dns.is_dead = True
        publish_rounds(project, 1)
        eventually(lambda: workers_in_outage() == 1)
        named.update(is_active=False, deactivated_at=timezone.now())
        Delivery.objects.filter(subscription__in=named).update(
            status="cancelled", next_attempt_at=None, finished_at=timezone.now()
        )
        dns.is_dead = False

        publish_many(project=project, events=[NewEvent("a.b", number) for number in range(100)])

        eventually(lambda: not unfinished(), within_seconds=30)
        eventually(lambda: workers_in_outage() == 0)
