"""Whose fault a failing look-up is: the name's, or our own resolver's."""

from __future__ import annotations

import socket

import pytest

from deliveries.sending.dns_queries import Answer, Reply
from deliveries.sending.resolver_health import ResolverHealth


def probe(health: ResolverHealth, reply: Reply, *, began_at: float, ended_at: float) -> None:
    """Send a probe and take in its answer."""
    name = health.next_probe(since=began_at, now=began_at)
    assert name is not None
    assert health.is_probe(name)
    health.note(Answer(name, socket.AF_INET, reply), now=ended_at)


@pytest.mark.parametrize("reply", [Reply.NAME_NOT_FOUND, Reply.NO_ADDRESS, Reply.ADDRESSES])
def test_an_answer_to_the_probe_proves_that_the_resolver_works(reply: Reply) -> None:
    health = ResolverHealth()
    assert not health.works(since=100.0)
    probe(health, reply, began_at=100.0, ended_at=100.1)
    assert health.works(since=100.0)
    assert not health.is_broken(since=100.0)


@pytest.mark.parametrize("reply", [Reply.SERVER_FAILURE, Reply.SILENCE, Reply.NO_SERVER])
def test_a_probe_without_an_answer_tells_that_it_is_broken(reply: Reply) -> None:
    health = ResolverHealth()
    probe(health, reply, began_at=100.0, ended_at=101.0)
    assert health.is_broken(since=100.0)
    assert not health.works(since=100.0)


def test_a_proof_holds_for_look_ups_that_begin_within_a_second() -> None:
    health = ResolverHealth()
    probe(health, Reply.NAME_NOT_FOUND, began_at=100.0, ended_at=100.1)
    assert health.works(since=101.0)
    assert not health.works(since=101.2)
    assert health.next_probe(since=101.0, now=101.0) is None
    assert health.next_probe(since=101.2, now=101.2) is not None


def test_one_probe_at_a_time_is_out() -> None:
    health = ResolverHealth()
    assert health.next_probe(since=100.0, now=100.0) is not None
    assert health.next_probe(since=100.0, now=100.5) is None


def test_probes_ask_for_names_that_nobody_has_asked_for() -> None:
    names = {ResolverHealth().next_probe(since=1.0, now=1.0) for _ in range(20)}
    assert len(names) == 20
    assert all(name is not None and name.endswith(".invalid") for name in names)
