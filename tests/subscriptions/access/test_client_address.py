"""Whose address counts: nobody can choose it by writing a header."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest
from django.conf import LazySettings
from django.test import RequestFactory

from subscriptions.access.client_address import address_of, client_address

PROXIES = (ip_network("10.0.0.0/8"), ip_network("2001:db8:1::/48"))


@pytest.mark.parametrize(
    ("remote", "forwarded", "expected"),
    [
        ("192.0.2.1", "", "192.0.2.1"),
        # a header of a client's own
        ("192.0.2.1", "198.51.100.1", "192.0.2.1"),
        ("192.0.2.1", "10.0.0.1", "192.0.2.1"),
        # one proxy: what it added is the last entry, whatever came before
        ("10.0.0.1", "192.0.2.1", "192.0.2.1"),
        ("10.0.0.1", "198.51.100.1, 192.0.2.1", "192.0.2.1"),
        ("10.0.0.1", "10.9.9.9,192.0.2.1", "192.0.2.1"),
        # two proxies in a row
        ("10.0.0.1", "198.51.100.1, 192.0.2.1, 10.0.0.2", "192.0.2.1"),
        # a client inside
        ("10.0.0.1", "10.0.0.7, 10.0.0.2", "10.0.0.7"),
        ("10.0.0.1", "", "10.0.0.1"),
        # what is no address ends the walk
        ("10.0.0.1", "192.0.2.1, unknown", "10.0.0.1"),
        ("10.0.0.1", "192.0.2.1, ", "10.0.0.1"),
        ("10.0.0.1", "192.0.2.1, _hidden, 10.0.0.2", "10.0.0.2"),
        ("10.0.0.1", "010.0.0.1", "10.0.0.1"),
        # how some proxies write it
        ("10.0.0.1", "192.0.2.1:4711", "192.0.2.1"),
        ("10.0.0.1", "[2001:db8::1]:4711", "2001:db8::1"),
        ("10.0.0.1", "[2001:db8::1]", "2001:db8::1"),
        ("2001:db8:1::5", "2001:db8::1", "2001:db8::1"),
        # one socket for both families
        ("::ffff:192.0.2.1", "", "192.0.2.1"),
        ("::ffff:10.0.0.1", "::ffff:192.0.2.1", "192.0.2.1"),
    ],
)
def test_the_nearest_address_that_is_no_trusted_proxy_counts(
    remote: str, forwarded: str, expected: str
) -> None:
    found = client_address(remote, forwarded, trusted_proxies=PROXIES)
    assert found == ip_address(expected)


def test_without_trusted_proxies_the_header_is_not_read() -> None:
    found = client_address("10.0.0.1", "192.0.2.1", trusted_proxies=())
    assert found == ip_address("10.0.0.1")


def test_a_unix_socket_has_no_address_and_its_header_is_not_believed() -> None:
    assert client_address("", "192.0.2.1", trusted_proxies=PROXIES) is None


def test_a_request_is_judged_by_the_settings(settings: LazySettings) -> None:
    request = RequestFactory().get(
        "/", REMOTE_ADDR="10.0.0.1", headers={"X-Forwarded-For": "192.0.2.1"}
    )
    settings.DISPATCHER_TRUSTED_PROXIES = ()
    assert address_of(request) == ip_address("10.0.0.1")
    settings.DISPATCHER_TRUSTED_PROXIES = PROXIES
    assert address_of(request) == ip_address("192.0.2.1")
