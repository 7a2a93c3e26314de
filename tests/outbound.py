"""Outbound requests for tests, and what drives a transport or door until they have ended."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from ipaddress import IPv4Network, ip_address, ip_network
from pathlib import Path
from typing import Any, Protocol

from deliveries.sending.request_head import checked_head
from deliveries.sending.transport import Exchange, OutboundRequest, Transport
from subscriptions.guard.address_guard import AddressPolicy, parse_destination

LOOPBACK = IPv4Network("127.0.0.0/8")
LOOPBACK_ALLOWED = AddressPolicy(allowed_networks=(LOOPBACK, ip_network("::1/128")))


class Collects(Protocol):
    """A transport or the door."""

    def collect(self, timeout_seconds: float) -> list[Exchange]:
        """Return what ended."""


def request_to(
    url: str,
    *,
    body: bytes = b'{"type":"Task.update"}',
    headers: Iterable[tuple[str, str]] = (),
    tenant: str = "project-1",
    ticket: Any = None,
) -> OutboundRequest:
    """Make a request as the pump would; `headers` come after the two that it must have."""
    destination = parse_destination(url)
    return OutboundRequest(
        ticket=ticket if ticket is not None else url,
        tenant=tenant,
        url=destination,
        head=checked_head(
            (
                ("Host", destination.host_header),
                ("Content-Length", str(len(body))),
                ("Content-Type", "application/json"),
                *headers,
            ),
            host_header=destination.host_header,
            body_bytes=len(body),
        ),
        body=body,
    )


def submit(
    transport: Transport,
    request: OutboundRequest,
    *,
    deadline_seconds: float = 1.0,
    connect_seconds: float | None = None,
) -> None:
    """Hand a request to a transport, for the address in its URL."""
    address = request.url.address or ip_address("127.0.0.1")
    transport.submit(
        request,
        address=address,
        deadline_seconds=deadline_seconds,
        connect_seconds=connect_seconds,
    )


def collect_all(
    way: Collects,
    count: int,
    *,
    within_seconds: float = 5.0,
    meanwhile: Callable[[], None] = lambda: None,
) -> list[Exchange]:
    """Collect so many exchanges; fails when they do not come in time."""
    exchanges: list[Exchange] = []
    until = time.monotonic() + within_seconds
    while len(exchanges) < count:
        assert time.monotonic() < until, f"{len(exchanges)} of {count} ended: {exchanges}"
        exchanges += way.collect(0.05)
        meanwhile()
    return exchanges


def send_one(
    transport: Transport, request: OutboundRequest, *, deadline_seconds: float = 1.0
) -> Exchange:
    """Send one request through a transport, and wait for its end."""
    submit(transport, request, deadline_seconds=deadline_seconds)
    return collect_all(transport, 1)[0]


def resident_bytes() -> int | None:
    """Return how much memory this process occupies, where the system tells."""
    statm = Path("/proc/self/statm")
    return int(statm.read_text().split()[1]) * 4096 if statm.exists() else None
