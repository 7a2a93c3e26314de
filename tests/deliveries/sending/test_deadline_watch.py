"""Sockets are cut off when their time is up, and only then."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator

import pytest

from deliveries.sending.deadline_watch import DeadlineWatch


@pytest.fixture
def watch() -> Iterator[DeadlineWatch]:
    """Start a watch, and end it."""
    watch = DeadlineWatch()
    yield watch
    watch.close()


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Connect our end to a peer's."""
    ours, theirs = socket.socketpair()
    ours.settimeout(5.0)
    with ours, theirs:
        yield ours, theirs


def in_seconds(seconds: float) -> float:
    """Return a moment of the monotonic clock."""
    return time.monotonic() + seconds


def test_a_socket_that_waits_is_cut_off_at_its_deadline(
    watch: DeadlineWatch, pair: tuple[socket.socket, socket.socket]
) -> None:
    began_at = time.monotonic()
    watch.guard(pair[0], until=in_seconds(0.2))
    assert pair[0].recv(1) == b""
    assert 0.15 < time.monotonic() - began_at < 2.0


def test_bytes_that_drip_in_do_not_put_a_deadline_off(
    watch: DeadlineWatch, pair: tuple[socket.socket, socket.socket]
) -> None:
    is_over = threading.Event()

    def drip() -> None:
        while not is_over.wait(0.02):
            pair[1].send(b"x")

    dripping = threading.Thread(target=drip)
    dripping.start()
    began_at = time.monotonic()
    watch.guard(pair[0], until=in_seconds(0.2))
    while time.monotonic() < began_at + 5 and pair[0].recv(1):
        pass
    is_over.set()
    dripping.join()
    assert time.monotonic() - began_at < 2.0


def test_the_nearest_deadline_counts_however_late_it_was_set(
    watch: DeadlineWatch, pair: tuple[socket.socket, socket.socket]
) -> None:
    watch.guard(pair[1], until=in_seconds(60))
    time.sleep(0.05)  # the watch waits for that one
    began_at = time.monotonic()
    watch.guard(pair[0], until=in_seconds(0.1))
    assert pair[0].recv(1) == b""
    assert time.monotonic() - began_at < 2.0


def test_a_socket_that_was_let_go_or_given_more_time_goes_on(
    watch: DeadlineWatch, pair: tuple[socket.socket, socket.socket]
) -> None:
    watch.guard(pair[0], until=in_seconds(0.1))
    watch.let_go(pair[0])
    watch.guard(pair[1], until=in_seconds(0.1))
    watch.guard(pair[1], until=in_seconds(60))
    time.sleep(0.3)
    pair[0].sendall(b"a")
    assert pair[1].recv(1) == b"a"


def test_time_that_is_up_already_is_said_at_once(
    watch: DeadlineWatch, pair: tuple[socket.socket, socket.socket]
) -> None:
    with pytest.raises(TimeoutError):
        watch.guard(pair[0], until=in_seconds(-0.1))


def test_closing_cuts_everything_off_and_takes_nothing_more(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    watch = DeadlineWatch()
    watch.guard(pair[0], until=in_seconds(60))
    watch.close()
    assert pair[0].recv(1) == b""
    with pytest.raises(TimeoutError):
        watch.guard(pair[1], until=in_seconds(60))
