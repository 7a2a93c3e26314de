"""The queueing model against what queueing theory says."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from bench.scaling_model import (
    MANY,
    DatabaseServer,
    Demands,
    bounds_per_second,
    first_to_saturate,
    mean_wait_us,
    shared_bound_per_second,
    waiting_probability,
)

DEMANDS = Demands(worker_us=100, postgres_us=50, redis_us=1, wal_bytes=2_000)
SERVER = DatabaseServer(cores=10, wal_mb_per_second=1_000, target_utilisation=0.5)


def test_workers_bound_the_rate_until_the_database_does() -> None:
    few = bounds_per_second(DEMANDS, workers=5, database=SERVER)
    many = bounds_per_second(DEMANDS, workers=50, database=SERVER)
    assert (first_to_saturate(few), few["workers"]) == ("workers", 50_000)
    assert first_to_saturate(many) == "PostgreSQL's CPU"
    assert many["PostgreSQL's CPU"] == pytest.approx(100_000)
    assert many["PostgreSQL's log"] == pytest.approx(250_000)


def test_workers_that_look_for_work_take_from_what_the_database_has() -> None:
    restless = replace(DEMANDS, idle_ms_per_second=2)
    bounds = bounds_per_second(restless, workers=1_000, database=SERVER)
    assert bounds["PostgreSQL's CPU"] == pytest.approx(60_000)
    assert bounds_per_second(restless, workers=9_000, database=SERVER)["PostgreSQL's CPU"] == 0


def test_claims_of_many_workers_crowd_each_other() -> None:
    crowded = replace(DEMANDS, crowding=2)
    few, many = (bounds_per_second(crowded, workers=n, database=SERVER) for n in (MANY - 1, MANY))
    assert few["PostgreSQL's CPU"] == pytest.approx(100_000)
    assert many["PostgreSQL's CPU"] == pytest.approx(50_000)


def test_on_one_machine_all_parts_share_the_cores() -> None:
    cpu = {"worker": 100.0, "PostgreSQL": 50.0, "receiver": 50.0}
    assert shared_bound_per_second(cpu, workers=1, cores=2) == pytest.approx(10_000)
    assert shared_bound_per_second(cpu, workers=1, cores=8) == pytest.approx(10_000)
    assert shared_bound_per_second(cpu, workers=4, cores=8) == pytest.approx(40_000)


def test_one_server_is_busy_as_often_as_it_is_used() -> None:
    assert waiting_probability(servers=1, load=0.5) == pytest.approx(0.5)
    assert mean_wait_us(servers=1, load=0.5, service_us=100) == pytest.approx(100)  # M/M/1


def test_two_servers_wait_as_erlang_says() -> None:
    # rho = 0.75: C = 2 rho² / (1 + rho)
    assert waiting_probability(servers=2, load=1.5) == pytest.approx(2 * 0.75**2 / 1.75)


def test_a_thousand_servers_are_reckoned_with() -> None:
    assert 0 < waiting_probability(servers=1000, load=950) < 0.2
    assert waiting_probability(servers=1000, load=0) == 0.0


def test_at_full_load_the_wait_has_no_end() -> None:
    assert waiting_probability(servers=4, load=4) == 1.0
    assert math.isinf(mean_wait_us(servers=4, load=4, service_us=1))
