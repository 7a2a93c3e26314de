"""Sharing requests in flight: caps, and room that the slow cannot take."""

from __future__ import annotations

from uuid import UUID

import pytest

from deliveries.sending.slots import (
    BEGUN_PER_TURN,
    ENOUGH_UNDER_WAY,
    UNHEARD_IN_FLIGHT,
    Slots,
    how_many_to_begin,
)

SLOW, HEALTHY = UUID(int=1), UUID(int=2)


def begin(slots: Slots, subscription: UUID, *, now: float) -> None:
    slots.take(subscription)
    slots.begin(subscription, now=now)


def release(slots: Slots, subscription: UUID, *, now: float, succeeded: bool = True) -> None:
    slots.end(subscription, has_succeeded=succeeded, seconds=0.01, now=now)


def test_slots_are_counted_per_subscription_and_in_all() -> None:
    slots = Slots(limit=10, per_subscription=2)
    begin(slots, SLOW, now=0.0)
    begin(slots, SLOW, now=0.0)
    begin(slots, HEALTHY, now=0.0)
    assert (slots.in_flight, slots.free) == (3, 7)
    assert slots.busy(now=0.0) == {SLOW}
    release(slots, SLOW, now=0.1)
    assert (slots.in_flight, slots.busy(now=0.1)) == (2, set())


def test_silent_subscriptions_share_at_most_half_the_slots() -> None:
    slots = Slots(limit=10, per_subscription=10)
    for _ in range(5):
        begin(slots, SLOW, now=0.0)
    assert slots.busy(now=0.5) == set()
    assert slots.busy(now=1.5) == {SLOW}


def test_a_healthy_subscription_is_not_held_up_by_struggling_ones() -> None:
    slots = Slots(limit=10, per_subscription=10)
    for _ in range(6):
        begin(slots, SLOW, now=0.0)
    begin(slots, HEALTHY, now=1.9)
    assert slots.busy(now=2.0) == {SLOW}


def test_a_failing_subscription_struggles_until_it_succeeds() -> None:
    slots = Slots(limit=2, per_subscription=2)
    begin(slots, SLOW, now=0.0)
    release(slots, SLOW, now=0.1, succeeded=False)
    begin(slots, SLOW, now=0.2)
    assert slots.busy(now=0.2) == {SLOW}
    release(slots, SLOW, now=0.3)
    begin(slots, SLOW, now=0.4)
    assert slots.busy(now=0.4) == set()


def test_a_slow_answer_counts_as_struggling_too() -> None:
    slots = Slots(limit=2, per_subscription=2)
    begin(slots, SLOW, now=0.0)
    slots.end(SLOW, has_succeeded=True, seconds=4.5, now=4.5)
    begin(slots, SLOW, now=4.6)
    assert slots.busy(now=4.6) == {SLOW}


def test_what_struggled_gets_a_fresh_start_after_a_minute_of_rest() -> None:
    slots = Slots(limit=2, per_subscription=2)
    begin(slots, SLOW, now=0.0)
    release(slots, SLOW, now=0.1, succeeded=False)
    slots.busy(now=100.0)
    begin(slots, SLOW, now=100.0)
    assert slots.busy(now=100.0) == set()


@pytest.mark.parametrize(
    ("has_succeeded", "seconds", "is_heard"),
    [(True, 0.01, True), (True, 4.5, True), (False, 0.01, True), (False, 5.0, False)],
)
def test_who_was_not_heard_yet_gets_few_slots(
    has_succeeded: bool, seconds: float, is_heard: bool
) -> None:
    slots = Slots(limit=1000, per_subscription=UNHEARD_IN_FLIGHT + 2)
    for _ in range(UNHEARD_IN_FLIGHT + 1):
        begin(slots, SLOW, now=0.0)
    assert slots.busy(now=0.0) == {SLOW}

    slots.end(SLOW, has_succeeded=has_succeeded, seconds=seconds, now=seconds)
    assert slots.in_flight == UNHEARD_IN_FLIGHT
    assert slots.busy(now=seconds) == (set() if is_heard else {SLOW})

    for _ in range(2):
        begin(slots, SLOW, now=seconds)
    assert slots.busy(now=seconds) == {SLOW}


def test_the_low_cap_does_not_raise_a_lower_one() -> None:
    slots = Slots(limit=10, per_subscription=1)
    begin(slots, SLOW, now=0.0)
    assert slots.busy(now=0.0) == {SLOW}


def test_what_waits_with_us_is_nobodys_silence() -> None:
    slots = Slots(limit=4, per_subscription=4)
    for _ in range(4):
        slots.take(HEALTHY)
    slots.begin(HEALTHY, now=5.0)
    slots.end(HEALTHY, has_succeeded=True, seconds=0.01, now=5.1)
    assert slots.busy(now=10.0) == set()

    slots.begin(HEALTHY, now=10.0)

    assert slots.busy(now=10.5) == set()
    assert slots.busy(now=11.5) == {HEALTHY}


def test_a_slot_that_is_given_back_is_free() -> None:
    slots = Slots(limit=1, per_subscription=1)
    slots.take(SLOW)
    assert slots.free == 0

    slots.give_back(SLOW)

    assert (slots.free, slots.in_flight) == (1, 0)


def turns(*, receiver_turns: int, count: int) -> int:
    """Send so many to a receiver that answers after so many turns; return the most under way."""
    under_way: list[int] = []
    answered = most = 0
    while count or under_way:
        begun = min(count, how_many_to_begin(answered=answered, under_way=len(under_way)))
        count -= begun
        under_way = [left - 1 for left in under_way] + [receiver_turns] * begun
        most = max(most, len(under_way))
        answered = under_way.count(0)
        under_way = [left for left in under_way if left]
    return most


def test_a_receiver_that_answers_at_once_gets_few_requests_at_once() -> None:
    assert turns(receiver_turns=1, count=5000) <= ENOUGH_UNDER_WAY + BEGUN_PER_TURN


def test_receivers_that_take_their_time_get_as_many_as_there_are() -> None:
    assert turns(receiver_turns=100, count=1000) == 1000


def test_while_nobody_answers_more_go_out() -> None:
    assert how_many_to_begin(answered=0, under_way=900) == BEGUN_PER_TURN


def test_what_became_too_many_becomes_fewer_and_never_none() -> None:
    assert how_many_to_begin(answered=80, under_way=500) == 70
    assert how_many_to_begin(answered=1, under_way=500) == 1
