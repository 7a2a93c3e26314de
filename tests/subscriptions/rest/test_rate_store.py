"""Rates are counted so that no race gets more, in memory and in Redis, in nobody's way."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import Barrier
from uuid import uuid4

import pytest

from subscriptions import breaker
from subscriptions.rest import rate_store
from subscriptions.rest.rate_limit import RatePolicy, judge, whole_again_at_us
from subscriptions.rest.rate_store import Limit, MemoryStore, RateStore, RedisStore
from tests.outages import dead_redis
from tests.servers import start_redis
from tests.workers import ROOT

BURST = 50
SLOW = RatePolicy("slow", burst=BURST, interval_us=3600 * 1_000_000)
"""No token comes back while a test runs."""

TAKE_FROM_ANOTHER_PROCESS = """
import sys
from subscriptions.rest.rate_limit import RatePolicy
from subscriptions.rest.rate_store import Limit, RedisStore
url, subject = sys.argv[1:]
store, limit = RedisStore(url), Limit(RatePolicy("slow", 50, 3600 * 1_000_000), subject)
print(sum(store.take([limit], tokens=1)[0].is_allowed for _ in range(60)))
"""


@pytest.fixture(scope="module")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with start_redis(tmp_path_factory.mktemp("redis"), durable=False) as server:
        yield server.url


@pytest.fixture
def redis_store(redis_url: str) -> Iterator[RedisStore]:
    with opened(redis_url) as store:
        yield store


@pytest.fixture(params=["memory", "redis"])
def store(request: pytest.FixtureRequest) -> RateStore:
    if request.param == "memory":
        return MemoryStore()
    store: RedisStore = request.getfixturevalue("redis_store")
    return store


@contextmanager
def opened(url: str) -> Iterator[RedisStore]:
    """A store whose connections are closed at the end."""
    store = RedisStore(url)
    yield store
    store._redis.connection_pool.disconnect()


def port_of(url: str) -> int:
    return int(url.rpartition(":")[2].partition("/")[0])


def a_limit(policy: RatePolicy = SLOW) -> Limit:
    return Limit(policy, uuid4().hex)


def is_allowed(store: RateStore, *limits: Limit, tokens: int = 1) -> bool:
    return all(said.is_allowed for said in store.take(limits, tokens=tokens))


@pytest.fixture
def eager_threads() -> Iterator[None]:
    """Let threads take turns as often as they can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def test_threads_together_get_the_burst_and_no_more(store: RateStore) -> None:
    assert sum(taken_by_threads(store, a_limit(), tries=20)) == BURST


@pytest.mark.usefixtures("eager_threads")
def test_no_turn_of_threads_comes_between_looking_and_taking() -> None:
    limit = a_limit(RatePolicy("wide", 4000, SLOW.interval_us))
    assert sum(taken_by_threads(MemoryStore(), limit, tries=1000)) == 4000


def taken_by_threads(store: RateStore, limit: Limit, *, tries: int) -> list[int]:
    """How much each of eight threads gets that start at once."""
    start = Barrier(8)

    def take_some(_: int) -> int:
        start.wait()
        return sum(is_allowed(store, limit) for _ in range(tries))

    with ThreadPoolExecutor(8) as threads:
        return list(threads.map(take_some, range(8)))


def test_processes_together_get_the_burst_and_no_more(redis_url: str) -> None:
    command = [sys.executable, "-c", TAKE_FROM_ANOTHER_PROCESS, redis_url, uuid4().hex]
    processes = [
        subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) for _ in range(3)
    ]
    taken = [int(process.communicate(timeout=60)[0]) for process in processes]
    assert sum(taken) == BURST


def test_all_limits_give_or_none_does(store: RateStore) -> None:
    wide, narrow = a_limit(), a_limit(RatePolicy("narrow", 1, SLOW.interval_us))
    assert is_allowed(store, wide, narrow)
    refused = store.take([wide, narrow], tokens=1)
    assert [said.is_allowed for said in refused] == [True, False]
    assert [said.remaining for said in refused] == [BURST - 1, 0]
    assert 3598 <= refused[1].wait_seconds <= 3600
    (said,) = store.take([wide], tokens=1)
    assert said.remaining == BURST - 2


def test_many_tokens_are_taken_at_once(store: RateStore) -> None:
    limit = a_limit()
    assert is_allowed(store, limit, tokens=30)
    assert not is_allowed(store, limit, tokens=30)
    assert is_allowed(store, limit, tokens=20)


def test_what_is_given_back_can_be_taken_again(store: RateStore) -> None:
    limit = a_limit()
    assert is_allowed(store, limit, tokens=BURST)
    store.take([limit], tokens=-1)
    assert [is_allowed(store, limit) for _ in range(2)] == [True, False]


