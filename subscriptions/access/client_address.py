"""Tells the client's address: the connection's, or what trusted proxies say of who called them.

Called where addresses are counted or written down (login, audit log). What others than a trusted
proxy write into `X-Forwarded-For` is never believed.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from functools import lru_cache
from ipaddress import IPv6Address, IPv6Network, ip_address
from typing import Protocol

from django.conf import settings

from subscriptions.guard.special_addresses import IPAddress, IPNetwork

_WITH_PORT = re.compile(r"(?P<v4>[0-9.]+):\d{1,5}|\[(?P<v6>[0-9A-Fa-f:.]+)\](?::\d{1,5})?")
"""How some proxies write an entry: `192.0.2.1:4711`, `[2001:db8::1]:4711`."""


class HasMeta(Protocol):
    """Django's request, or DRF's."""

    @property
    def META(self) -> dict[str, str]: ...


def address_of(request: HasMeta) -> IPAddress | None:
    """Return the address of the client that made this request; `None` on a Unix socket."""
    return client_address(
        request.META.get("REMOTE_ADDR", ""),
        request.META.get("HTTP_X_FORWARDED_FOR", ""),
        trusted_proxies=settings.DISPATCHER_TRUSTED_PROXIES,
    )


def client_address(
    remote_address: str, forwarded_for: str, *, trusted_proxies: Collection[IPNetwork]
) -> IPAddress | None:
    """Return the address nearest to us that is not a trusted proxy's; pure.

    Each proxy adds at the right who called it, so an entry counts only if all that stand right of
    it, and the connection itself, are trusted proxies'. What is no address ends the walk: the last
    proxy is then all that is known.
    """
    address = _parse(remote_address)
    for entry in reversed(forwarded_for.split(",")):
        if address is None or not any(address in network for network in trusted_proxies):
            return address
        before = _parse(entry)
        if before is None:
            return address
        address = before
    return address


def client_of(address: IPAddress | None) -> str:
    """Return what one client has: an IPv4 address, or all of an IPv6 network of 64 bits."""
    if isinstance(address, IPv6Address):
        return str(IPv6Network((int(address), 64), strict=False))
    return str(address)


@lru_cache(maxsize=1024)  # a publisher calls again and again; parsing takes ten microseconds
def _parse(text: str) -> IPAddress | None:
    text = text.strip()
    if found := _WITH_PORT.fullmatch(text):
        text = found["v4"] or found["v6"]
    try:
        address = ip_address(text)
    except ValueError:
        return None
    if isinstance(address, IPv6Address):
        # A socket for both families shows an IPv4 client as ::ffff:192.0.2.1.
        return address.ipv4_mapped or address
    return address
