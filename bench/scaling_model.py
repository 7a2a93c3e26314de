"""The queueing model: how many deliveries a second so many workers and one database can do.

Operational laws: what a delivery demands of each resource is measured (`cases.scale_out`), and the
resource that is used up first bounds the rate. Erlang's C formula says how long one waits before
that. Pure; `docs/explanation/scaling.md` explains it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

MANY = 10
"""Workers whose claims meet: a claim of 500 takes some 50 ms, so ten that are busy overlap."""


@dataclass(frozen=True, slots=True)
class Demands:
    """What one delivery demands of each part, claims and recordings included."""

    worker_us: float
    postgres_us: float
    redis_us: float
    wal_bytes: float
    idle_ms_per_second: float = 0.0
    """PostgreSQL's CPU for each worker that looks for work, whether it finds any or not."""
    crowding: float = 1.0
    """How many times as much of PostgreSQL's CPU a delivery takes while many claim at once."""

    def postgres_us_with(self, workers: int) -> float:
        """Return PostgreSQL's CPU per delivery; `MANY` workers and more crowd each other."""
        return self.postgres_us * (self.crowding if workers >= MANY else 1.0)


@dataclass(frozen=True, slots=True)
class DatabaseServer:
    """What one PostgreSQL has."""

    cores: int
    wal_mb_per_second: float
    """What its disk writes, flushed, in MB of 10^6 bytes."""
    target_utilisation: float = 0.7
    """Beyond that, waiting grows faster than the rate."""


def bounds_per_second(
    demands: Demands, *, workers: int, database: DatabaseServer
) -> dict[str, float]:
    """Return how many deliveries a second each resource allows (the utilisation law).

    Each worker process has a core of its own, which it cannot exceed; Redis uses one core.
    """
    looking = workers * demands.idle_ms_per_second / 1000
    cores_left = database.target_utilisation * database.cores - looking
    return {
        "workers": workers * 1e6 / demands.worker_us,
        "PostgreSQL's CPU": max(0.0, cores_left) * 1e6 / demands.postgres_us_with(workers),
        "PostgreSQL's log": database.target_utilisation
        * database.wal_mb_per_second
        * 1e6
        / demands.wal_bytes,
        "Redis": database.target_utilisation * 1e6 / max(demands.redis_us, 0.1),
    }


def first_to_saturate(bounds: Mapping[str, float]) -> str:
    """Return the resource that bounds the rate."""
    return min(bounds, key=lambda name: bounds[name])


def shared_bound_per_second(cpu_us: Mapping[str, float], *, workers: int, cores: int) -> float:
    """Return the bound of a machine where everything shares the same cores, as in the benchmark.

    `cpu_us` is each part's CPU per delivery; `worker` is one of them.
    """
    return min(cores * 1e6 / sum(cpu_us.values()), workers * 1e6 / cpu_us["worker"])


def waiting_probability(*, servers: int, load: float) -> float:
    """Return how probable it is that all servers are busy (Erlang C); `load` is in servers.

    1 where the load is as much as there is. By Erlang B's recurrence, which needs no factorials.
    """
    if load >= servers:
        return 1.0
    blocked = 1.0
    for busy in range(1, servers + 1):
        blocked = load * blocked / (busy + load * blocked)
    return blocked / (1 - (load / servers) * (1 - blocked))


def mean_wait_us(*, servers: int, load: float, service_us: float) -> float:
    """Return how long one waits for a free server on average (M/M/c); infinite at full load."""
    if load >= servers:
        return math.inf
    return waiting_probability(servers=servers, load=load) * service_us / (servers - load)
