"""Whether a peer has hung up, and who is not trusted with kept-alive connections."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from deliveries.sending.kept_connections import DISTRUST_SECONDS, Ends, KeptConnections

ENDS: Ends = ("192.0.2.1", "192.0.2.9", 443, 50000)
OTHER_ENDS: Ends = ("192.0.2.2", "192.0.2.9", 443, 50001)


class Clock:
    """Seconds that pass when told."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Connect our end to a peer's."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        ours = socket.create_connection(listener.getsockname())
        theirs, _ = listener.accept()
    with ours, theirs:
        yield ours, theirs


def test_a_silent_connection_is_alive(pair: tuple[socket.socket, socket.socket]) -> None:
    kept = KeptConnections()
    connection = kept.add(ENDS, pair[0].fileno())
    assert not kept.is_dead(connection, expects_silence=True)


def test_a_peer_that_has_closed_is_noticed(pair: tuple[socket.socket, socket.socket]) -> None:
    kept = KeptConnections()
    connection = kept.add(ENDS, pair[0].fileno())
    pair[1].close()
    assert kept.is_dead(connection, expects_silence=True)


def test_words_out_of_turn_end_only_a_connection_that_expects_silence(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    kept = KeptConnections()
    connection = kept.add(ENDS, pair[0].fileno())
    pair[1].sendall(b"HTTP/1.1 408 Request Timeout\r\n\r\n")
    assert kept.is_dead(connection, expects_silence=True)
    assert not kept.is_dead(connection, expects_silence=False)


def test_a_hang_up_is_noted_by_descriptor() -> None:
    kept = KeptConnections()
    connection, other = kept.add(ENDS, 5), kept.add(OTHER_ENDS, 6)
    kept.note_hang_up(5)
    kept.note_hang_up(77)
    assert (connection.has_hung_up, other.has_hung_up) == (True, False)


def test_a_descriptor_that_is_given_out_again_forgets_its_former_connection() -> None:
    kept = KeptConnections()
    kept.add(ENDS, 5)
    new = kept.add(OTHER_ENDS, 5)
    assert kept.get(ENDS) is None
    assert kept.get(OTHER_ENDS) is new
    assert len(kept) == 1


def test_ends_that_are_used_again_belong_to_the_new_descriptor() -> None:
    kept = KeptConnections()
    kept.add(ENDS, 5)
    new = kept.add(ENDS, 6)
    kept.add(OTHER_ENDS, 5)
    assert kept.get(ENDS) is new


def test_distrust_passes() -> None:
    clock = Clock()
    kept = KeptConnections(clock=clock)
    kept.distrust("a.test", 443)
    assert kept.is_distrusted("a.test", 443)
    assert not kept.is_distrusted("a.test", 8443)
    clock.now += DISTRUST_SECONDS
    assert not kept.is_distrusted("a.test", 443)
