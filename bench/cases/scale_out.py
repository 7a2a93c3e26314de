"""Scale-out: one, two and four worker processes on one PostgreSQL, and what a delivery demands.

On one machine everything shares its cores, so what a rate is held against is the bound that the
demands give there (`scaling_model`). The demands are what larger installations are reckoned with.
Whether they grow with the number of workers is seen by processes that claim and record without
sending: sixteen of those need no more cores than the one PostgreSQL.
"""

from __future__ import annotations

import json
import os
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Final

from bench.cases.sending import SUBSCRIPTIONS, Pass, send
from bench.cpu import CpuMeter
from bench.database_steps import AT_ONCE
from bench.due import analyze, empty_today, fill
from bench.measurement import Figure, compared, figure
from bench.options import Options
from bench.projects import Project, make_projects, wanting
from bench.scaling_model import shared_bound_per_second
from bench.stack import Stack, running_stack

CASE: Final = "scale_out"
TITLE: Final = "Scale-out"

WORKERS: Final = (1, 2, 4)
CLAIMERS: Final = (1, 4, 16)

WORKER_CPU: Final = "CPU of the worker per delivery"
POSTGRES_CPU: Final = "CPU of PostgreSQL per delivery"
REDIS_CPU: Final = "CPU of Redis per delivery"
WAL: Final = "PostgreSQL's log per delivery"
IDLE: Final = "CPU of PostgreSQL for an idle worker"
COMMITS: Final = "transactions per delivery"


def run(options: Options) -> list[Figure]:
    """Send as much with each number of workers, in turns."""
    count = options.size(50_000, 5_000)
    passes: dict[int, list[Pass]] = {workers: [] for workers in WORKERS}
    with running_stack() as stack:
        (project,) = make_projects(stack.run, [wanting(stack.url("/"), count=SUBSCRIPTIONS)])
        for _ in range(options.runs):
            for workers, own in passes.items():
                own.append(send(stack, project, count, workers=workers, transport="curl"))
        idle = [_idle_ms(stack, seconds=options.size(20, 8)) for _ in range(options.runs)]
        claimed = options.size(64_000, 16_000)
        costs = [_claim_costs(stack, project, claimed) for _ in range(options.runs)]
    note = f"{count:,} deliveries"
    return [
        *(_rate(workers, own, note=note) for workers, own in passes.items()),
        *_demands(passes[2], note=f"two workers, {note}"),
        figure(CASE, IDLE, idle, unit="ms/s", note="one worker that finds nothing to send"),
        *_contention(costs, note=f"{claimed:,} deliveries, {SUBSCRIPTIONS} subscriptions"),
    ]


def _rate(workers: int, passes: list[Pass], *, note: str) -> Figure:
    cores = os.cpu_count() or 1
    return compared(
        CASE,
        f"recorded deliveries, {workers} worker{'s' if workers > 1 else ''}",
        [one.per_second for one in passes],
        unit="deliveries/s",
        yardstick=f"the bound that what each demands gives on {cores} cores",
        against=[
            shared_bound_per_second(one.cpu_us, workers=workers, cores=cores) for one in passes
        ],
        note=note,
    )


def _demands(passes: list[Pass], *, note: str) -> list[Figure]:
    """Return what `scaling_page` reckons with."""
    samples = {
        WORKER_CPU: ([one.cpu_us["worker"] for one in passes], "µs"),
        POSTGRES_CPU: ([one.cpu_us["PostgreSQL"] for one in passes], "µs"),
        REDIS_CPU: ([one.cpu_us["Redis"] for one in passes], "µs"),
        WAL: ([one.written.wal_bytes for one in passes], "bytes"),
        COMMITS: ([one.written.commits for one in passes], "per delivery"),
    }
    return [
        figure(CASE, metric, values, unit=unit, note=note)
        for metric, (values, unit) in samples.items()
    ]


def _idle_ms(stack: Stack, *, seconds: float) -> float:
    """Return what a worker that only looks costs PostgreSQL, in ms of CPU per second."""
    workers = stack.start_workers(1)
    try:
        meter = CpuMeter({"PostgreSQL": [stack.postgres.pid]})
        time.sleep(seconds)
        return 1000 * meter.seconds()["PostgreSQL"] / seconds
    finally:
        stack.stop(*workers)


# ---- Claims of many at once ------------------------------------------------------------------


def _claim_costs(stack: Stack, project: Project, count: int) -> dict[int, float]:
    """Return PostgreSQL's CPU per delivery, in µs, by how many processes claim and record."""
    costs = {}
    for processes in CLAIMERS:
        empty_today(stack)
        due_at = fill(stack, project, count)
        analyze(stack)
        time.sleep(max(0.0, due_at - time.time()))
        steps = str(2 * count // AT_ONCE // processes)  # until nothing is left
        meter = CpuMeter({"PostgreSQL": [stack.postgres.pid]})
        with ThreadPoolExecutor(processes) as beside:
            step = partial(stack.run, "bench.database_steps")
            said = list(beside.map(step, [steps] * processes))
        done = sum(json.loads(one)["deliveries"] for one in said)
        costs[processes] = 1e6 * meter.seconds()["PostgreSQL"] / done
    empty_today(stack)
    return costs


def crowd(processes: int) -> str:
    """Return the name of what a delivery costs while so many claim and record."""
    return f"CPU of PostgreSQL per delivery, {processes} claim and record at once"


def _contention(costs: list[dict[int, float]], *, note: str) -> list[Figure]:
    alone = [one[CLAIMERS[0]] for one in costs]
    return [
        compared(
            CASE,
            crowd(processes),
            [one[processes] for one in costs],
            unit="µs",
            yardstick="one alone",
            against=alone,
            note=note,
        )
        for processes in CLAIMERS
    ]
