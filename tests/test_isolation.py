"""Tests reach nothing outside of this machine; the addresses here are nobody's (RFC 5737)."""

from __future__ import annotations

import socket

import pytest

from tests.conftest import OutsideNetworkError


def test_connecting_to_the_outside_is_refused() -> None:
    with socket.socket() as client:
        client.settimeout(0.1)
        with pytest.raises(OutsideNetworkError):
            client.connect(("192.0.2.1", 80))


def test_a_datagram_to_the_outside_is_refused() -> None:
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender,
        pytest.raises(OutsideNetworkError),
    ):
        sender.sendto(b"anybody there?", ("192.0.2.1", 53))


def test_looking_up_a_name_elsewhere_is_refused() -> None:
    with pytest.raises(OutsideNetworkError):
        socket.getaddrinfo("receiver.example", 443)


def test_loopback_is_open() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(("localhost", server.getsockname()[1]), timeout=5) as client,
    ):
        assert client.getpeername()[1] == server.getsockname()[1]
