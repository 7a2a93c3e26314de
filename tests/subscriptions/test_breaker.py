"""A server that does not answer is tried by one thread at a time, now and then."""

from __future__ import annotations

import logging
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from subscriptions import breaker
from subscriptions.breaker import Breaker


def test_all_may_try_until_it_fails_and_one_at_a_time_after_that(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(breaker, "BREAK_SECONDS", 0.2)
    one = Breaker(logging.getLogger(__name__), away="away", back="back")
    assert [one.allows() for _ in range(3)] == [True] * 3
    one.trip(ConnectionRefusedError())
    assert not one.allows()
    time.sleep(0.25)
    with ThreadPoolExecutor(8) as threads:
        assert sum(threads.map(lambda _: one.allows(), range(50))) == 1
    one.mend()
    assert [one.allows() for _ in range(3)] == [True] * 3
    assert not one.is_tripped


def test_the_log_says_once_that_it_is_away_and_once_that_it_is_back(
    caplog: pytest.LogCaptureFixture,
) -> None:
    one = Breaker(logging.getLogger(__name__), away="away", back="back")
    for _ in range(3):
        one.trip(ConnectionRefusedError("no"))
    one.mend()
    one.mend()
    assert [record.message for record in caplog.records] == ["away: no", "back"]
