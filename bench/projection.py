"""Reckons ten, a hundred and a thousand workers from what a delivery was measured to demand.

Called by `page`. The model is `scaling_model`'s; `docs/explanation/scaling.md` explains it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from bench.cases import scale_out
from bench.measurement import Figure
from bench.scaling_model import (
    DatabaseServer,
    Demands,
    bounds_per_second,
    first_to_saturate,
    mean_wait_us,
)

PROJECTION_TITLE: Final = "Reckoned: more workers than fit here"

SERVER: Final = DatabaseServer(cores=32, wal_mb_per_second=1_000)
"""A large one of today: what is one machine, before the work is divided among several."""

WORKERS: Final = (1, 10, 100, 1_000)


def projection(rows: Sequence[Figure]) -> str:
    """Return the page's section; nothing before the demands were measured."""
    demands = demands_of(rows)
    if demands is None:
        return ""
    lines = [
        f"## {PROJECTION_TITLE}",
        "",
        "What [the model](../explanation/scaling.md) makes of the demands above, in deliveries a "
        f"second: each worker process on a core of its own, a PostgreSQL with {SERVER.cores} cores "
        f"and a disk that takes {SERVER.wal_mb_per_second:,.0f} MB/s, used to "
        f"{SERVER.target_utilisation:.0%}.",
        "",
        "| workers | they could | PostgreSQL's CPU allows | its log allows | Redis allows "
        "| first to saturate | wait for a core of PostgreSQL then |",
        "|--:|--:|--:|--:|--:|---|--:|",
        *(_line(demands, workers) for workers in WORKERS),
        "",
        "",
    ]
    return "\n".join(lines)


def demands_of(rows: Sequence[Figure]) -> Demands | None:
    """Return what the case `scale_out` measured."""
    values = {row.metric: row.value for row in rows if row.case == scale_out.CASE}
    try:
        return Demands(
            worker_us=values[scale_out.WORKER_CPU],
            postgres_us=values[scale_out.POSTGRES_CPU],
            redis_us=values[scale_out.REDIS_CPU],
            wal_bytes=values[scale_out.WAL],
            idle_ms_per_second=values[scale_out.IDLE],
            crowding=values[scale_out.crowd(scale_out.CLAIMERS[-1])]
            / values[scale_out.crowd(scale_out.CLAIMERS[0])],
        )
    except KeyError:
        return None


def _line(demands: Demands, workers: int) -> str:
    bounds = bounds_per_second(demands, workers=workers, database=SERVER)
    rate = min(bounds.values())
    service_us = demands.postgres_us_with(workers)
    load = rate * service_us / 1e6 + workers * demands.idle_ms_per_second / 1000
    wait = mean_wait_us(servers=SERVER.cores, load=load, service_us=service_us)
    cells = [
        f"{workers:,}",
        *(f"{bound:,.0f}" for bound in bounds.values()),
        first_to_saturate(bounds),
        f"{wait:.1f} µs",
    ]
    return "| " + " | ".join(cells) + " |"
