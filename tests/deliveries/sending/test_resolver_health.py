"""Whose fault a failing look-up is: the name's, or our own resolver's."""

from __future__ import annotations

import socket

import pytest

from deliveries.sending.dns_queries import Answer, Reply
from deliveries.sending.resolver_health import ResolverHealth

PROOF = Reply.NAME_NOT_FOUND


def send_probe(health: ResolverHealth, *, at: float) -> str:
    """Send a probe for a look-up that begins just now."""
    name = health.next_probe(since=at, now=at)
    assert name is not None
    assert health.is_probe(name)
    return name


def probe(health: ResolverHealth, reply: Reply, *, sent_at: float, ended_at: float) -> None:
    """Send a probe and take in its answer."""
    name = send_probe(health, at=sent_at)
    health.note(Answer(name, socket.AF_INET, reply), now=ended_at)


@pytest.mark.parametrize("reply", [Reply.NAME_NOT_FOUND, Reply.NO_ADDRESS, Reply.ADDRESSES])
def test_an_answer_to_the_probe_proves_that_the_resolver_works(reply: Reply) -> None:
    health = ResolverHealth()
    assert not health.is_proven(since=100.0, now=100.1)
    probe(health, reply, sent_at=100.0, ended_at=100.1)
    assert health.is_proven(since=100.0, now=100.1)
    assert not health.was_broken(since=100.0, now=100.1)


@pytest.mark.parametrize("reply", [Reply.SERVER_FAILURE, Reply.SILENCE, Reply.NO_SERVER])
def test_a_probe_without_an_answer_tells_that_it_is_broken(reply: Reply) -> None:
    health = ResolverHealth()
    probe(health, reply, sent_at=100.0, ended_at=100.5)
    assert health.was_broken(since=100.0, now=100.5)
    assert not health.is_proven(since=100.0, now=100.5)


def test_a_proof_from_before_a_look_up_began_does_not_count() -> None:
    health = ResolverHealth()
    probe(health, PROOF, sent_at=100.0, ended_at=100.2)
    assert health.is_proven(since=100.0, now=100.2)
    assert not health.is_proven(since=100.1, now=100.2)


def test_a_proof_is_stale_after_a_second() -> None:
    health = ResolverHealth()
    probe(health, PROOF, sent_at=100.0, ended_at=100.1)
    assert health.is_proven(since=99.0, now=100.9)
    assert not health.is_proven(since=99.0, now=101.1)


def test_a_probe_that_is_out_for_long_has_failed_answered_or_not() -> None:
    health = ResolverHealth()
    send_probe(health, at=100.0)
    assert not health.was_broken(since=99.0, now=100.7)
    assert health.was_broken(since=99.0, now=100.8)


def test_an_answer_that_comes_late_is_no_proof() -> None:
    health = ResolverHealth()
    probe(health, PROOF, sent_at=100.0, ended_at=100.8)
    assert not health.is_proven(since=100.0, now=100.8)
    assert health.was_broken(since=100.0, now=100.8)


def test_a_failed_probe_tells_of_look_ups_in_whose_life_it_was_out() -> None:
    health = ResolverHealth()
    probe(health, Reply.SERVER_FAILURE, sent_at=100.0, ended_at=100.5)
    probe(health, PROOF, sent_at=101.0, ended_at=101.1)
    assert health.was_broken(since=100.4, now=101.1)  # although it works by now
    assert not health.was_broken(since=100.6, now=101.1)
    assert health.is_proven(since=100.6, now=101.1)


def test_a_probe_that_nobody_looked_after_fails_no_later_look_up() -> None:
    health = ResolverHealth()
    send_probe(health, at=100.0)
    assert not health.was_broken(since=160.0, now=160.1)


def test_probes_are_sent_one_at_a_time() -> None:
    health = ResolverHealth()
    send_probe(health, at=100.0)
    assert health.next_probe(since=100.0, now=100.7) is None
    assert health.next_probe(since=100.0, now=100.8) is not None  # the first is given up


def test_probes_are_repeated_while_a_look_up_is_silent() -> None:
    health = ResolverHealth()
    probe(health, PROOF, sent_at=100.0, ended_at=100.01)
    assert health.next_probe(since=99.0, now=100.4) is None
    assert health.next_probe(since=99.0, now=100.5) is not None


def test_a_look_up_that_began_after_the_last_probe_gets_one_sooner() -> None:
    health = ResolverHealth()
    probe(health, PROOF, sent_at=100.0, ended_at=100.01)
    assert health.next_probe(since=100.05, now=100.1) is None
    assert health.next_probe(since=100.05, now=100.2) is not None


def test_probes_ask_for_names_that_nobody_has_asked_for() -> None:
    names = {ResolverHealth().next_probe(since=1.0, now=1.0) for _ in range(20)}
    assert len(names) == 20
    assert all(name is not None and name.endswith(".invalid") for name in names)
