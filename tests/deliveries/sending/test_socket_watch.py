"""Waiting for sockets and for other threads, on each kind of watch."""

from __future__ import annotations

import os
import socket
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from deliveries.sending import socket_watch
from deliveries.sending.socket_watch import HUNG_UP, READABLE, WRITABLE, SelectorWatch, SocketWatch

KINDS = ["SelectorWatch"] + (["EpollWatch"] if sys.platform == "linux" else [])


@pytest.fixture(params=KINDS)
def watch(request: pytest.FixtureRequest) -> Iterator[SocketWatch]:
    """Make one kind of watch after the other."""
    watch: SocketWatch = getattr(socket_watch, request.param)()
    yield watch
    watch.close()


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Connect two sockets."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


def test_a_socket_is_reported_for_what_is_wanted_of_it(
    watch: SocketWatch, pair: tuple[socket.socket, socket.socket]
) -> None:
    ours, theirs = pair
    watch.want(ours.fileno(), READABLE)
    assert watch.wait(0.0) == ([], False)
    theirs.send(b"x")
    assert watch.wait(1.0) == ([(ours.fileno(), READABLE)], False)
    watch.want(ours.fileno(), READABLE | WRITABLE)
    assert watch.wait(1.0) == ([(ours.fileno(), READABLE | WRITABLE)], False)
    watch.want(ours.fileno(), WRITABLE)
    assert watch.wait(1.0) == ([(ours.fileno(), WRITABLE)], False)


def test_a_forgotten_socket_is_not_reported(
    watch: SocketWatch, pair: tuple[socket.socket, socket.socket]
) -> None:
    ours, theirs = pair
    watch.want(ours.fileno(), READABLE)
    watch.forget(ours.fileno())
    watch.forget(ours.fileno())
    theirs.send(b"x")
    assert watch.wait(0.05) == ([], False)


def test_the_end_of_a_stream_is_readable(
    watch: SocketWatch, pair: tuple[socket.socket, socket.socket]
) -> None:
    ours, theirs = pair
    watch.want(ours.fileno(), READABLE)
    theirs.close()
    ((descriptor, readiness),), _ = watch.wait(1.0)
    assert descriptor == ours.fileno()
    assert readiness & READABLE
    if not isinstance(watch, SelectorWatch):
        assert readiness & HUNG_UP


def test_an_end_of_stream_that_nobody_reads_does_not_keep_the_watch_busy(
    watch: SocketWatch, pair: tuple[socket.socket, socket.socket]
) -> None:
    ours, theirs = pair
    ours.setblocking(False)
    with pytest.raises(BlockingIOError):
        ours.sendall(bytes(10_000_000))
    watch.want(ours.fileno(), WRITABLE)
    theirs.shutdown(socket.SHUT_WR)
    assert watch.wait(0.05) == ([], False)


def test_a_wake_ends_one_wait(watch: SocketWatch) -> None:
    threading.Timer(0.05, watch.wake).start()
    began_at = time.monotonic()
    assert watch.wait(5.0) == ([], True)
    assert time.monotonic() - began_at < 1.0
    assert watch.wait(0.0) == ([], False)


def test_many_wakes_are_one(watch: SocketWatch) -> None:
    for _ in range(100_000):
        watch.wake()
    assert watch.wait(1.0) == ([], True)
    assert watch.wait(0.0) == ([], False)


def test_a_wake_comes_beside_ready_sockets(
    watch: SocketWatch, pair: tuple[socket.socket, socket.socket]
) -> None:
    watch.want(pair[0].fileno(), WRITABLE)
    watch.wake()
    assert watch.wait(1.0) == ([(pair[0].fileno(), WRITABLE)], True)


def test_a_late_wake_does_not_write_into_what_has_its_number_next(watch: SocketWatch) -> None:
    watch.close()
    pipes = [os.pipe() for _ in range(3)]
    watch.wake()
    for reader, writer in pipes:
        os.set_blocking(reader, False)
        with pytest.raises(BlockingIOError):
            os.read(reader, 1)
        os.close(reader)
        os.close(writer)