def test_tokens_come_back_with_time(store: RateStore) -> None:
    limit = a_limit(RatePolicy("quick", 2, 1_000_000))
    assert is_allowed(store, limit, tokens=2)
    assert not is_allowed(store, limit)
    time.sleep(1.1)
    assert is_allowed(store, limit)


def test_the_script_says_what_the_decision_says(redis_store: RedisStore) -> None:
    store, chance = redis_store, random.Random(1)
    limits = [a_limit(RatePolicy("a", 7, 2000)), a_limit(RatePolicy("b", 5, 3000))]
    numbers = [number for limit in limits for number in rate_store._numbers_of(limit.policy)]
    outcomes = set()
    for _ in range(300):
        tokens = chance.choice([-2, 1, 1, 2, 3, 9])
        keys = [limit.key for limit in limits]
        pipeline = store._redis.pipeline()  # one transaction: no key expires in between
        pipeline.eval(rate_store._SCRIPT, len(keys), *keys, tokens, *numbers)
        pipeline.mget(keys)
        (now, *found), values = pipeline.execute()
        stored = [int(value) if value else now for value in values]
        pairs = list(zip(limits, found, strict=True))
        said = [
            judge(limit.policy, whole_at_us=state, now_us=now, tokens=tokens)
            for limit, state in pairs
        ]
        outcomes.add(is_taken := all(each.is_allowed for each in said))
        for (limit, state), kept in zip(pairs, stored, strict=True):
            wanted = whole_again_at_us(
                limit.policy, whole_at_us=state, now_us=now, tokens=tokens if is_taken else 0
            )
            assert max(kept, now) == max(wanted, now)  # what is past says that it is whole
        time.sleep(chance.choice([0, 0, 0.002]))
    assert outcomes == {True, False}


def test_a_key_says_nothing_once_the_burst_is_whole_and_is_then_gone(
    redis_store: RedisStore,
) -> None:
    limit = a_limit(RatePolicy("quick", 100, 1_000_000))
    redis_store.take([limit], tokens=3)
    assert 0 < redis_store._redis.pttl(limit.key) <= 3001


def test_memory_forgets_whose_burst_is_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rate_store, "_SWEEP_AT", 10)
    store, slow = MemoryStore(), a_limit()
    store.take([slow], tokens=1)
    for _ in range(30):
        store.take([a_limit(RatePolicy("instant", 5, 1))], tokens=1)
    assert len(store._whole_at_us) <= 10
    assert slow.key in store._whole_at_us


@pytest.mark.parametrize("is_silent", [False, True], ids=["refuses", "never answers"])
def test_while_redis_is_away_everything_is_allowed_at_once_and_the_log_says_so_once(
    caplog: pytest.LogCaptureFixture, *, is_silent: bool
) -> None:
    with dead_redis(is_silent=is_silent) as url, opened(url) as store:
        limit = a_limit()
        began_at = time.monotonic()
        assert store.take([limit], tokens=1) == ()
        assert time.monotonic() - began_at < 1.0
        began_at = time.monotonic()
        for _ in range(1000):
            assert store.take([limit], tokens=1) == ()
        assert time.monotonic() - began_at < 3.0  # each alone would wait for 0.2 s
    assert [record.message.partition(":")[0] for record in caplog.records] == [
        "Redis away, nothing is rate-limited"
    ]


def test_once_redis_is_back_rates_are_limited_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(breaker, "BREAK_SECONDS", 0.05)
    limit = a_limit()
    with ExitStack() as stack:
        with start_redis(tmp_path, durable=False) as server:
            store = stack.enter_context(opened(server.url))
            assert is_allowed(store, limit, tokens=BURST)
        for _ in range(2):
            assert store.take([limit], tokens=1) == ()
            time.sleep(0.1)
        with start_redis(tmp_path, durable=False, port=port_of(server.url)):
            assert store.take([limit], tokens=BURST)[0].is_allowed
            assert not store.take([limit], tokens=1)[0].is_allowed
    assert [record.message.partition(",")[0] for record in caplog.records] == [
        "Redis away",
        "Redis back",
    ]


def test_a_restart_of_redis_is_no_outage(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    limit = a_limit()
    with ExitStack() as stack:
        with start_redis(tmp_path, durable=False) as server:
            store = stack.enter_context(opened(server.url))
            assert is_allowed(store, limit)
        with start_redis(tmp_path, durable=False, port=port_of(server.url)):
            assert len(store.take([limit], tokens=1)) == 1
    assert caplog.records == []
