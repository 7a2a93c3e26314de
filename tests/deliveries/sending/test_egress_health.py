"""Whose fault silence is: decided by what others answer, and by those who answered lately."""

from __future__ import annotations

import pytest

from deliveries.sending.egress_health import (
    PROBE_PAUSE_SECONDS,
    REMEMBERED_SECONDS,
    STRANGERS_BELIEVED_SECONDS,
    UNDECIDED_AT_MOST_SECONDS,
    WAIT_FOR_STRANGERS_SECONDS,
    WITNESSES_AT_MOST,
    EgressHealth,
    Fault,
)

DEAD, OTHER, THIRD, FOURTH = "192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4"


def health(*answered: str, at: float = 100.0) -> EgressHealth:
    """One that has heard from these, in this order."""
    made = EgressHealth(now=0.0)
    for address in answered:
        made.note_answer(address, 443, now=at)
    return made


def test_an_answer_after_the_failure_proves_the_network() -> None:
    egress = health(OTHER)
    egress.note_silence(DEAD)
    assert egress.judge(DEAD, failed_at=101, now=101) is Fault.UNDECIDED
    egress.note_answer(THIRD, 80, now=101.5)
    assert egress.judge(DEAD, failed_at=101, now=101.5) is Fault.THEIRS
    assert egress.judge(DEAD, failed_at=102, now=102) is Fault.UNDECIDED


def test_a_probe_that_reaches_nobody_makes_it_ours() -> None:
    egress = health(OTHER)
    assert egress.judge(DEAD, failed_at=101, now=101) is Fault.UNDECIDED
    assert egress.next_probe(now=101.1) == [(OTHER, 443)]
    egress.note_probe(None, now=103)
    assert egress.judge(DEAD, failed_at=101, now=103) is Fault.OURS


def test_a_probe_that_began_before_the_failure_does_not_count() -> None:
    egress = health(OTHER)
    egress.next_probe(now=100.5)
    egress.note_probe(None, now=102)
    assert egress.judge(DEAD, failed_at=101, now=102) is Fault.UNDECIDED


def test_a_witness_that_can_be_reached_makes_it_theirs() -> None:
    egress = health(OTHER)
    egress.next_probe(now=101)
    egress.note_probe((OTHER, 443), now=101.2)
    assert egress.judge(DEAD, failed_at=101, now=101.2) is Fault.THEIRS


def test_the_silent_one_is_no_witness_of_its_own() -> None:
    egress = health(DEAD)
    assert egress.judge(DEAD, failed_at=101, now=101) is Fault.THEIRS


def test_answers_are_forgotten_after_hours() -> None:
    egress = health(OTHER)
    later = 100 + REMEMBERED_SECONDS
    assert egress.next_probe(now=later) == []
    assert egress.judge(DEAD, failed_at=later, now=later) is Fault.THEIRS


def test_nobody_waits_for_a_decision_for_ever() -> None:
    egress = health(OTHER)
    late = 101 + UNDECIDED_AT_MOST_SECONDS
    assert egress.judge(DEAD, failed_at=101, now=late) is Fault.UNDECIDED
    assert egress.judge(DEAD, failed_at=101, now=late + 0.1) is Fault.THEIRS


def test_the_latest_are_asked_one_probe_at_a_time_with_a_pause_between() -> None:
    addresses = [f"192.0.2.{number}" for number in range(1, 10)]
    egress = health(*addresses)
    assert egress.next_probe(now=101) == [(address, 443) for address in addresses[-4:]]
    assert WITNESSES_AT_MOST == 4
    assert egress.next_probe(now=110) == []
    egress.note_probe(None, now=110)
    assert egress.next_probe(now=110) != []
    egress.note_probe(None, now=110.1)
    assert egress.next_probe(now=110 + PROBE_PAUSE_SECONDS - 0.1) == []
    assert egress.next_probe(now=110 + PROBE_PAUSE_SECONDS) != []


def test_the_port_that_answered_last_is_asked() -> None:
    egress = health(OTHER)
    egress.note_answer(OTHER, 8443, now=101)
    assert egress.next_probe(now=102) == [(OTHER, 8443)]


# ---- Before anybody has answered ------------------------------------------------------------


def test_three_silent_strangers_at_the_start_mean_that_it_is_us() -> None:
    egress = health()
    for address in (DEAD, OTHER):
        egress.note_silence(address)
    assert egress.judge(DEAD, failed_at=10, now=10) is Fault.UNDECIDED
    egress.note_silence(THIRD)
    assert egress.judge(DEAD, failed_at=10, now=10.5) is Fault.OURS


def test_one_silent_stranger_many_times_is_still_one() -> None:
    egress = health()
    for _ in range(5):
        egress.note_silence(DEAD)
    late = 10 + WAIT_FOR_STRANGERS_SECONDS
    assert egress.judge(DEAD, failed_at=10, now=late - 0.1) is Fault.UNDECIDED
    assert egress.judge(DEAD, failed_at=10, now=late) is Fault.THEIRS


def test_strangers_that_never_answer_are_not_excused_for_ever() -> None:
    egress = health()
    for address in (DEAD, OTHER, THIRD):
        egress.note_silence(address)
    late = STRANGERS_BELIEVED_SECONDS
    assert egress.judge(DEAD, failed_at=late - 2, now=late - 1) is Fault.OURS
    assert egress.judge(DEAD, failed_at=late, now=late + 1) is Fault.THEIRS


def test_an_answer_makes_former_silence_their_own() -> None:
    egress = health()
    for address in (DEAD, OTHER):
        egress.note_silence(address)
    egress.note_answer(FOURTH, 443, now=11)
    egress.note_silence(THIRD)
    assert egress.judge(DEAD, failed_at=10, now=11) is Fault.THEIRS


@pytest.mark.parametrize("count", [64, 500])
def test_only_so_many_are_remembered(count: int) -> None:
    egress = health(*(f"2001:db8::{number:x}" for number in range(count)))
    assert len(egress._answered) == 64
