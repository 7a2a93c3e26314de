"""Sharing requests in flight: caps, and room that the slow cannot take."""

from __future__ import annotations

from uuid import UUID

from deliveries.sending.slots import Slots

SLOW, HEALTHY = UUID(int=1), UUID(int=2)


def release(slots: Slots, subscription: UUID, *, now: float, succeeded: bool = True) -> None:
    slots.release(subscription, has_succeeded=succeeded, seconds=0.01, now=now)


def test_slots_are_counted_per_subscription_and_in_all() -> None:
    slots = Slots(limit=10, per_subscription=2)
    slots.take(SLOW, now=0.0)
    slots.take(SLOW, now=0.0)
    slots.take(HEALTHY, now=0.0)
    assert (slots.in_flight, slots.free) == (3, 7)
    assert slots.busy(now=0.0) == {SLOW}
    release(slots, SLOW, now=0.1)
    assert (slots.in_flight, slots.busy(now=0.1)) == (2, set())


def test_silent_subscriptions_share_at_most_half_the_slots() -> None:
    slots = Slots(limit=10, per_subscription=10)
    for _ in range(5):
        slots.take(SLOW, now=0.0)
    assert slots.busy(now=0.5) == set()
    assert slots.busy(now=1.5) == {SLOW}


def test_a_healthy_subscription_is_not_held_up_by_struggling_ones() -> None:
    slots = Slots(limit=10, per_subscription=10)
    for _ in range(6):
        slots.take(SLOW, now=0.0)
    slots.take(HEALTHY, now=1.9)
    assert slots.busy(now=2.0) == {SLOW}


def test_a_failing_subscription_struggles_until_it_succeeds() -> None:
    slots = Slots(limit=2, per_subscription=2)
    slots.take(SLOW, now=0.0)
    release(slots, SLOW, now=0.1, succeeded=False)
    slots.take(SLOW, now=0.2)
    assert slots.busy(now=0.2) == {SLOW}
    release(slots, SLOW, now=0.3)
    slots.take(SLOW, now=0.4)
    assert slots.busy(now=0.4) == set()


def test_a_slow_answer_counts_as_struggling_too() -> None:
    slots = Slots(limit=2, per_subscription=2)
    slots.take(SLOW, now=0.0)
    slots.release(SLOW, has_succeeded=True, seconds=4.5, now=4.5)
    slots.take(SLOW, now=4.6)
    assert slots.busy(now=4.6) == {SLOW}


def test_what_struggled_gets_a_fresh_start_after_a_minute_of_rest() -> None:
    slots = Slots(limit=2, per_subscription=2)
    slots.take(SLOW, now=0.0)
    release(slots, SLOW, now=0.1, succeeded=False)
    slots.busy(now=100.0)
    slots.take(SLOW, now=100.0)
    assert slots.busy(now=100.0) == set()
