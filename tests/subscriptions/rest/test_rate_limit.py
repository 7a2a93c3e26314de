"""The decision: a burst, then a steady rate, and never more."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from subscriptions.rest.rate_limit import RatePolicy, judge, per_second, whole_again_at_us

POLICY = RatePolicy("test", burst=5, interval_us=1000)


def take(state_us: int, now_us: int, tokens: int = 1) -> tuple[int, bool]:
    """Return the state after asking, and whether it was allowed."""
    said = judge(POLICY, whole_at_us=state_us, now_us=now_us, tokens=tokens)
    if not said.is_allowed:
        return state_us, False
    return whole_again_at_us(POLICY, whole_at_us=state_us, now_us=now_us, tokens=tokens), True


def test_a_burst_is_allowed_and_the_next_one_told_when_to_come_back() -> None:
    state = 0
    for _ in range(5):
        state, is_allowed = take(state, 0)
        assert is_allowed
    said = judge(POLICY, whole_at_us=state, now_us=300, tokens=1)
    assert not said.is_allowed
    assert said.remaining == 0
    assert said.wait_us == 700
    assert judge(POLICY, whole_at_us=state, now_us=300 + said.wait_us, tokens=1).is_allowed


def test_what_is_left_grows_by_one_each_interval() -> None:
    state, _ = take(0, 0, tokens=5)
    left = [judge(POLICY, whole_at_us=state, now_us=t, tokens=1).remaining for t in (999, 1000)]
    assert left == [0, 1]
    assert judge(POLICY, whole_at_us=state, now_us=10_000_000, tokens=1).remaining == 5


def test_more_than_a_burst_waits_until_it_is_whole_and_is_then_paid_back() -> None:
    state, is_allowed = take(0, 0, tokens=12)
    assert is_allowed
    assert not take(state, 11_999, tokens=12)[1]
    assert take(state, 12_000, tokens=12)[1]
    assert not take(state, 7_999)[1]
    assert take(state, 8_000)[1]


def test_what_is_given_back_can_be_taken_again_and_no_more() -> None:
    state, _ = take(0, 0, tokens=5)
    state, _ = take(state, 0, tokens=-1)
    assert judge(POLICY, whole_at_us=state, now_us=0, tokens=1).remaining == 1
    state, _ = take(0, 0, tokens=-3)
    assert judge(POLICY, whole_at_us=state, now_us=0, tokens=1).remaining == 5


def test_a_rate_per_second_has_the_burst_of_some_seconds() -> None:
    policy = per_second("test", 50, burst_seconds=10)
    assert (policy.burst, policy.interval_us, policy.window_us) == (500, 20_000, 10_000_000)


@given(st.lists(st.tuples(st.integers(0, 5000), st.integers(1, 5)), max_size=60))
def test_whatever_is_asked_when_no_time_sees_more_than_the_policy_allows(
    asked: list[tuple[int, int]],
) -> None:
    state = now = 0
    taken: list[tuple[int, int]] = []
    for passed, tokens in asked:
        now += passed
        state, is_allowed = take(state, now, tokens)
        if is_allowed:
            taken.append((now, tokens))
    for start, (since, _) in enumerate(taken):
        for end in range(start, len(taken)):
            total = sum(tokens for _, tokens in taken[start : end + 1])
            assert total <= POLICY.burst + (taken[end][0] - since) / POLICY.interval_us
