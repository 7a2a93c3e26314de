"""A server that does not answer is tried by one thread at a time, now and then."""

from __future__ import annotations

import logging
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from subscriptions import breaker
from subscriptions.breaker import Breaker


class Server:
    """Answers, or fails, slowly enough for other threads to ask meanwhile."""

    def __init__(self) -> None:
        self.error: Exception | None = None
        self.questions = 0

    def answer(self) -> str:
        self.questions += 1
        if self.error:
            time.sleep(0.05)
            raise self.error
        return "answer"


def make_breaker() -> Breaker:
    return Breaker(logging.getLogger(__name__), errors=(OSError,), away="away", back="back")


def test_all_may_try_until_it_fails_and_one_at_a_time_after_that(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(breaker, "BREAK_SECONDS", 1.0)
    one, server = make_breaker(), Server()

    def ask() -> str | None:
        return one.ask(server.answer, default=None)

    assert [ask() for _ in range(3)] == ["answer"] * 3
    server.error = ConnectionRefusedError()
    assert [ask() for _ in range(3)] == [None] * 3
    assert server.questions == 4
    assert one.is_tripped
    time.sleep(1.1)
    with ThreadPoolExecutor(8) as threads:
        assert set(threads.map(lambda _: ask(), range(50))) == {None}
    assert server.questions == 5
    server.error = None
    time.sleep(1.1)
    assert [ask() for _ in range(3)] == ["answer"] * 3
    assert not one.is_tripped


def test_what_says_nothing_about_the_server_is_raised_and_it_is_asked_again() -> None:
    one, server = make_breaker(), Server()
    server.error = ValueError("our mistake")
    for _ in range(2):
        with pytest.raises(ValueError, match="our mistake"):
            one.ask(server.answer, default=None)
    assert server.questions == 2
    assert not one.is_tripped


def test_the_log_says_once_that_it_is_away_and_once_that_it_is_back(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(breaker, "BREAK_SECONDS", 0.0)
    one, server = make_breaker(), Server()
    server.error = ConnectionRefusedError("no")
    for _ in range(3):
        one.ask(server.answer, default=None)
    server.error = None
    for _ in range(2):
        one.ask(server.answer, default=None)
    assert server.questions == 5
    assert [record.message for record in caplog.records] == ["away: no", "back"]
