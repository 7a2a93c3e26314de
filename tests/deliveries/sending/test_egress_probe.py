"""The probe that asks receivers for a connection: its result arrives, however long it takes."""

from __future__ import annotations

import threading
import time

import pytest

from deliveries.sending import egress_probe
from deliveries.sending.egress_health import Witness
from deliveries.sending.egress_probe import EgressProbe
from tests.hostile_receiver import HostileReceiver, black_hole, refusing_port


def results_of(probe: EgressProbe, done: threading.Event) -> list[Witness | None]:
    """Look for results all the time, as the door does, until there are some."""
    results: list[Witness | None] = []
    until = time.monotonic() + 5
    while not results and time.monotonic() < until:
        results = probe.take_results()
        done.wait(0.01)
    return results


def test_a_slow_probe_s_result_is_not_lost_to_who_looks_meanwhile(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(egress_probe, "PROBE_SECONDS", 0.3)
    done = threading.Event()
    probe = EgressProbe(on_done=done.set)
    with black_hole() as port:
        probe.begin([("127.0.0.1", port)])
        assert results_of(probe, done) == [None]


def test_one_that_can_be_reached_is_enough() -> None:
    done = threading.Event()
    probe = EgressProbe(on_done=done.set)
    with HostileReceiver() as receiver, refusing_port() as port:
        probe.begin([("127.0.0.1", port), ("127.0.0.1", receiver.port)])
        assert results_of(probe, done) == [("127.0.0.1", receiver.port)]
        assert receiver.requests == []
