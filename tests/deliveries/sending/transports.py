"""The transports that the conformance suite holds to the contract, by name."""

from __future__ import annotations

from typing import Protocol

from deliveries.sending.curl_transport import CurlTransport
from deliveries.sending.proxy_address import LocatedProxy
from deliveries.sending.requests_transport import RequestsTransport
from deliveries.sending.transport import Transport
from subscriptions.guard.address_guard import AddressPolicy
from tests.outbound import LOOPBACK_ALLOWED


class MakesTransport(Protocol):
    """Makes a transport; closing it is the caller's."""

    def __call__(
        self,
        *,
        policy: AddressPolicy = LOOPBACK_ALLOWED,
        ca_file: str | None = None,
        max_idle_seconds: int = 3,
        proxy: LocatedProxy | None = None,
    ) -> Transport:
        """Make one that trusts the authorities in `ca_file`, the public ones by default."""


def _curl(
    *,
    policy: AddressPolicy = LOOPBACK_ALLOWED,
    ca_file: str | None = None,
    max_idle_seconds: int = 3,
    proxy: LocatedProxy | None = None,
) -> Transport:
    return CurlTransport(
        policy=policy,
        max_connections=100,
        ca_file=ca_file,
        max_idle_seconds=max_idle_seconds,
        proxy=proxy,
    )


def _requests(
    *,
    policy: AddressPolicy = LOOPBACK_ALLOWED,
    ca_file: str | None = None,
    max_idle_seconds: int = 3,
    proxy: LocatedProxy | None = None,
) -> Transport:
    return RequestsTransport(
        policy=policy, ca_file=ca_file, max_idle_seconds=max_idle_seconds, proxy=proxy
    )


TRANSPORTS: dict[str, MakesTransport] = {"curl": _curl, "requests": _requests}
