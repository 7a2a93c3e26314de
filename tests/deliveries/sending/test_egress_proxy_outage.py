"""An egress proxy that fails is not the receivers' fault; what it says of one receiver is heard."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
from django.utils import timezone
from pytest_django.fixtures import Settings

from deliveries.models import Attempt, Delivery
from deliveries.publishing.ingest import NewEvent, publish_many
from deliveries.sending.door import Door
from deliveries.sending.egress_proxy import EgressProxy, parse_egress_proxy
from deliveries.sending.proxy_address import LocatedProxy
from deliveries.sending.resolve import Resolver
from deliveries.sending.transport import BLOCKED_ADDRESS_ERROR, Exchange, Outcome
from dispatcher.chaos.threaded_server import Connection, ThreadedServer
from subscriptions.models import Subscription
from tests.connect_proxy import ESTABLISHED, ConnectProxy
from tests.deliveries.sending.transports import TRANSPORTS
from tests.factories import make_project, make_subscription
from tests.outbound import LOOPBACK_ALLOWED, collect_all, request_to
from tests.workers import allow_loopback, eventually, sending_in_this_process

FORBIDDEN = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"
UNAVAILABLE = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"
AUTHENTICATE = b"HTTP/1.1 407 Who?\r\nProxy-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n"


def accept(connection: Connection) -> None:
    connection.send(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")


@pytest.fixture
def proxy() -> Iterator[ConnectProxy]:
    with ConnectProxy() as proxy:
        yield proxy


@pytest.fixture(params=sorted(TRANSPORTS))
def door(request: pytest.FixtureRequest, proxy: ConnectProxy) -> Iterator[Door]:
    way = LocatedProxy(EgressProxy(proxy.host, proxy.port))
    door = Door(
        transport=TRANSPORTS[request.param](proxy=way),
        resolver=Resolver(),
        policy=LOOPBACK_ALLOWED,
        deadline_seconds=1.0,
        proxy=way,
    )
    yield door
    door.close()


@pytest.fixture
def receivers() -> Iterator[list[ThreadedServer]]:
    servers = [ThreadedServer({"accept": accept}, host=f"127.0.0.{number}") for number in (2, 3, 4)]
    yield servers
    for server in servers:
        server.close()


def send(door: Door, receivers: list[ThreadedServer]) -> list[Exchange]:
    for receiver in receivers:
        door.submit(request_to(f"{receiver.origin}/accept"))
    return collect_all(door, len(receivers), within_seconds=10)


# ---- One door ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [(FORBIDDEN, Outcome.BLOCKED_ADDRESS), (UNAVAILABLE, Outcome.CONNECTION_FAILED)],
)
def test_what_the_proxy_says_of_one_receiver_counts_when_it_reaches_others(
    door: Door,
    proxy: ConnectProxy,
    receivers: list[ThreadedServer],
    answer: bytes,
    outcome: Outcome,
) -> None:
    send(door, receivers)
    refused, *others = receivers
    proxy.answer_for = lambda authority: answer if "127.0.0.2" in authority else ESTABLISHED
    asked_before = len(proxy.authorities)

    (exchange,) = send(door, [refused])

    assert exchange.outcome is outcome
    assert (exchange.error == BLOCKED_ADDRESS_ERROR) is (outcome is Outcome.BLOCKED_ADDRESS)
    # Others were asked for a connection, through the proxy and not beside it; nothing was sent.
    asked = proxy.authorities[asked_before:]
    assert asked[0] == f"127.0.0.2:{refused.port}"
    assert {f"127.0.0.3:{others[0].port}", f"127.0.0.4:{others[1].port}"} & set(asked)
    assert sum(each.connections for each in others) <= 2 + len(asked)
    assert [len(each.requests) for each in receivers] == [1, 1, 1]


@pytest.mark.parametrize("answer", [FORBIDDEN, UNAVAILABLE, AUTHENTICATE, b""])
def test_a_proxy_that_lets_nobody_through_any_more_is_our_outage(
    door: Door, proxy: ConnectProxy, receivers: list[ThreadedServer], answer: bytes
) -> None:
    send(door, receivers)
    proxy.answer = answer

    exchanges = send(door, receivers)

    assert {exchange.outcome for exchange in exchanges} == {Outcome.OWN_OUTAGE}
    assert {exchange.request_was_sent for exchange in exchanges} == {False}
    assert all("not your fault" in exchange.error for exchange in exchanges)
    assert sum(each.connections for each in receivers) == 3


def test_a_proxy_that_has_reached_nobody_yet_is_our_outage(
    door: Door, proxy: ConnectProxy, receivers: list[ThreadedServer]
) -> None:
    proxy.answer = FORBIDDEN
    (exchange,) = send(door, receivers[:1])
    assert exchange.outcome is Outcome.OWN_OUTAGE


# ---- The engine ----------------------------------------------------------------------------------


def finished() -> int:
    return Delivery.objects.filter(next_attempt_at=None).count()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("transport", sorted(TRANSPORTS))
def test_while_the_proxy_is_away_nothing_is_lost_and_nobody_is_blamed(
    settings: Settings,
    receivers: list[ThreadedServer],
    transport: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    proxy = ConnectProxy()
    allow_loopback(settings)
    settings.DISPATCHER_TRANSPORT = transport
    settings.DISPATCHER_EGRESS_PROXY = parse_egress_proxy(
        f"http://robot:s3cret@127.0.0.1:{proxy.port}"
    )
    project = make_project()
    for receiver in receivers:
        make_subscription(project=project, url=f"{receiver.origin}/accept")
    with caplog.at_level(logging.INFO), sending_in_this_process():
        publish_many(project=project, events=[NewEvent("a.b", "first")])
        eventually(lambda: finished() == 3)
        proxy.close()

        publish_many(project=project, events=[NewEvent("a.b", "second")])
        eventually(lambda: Attempt.objects.filter(outcome="own_outage").count() >= 3)
        assert finished() == 3
        assert not Subscription.objects.exclude(is_active=True, failure_streak=0).exists()

        with ConnectProxy(port=proxy.port) as back:
            Delivery.objects.filter(status="pending").update(next_attempt_at=timezone.now())
            eventually(lambda: finished() == 6)
            assert len(back.heads) >= 3
    assert set(Delivery.objects.values_list("status", flat=True)) == {"succeeded"}
    shown = caplog.text + str(list(Attempt.objects.values()))
    assert "s3cret" not in shown
    assert "cm9ib3Q6" not in shown
    assert sum(len(each.requests) for each in receivers) == 6
