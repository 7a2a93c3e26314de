"""Which addresses are this machine's own, and for how long that is remembered."""

from __future__ import annotations

import errno
import resource
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import IPv4Address, ip_address

import pytest

from subscriptions.guard import own_addresses
from subscriptions.guard.address_guard import AddressPolicy, IPAddress
from subscriptions.guard.own_addresses import (
    REMEMBERED_ANSWERS,
    REMEMBERED_SECONDS,
    RememberedAnswers,
    ask_kernel,
    can_bind_to,
    is_own_address,
    is_own_source,
)

NOT_OURS = ip_address("198.51.100.7")
NOT_RESERVED = ip_address("93.184.215.14")


class SettableClock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class CountingOracle:
    """Answers for the kernel, and counts how often it was asked."""

    def __init__(self, *own: IPAddress) -> None:
        self.own = set(own)
        self.asked = 0

    def __call__(self, address: IPAddress) -> bool:
        self.asked += 1
        return address in self.own


@contextmanager
def no_free_descriptor() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with socket.socket() as highest:
        resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
        try:
            assert highest.fileno() >= 0
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def interface_address() -> str:
    """Give an address of this machine by which it would reach others; loopback if it has none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((str(NOT_OURS), 9))  # sends nothing
        except OSError:
            return "127.0.0.1"
        return str(probe.getsockname()[0])


@pytest.mark.parametrize("address", ["127.0.0.1", "127.0.0.2", "0.0.0.0"])
def test_loopback_and_the_wildcard_are_own_addresses(address: str) -> None:
    assert is_own_address(ip_address(address))


def test_the_address_of_an_interface_is_an_own_address() -> None:
    assert is_own_address(ip_address(interface_address()))


def test_ipv6_loopback_is_an_own_address_where_there_is_ipv6() -> None:
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as probe:
            probe.bind(("::1", 0))
        has_ipv6 = True
    except OSError:
        has_ipv6 = False
    assert is_own_address(ip_address("::1")) == has_ipv6


@pytest.mark.parametrize("address", ["198.51.100.7", "8.8.8.8", "2606:4700:4700::1111"])
def test_other_addresses_are_not(address: str) -> None:
    assert not is_own_address(ip_address(address))


def test_a_policy_with_it_refuses_this_machine_and_nobody_else() -> None:
    policy = AddressPolicy(is_own=is_own_address)
    assert policy.refusal(IPv4Address("8.8.8.8")) is None
    assert policy.refusal(ip_address(interface_address())) is not None


class TestWhereEverythingCanBeBoundTo:
    """As with the sysctl ip_nonlocal_bind, under which binding proves nothing."""

    def test_an_interface_address_is_still_an_own_address(self) -> None:
        assert ask_kernel(ip_address(interface_address()), can_bind=lambda _address: True)

    def test_other_addresses_still_are_not(self) -> None:
        assert not ask_kernel(NOT_OURS, can_bind=lambda _address: True)


class TestMemory:
    def test_the_kernel_is_asked_once_within_a_minute(self) -> None:
        clock, oracle = SettableClock(), CountingOracle(NOT_OURS)
        remembered = RememberedAnswers(oracle, clock=clock)
        assert remembered.is_own_address(NOT_OURS)
        clock.now += REMEMBERED_SECONDS - 0.1
        assert remembered.is_own_address(NOT_OURS)
        assert oracle.asked == 1

    def test_an_address_that_the_machine_takes_on_is_noticed_after_a_minute(self) -> None:
        clock, oracle = SettableClock(), CountingOracle()
        remembered = RememberedAnswers(oracle, clock=clock)
        assert not remembered.is_own_address(NOT_OURS)
        oracle.own.add(NOT_OURS)
        clock.now += REMEMBERED_SECONDS
        assert remembered.is_own_address(NOT_OURS)

    def test_it_is_bounded(self) -> None:
        remembered = RememberedAnswers(CountingOracle())
        for number in range(REMEMBERED_ANSWERS + 10):
            remembered.is_own_address(IPv4Address(0x0B00_0000 + number))
        assert 0 < len(remembered) <= REMEMBERED_ANSWERS

    def test_ipv4_and_ipv6_addresses_of_one_number_are_told_apart(self) -> None:
        remembered = RememberedAnswers(CountingOracle(ip_address("::1")))
        assert remembered.is_own_address(ip_address("::1"))
        assert not remembered.is_own_address(ip_address("0.0.0.1"))


class TestOutOfDescriptors:
    @pytest.mark.parametrize("ask", [can_bind_to, is_own_source, ask_kernel])
    def test_the_kernel_s_refusal_is_told_from_a_no(self, ask: object) -> None:
        assert callable(ask)
        with no_free_descriptor(), pytest.raises(OSError, match="Too many open files") as caught:
            ask(NOT_OURS)
        assert caught.value.errno == errno.EMFILE

    def test_nobody_can_tell_and_nothing_is_remembered(self) -> None:
        # "No" would be a guess, at a moment that whoever uses up our descriptors can choose.
        remembered = RememberedAnswers(own_addresses.ask_kernel)
        policy = AddressPolicy(is_own=remembered.is_own_address)
        with no_free_descriptor(), pytest.raises(OSError, match="Too many open files"):
            policy.refusal(NOT_RESERVED)
        assert len(remembered) == 0
        assert policy.refusal(NOT_RESERVED) is None
