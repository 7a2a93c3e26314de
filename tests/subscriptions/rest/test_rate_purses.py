"""Tokens are taken ahead where that is cheap for everybody, and nobody gets more by it."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest

from subscriptions.rest import rate_purses
from subscriptions.rest.rate_limit import Allowance, RatePolicy, after_taking, judge
from subscriptions.rest.rate_purses import AHEAD_AT_MOST, Purses

FAST = RatePolicy("fast", burst=10_000, interval_us=1000)
SUBJECT = ("key",)


class Bucket:
    """Tokens of one policy that never come back, and how many were asked for each time."""

    def __init__(self, policy: RatePolicy = FAST, *, gone: int = 0) -> None:
        self.policy = policy
        self.gone = gone
        self.asked: list[int] = []

    def ask(self, tokens: int) -> tuple[Allowance, ...]:
        self.asked.append(tokens)
        said = judge(
            self.policy,
            whole_at_us=self.gone * self.policy.interval_us,
            now_us=0,
            tokens=tokens,
        )
        if said.is_allowed:
            self.gone += tokens
        return after_taking([said], tokens=tokens)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A clock that stands until it is told to go on."""
    clock = SimpleNamespace(now=100.0)
    monkeypatch.setattr(rate_purses, "time", SimpleNamespace(monotonic=lambda: clock.now))
    return clock


@pytest.mark.usefixtures("clock")
def test_in_quick_succession_few_ask_and_all_are_counted() -> None:
    bucket, purses = Bucket(), Purses()
    said = [purses.take_one(SUBJECT, bucket.ask)[0] for _ in range(200)]
    assert all(each.is_allowed for each in said)
    assert [each.remaining for each in said] == list(range(FAST.burst - 1, FAST.burst - 201, -1))
    assert bucket.asked[:6] == [1, 2, 4, 8, 16, 17]
    assert len(bucket.asked) < 20
    assert 200 <= bucket.gone <= 200 + AHEAD_AT_MOST


def test_what_was_taken_ahead_is_forgotten_soon(clock: SimpleNamespace) -> None:
    bucket, purses = Bucket(), Purses()
    for _ in range(5):
        purses.take_one(SUBJECT, bucket.ask)
    clock.now += 0.2
    purses.take_one(SUBJECT, bucket.ask)
    assert bucket.asked == [1, 2, 4, 1]


@pytest.mark.usefixtures("clock")
def test_what_comes_back_slowly_is_not_taken_ahead() -> None:
    bucket, purses = Bucket(RatePolicy("slow", burst=500, interval_us=100_000)), Purses()
    for _ in range(20):
        purses.take_one(SUBJECT, bucket.ask)
    assert bucket.asked == [1] * 20


@pytest.mark.usefixtures("clock")
def test_the_last_tokens_are_given_to_the_last_one() -> None:
    bucket, purses = Bucket(gone=FAST.burst - 100), Purses()
    said = [purses.take_one(SUBJECT, bucket.ask)[0] for _ in range(105)]
    assert [each.is_allowed for each in said] == [True] * 100 + [False] * 5
    assert max(bucket.asked) > 4
    assert bucket.asked[-9:] == [1] * 9
    assert said[-1].wait_us > 0


@pytest.mark.usefixtures("clock")
def test_who_may_have_one_is_not_refused_for_more() -> None:
    bucket, purses = Bucket(), Purses()
    purses.take_one(SUBJECT, bucket.ask)
    bucket.gone = FAST.burst - 1  # others were quicker
    assert purses.take_one(SUBJECT, bucket.ask)[0].is_allowed
    assert bucket.asked == [1, 2, 1]
    assert not purses.take_one(SUBJECT, bucket.ask)[0].is_allowed


@pytest.mark.usefixtures("clock")
def test_purses_are_their_subjects_own() -> None:
    mine, yours, purses = Bucket(), Bucket(), Purses()
    for _ in range(3):
        purses.take_one(("mine",), mine.ask)
        purses.take_one(("yours",), yours.ask)
    assert mine.asked == yours.asked == [1, 2]


@pytest.mark.usefixtures("clock")
def test_there_are_never_very_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rate_purses, "_PURSES_AT_MOST", 10)
    purses = Purses()
    for number in range(100):
        purses.take_one((str(number),), Bucket().ask)
        assert len(purses._purses) <= 10


def test_nobody_who_has_no_answer_is_told_of_a_purse() -> None:
    purses = Purses()
    assert [purses.take_one(SUBJECT, lambda _: ()) for _ in range(3)] == [(), (), ()]


def test_threads_together_take_no_more_ahead_than_one_alone() -> None:
    bucket, purses, lock = Bucket(), Purses(), threading.Lock()

    def slowly(tokens: int) -> tuple[Allowance, ...]:
        with lock:
            said = bucket.ask(tokens)
        time.sleep(0.002)
        return said

    def take_some(_: int) -> int:
        spent = 0
        for _ in range(60):
            (said,) = purses.take_one(SUBJECT, slowly)
            spent += said.is_allowed
            assert said.remaining < FAST.burst
            assert all(purse.tokens <= AHEAD_AT_MOST for purse in list(purses._purses.values()))
            time.sleep(0.004)
        return spent

    with ThreadPoolExecutor(8) as threads:
        spent = sum(threads.map(take_some, range(8)))
    assert spent == 480 <= bucket.gone


@pytest.mark.usefixtures("clock")
def test_who_is_refused_gets_what_another_thread_has_put_there_meanwhile() -> None:
    bucket, purses = Bucket(), Purses()
    for _ in range(5):
        purses.take_one(SUBJECT, bucket.ask)

    def refused(tokens: int) -> tuple[Allowance, ...]:
        purses._filling.clear()  # it has done so
        purses._purses[SUBJECT].tokens = 3
        bucket.gone = FAST.burst
        return bucket.ask(tokens)

    purses._purses[SUBJECT].tokens = 0
    purses._filling.add(SUBJECT)  # another thread takes ahead just now
    assert purses.take_one(SUBJECT, refused)[0].is_allowed
    assert bucket.asked[-1] == 1


def test_a_failure_lets_the_next_one_fill_the_purse() -> None:
    bucket, purses = Bucket(), Purses()
    purses.take_one(SUBJECT, bucket.ask)

    def fail(_: int) -> tuple[Allowance, ...]:
        raise ValueError("a defect")

    with pytest.raises(ValueError, match="a defect"):
        purses.take_one(SUBJECT, fail)
    purses.take_one(SUBJECT, bucket.ask)
    assert bucket.asked == [1, 2]
