"""Which addresses belong to this machine, asked of the kernel; nothing is sent.

`address_guard.AddressPolicy` is given `is_own_address`: what listens on this machine must not be
reached from inside of its firewall, by its public address either.
"""

from __future__ import annotations

import errno
import socket
import time
from collections.abc import Callable
from ipaddress import IPv4Address, ip_address
from typing import Final

from subscriptions.guard.special_addresses import IPAddress

REMEMBERED_SECONDS: Final = 60.0
"""Addresses come and go while a process runs (failover, containers), but seldom."""

REMEMBERED_ANSWERS: Final = 4096
"""Of 0.2 kB each. When they are full all are dropped: asking again takes some 20 µs each."""

# Documentation addresses (RFC 5737, RFC 3849), which no machine has.
_NOBODYS_ADDRESSES: Final = {4: ip_address("192.0.2.1"), 6: ip_address("2001:db8::1")}

# Out of descriptors or memory: the kernel was not asked.
_EXHAUSTED: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})

_ANY_PORT: Final = 0
_DISCARD_PORT: Final = 9  # connecting a UDP socket sends nothing, but needs a port other than 0


class RememberedAnswers:
    """Asks `is_own` about an address once a minute at most; threads may share it."""

    def __init__(
        self, is_own: Callable[[IPAddress], bool], *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._is_own = is_own
        self._clock = clock
        self._answers: dict[bytes, tuple[bool, float]] = {}

    def __len__(self) -> int:
        return len(self._answers)

    def is_own_address(self, address: IPAddress) -> bool:
        """Say whether the address is one of this machine's, wildcards and loopback included.

        Raises `OSError` where the kernel cannot be asked (no descriptor is free), and remembers
        nothing: a guess of "no" would let whoever uses up our descriptors choose their moment.
        """
        key = address.packed  # hashes in C, unlike the address
        now = self._clock()
        remembered = self._answers.get(key)
        if remembered is not None and now < remembered[1]:
            return remembered[0]
        answer = self._is_own(address)
        if len(self._answers) >= REMEMBERED_ANSWERS:
            self._answers.clear()
        self._answers[key] = (answer, now + REMEMBERED_SECONDS)
        return answer


def can_bind_to(address: IPAddress) -> bool:
    """Try to bind a UDP socket to the address; raises `OSError` when out of sockets."""
    try:
        with _udp_socket(address) as probe:
            probe.bind((str(address), _ANY_PORT))
    except OSError as error:
        return _no_unless_exhausted(error)
    return True


def is_own_source(address: IPAddress) -> bool:
    """Say whether the kernel would talk to the address from that same address.

    Not so for all that is local (127.0.0.2, addresses that only a local route declares), but
    never for what is not. Raises `OSError` when out of sockets.
    """
    try:
        with _udp_socket(address) as probe:
            probe.connect((str(address), _DISCARD_PORT))
            source = probe.getsockname()[0]
    except OSError as error:
        return _no_unless_exhausted(error)
    return ip_address(source) == address


def ask_kernel(address: IPAddress, *, can_bind: Callable[[IPAddress], bool] = can_bind_to) -> bool:
    """Find out whether the address is local; raises `OSError` when out of sockets."""
    if not can_bind(address):
        return False
    # With the sysctl ip_nonlocal_bind (usual beside keepalived) every address can be bound to.
    if can_bind(_NOBODYS_ADDRESSES[address.version]):
        return is_own_source(address)
    return True


is_own_address: Final = RememberedAnswers(ask_kernel).is_own_address
"""What `AddressPolicy.is_own` is in production."""


def _udp_socket(address: IPAddress) -> socket.socket:
    family = socket.AF_INET if isinstance(address, IPv4Address) else socket.AF_INET6
    return socket.socket(family, socket.SOCK_DGRAM)


def _no_unless_exhausted(error: OSError) -> bool:
    if error.errno in _EXHAUSTED:
        raise error
    return False
