"""Scale of history: what a month of fifty million attempts adds to what is done every second.

Two systems side by side, one nearly empty and one full, measured in turns: publishing, claiming,
recording, and reading history over REST. No worker runs: claims and recordings are called directly.
"""

from __future__ import annotations

import http.client
import json
import shutil
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Final

from bench import database_steps, history_rows
from bench.cases.publishing import parts_meter
from bench.due import analyze, empty_today, fill
from bench.measurement import Figure, at_most, compared, figure
from bench.options import Options
from bench.projects import Project, make_projects, wanting
from bench.publisher import Load
from bench.publishing_load import publish
from bench.stack import Stack, running_stack
from tests.faults.processes import Program

CASE: Final = "history"
TITLE: Final = "Scale of history"

ATTEMPTS: Final = 50_000_000
DISK_RESERVE_GB: Final = 20
PROJECTS: Final = 10
SUBSCRIPTIONS: Final = 30
"""In each project."""

DAYS_AGO: Final = range(30, 1, -1)
"""The product itself made yesterday's partitions, and drops what is older than thirty days."""

FEW: Final = 30_000
"""Attempts of the nearly empty system: there must be something to read."""

FAILED: Final = 60
"""Of the subscription whose failures are read, in both systems: a page of them, and more."""

STEPS: Final = 11
READS: Final = 60
LIMIT: Final = 1.2


@dataclass(frozen=True, slots=True)
class System:
    """One of the two systems."""

    stack: Stack
    web: Program
    publisher: Project
    """Has no history; its subscriptions are those of the case `publishing`."""
    reader: Project
    """Has a tenth of the history."""
    old_delivery: str
    """A delivery from the middle of its history, as the API names it."""


def run(options: Options) -> list[Figure]:
    """Fill one of two systems, and measure both in turns."""
    attempts, reason = how_many(options, free_bytes=shutil.disk_usage(tempfile.gettempdir()).free)
    with ExitStack() as cleanup:
        empty = cleanup.enter_context(running_stack(DISPATCHER_REQUEST_RATE_PER_KEY="10000"))
        full = cleanup.enter_context(running_stack(DISPATCHER_REQUEST_RATE_PER_KEY="10000"))
        began = time.monotonic()
        systems = {
            "empty": _prepare(empty, days_ago=[2], per_day=FEW),
            "full": _prepare(full, days_ago=DAYS_AGO, per_day=attempts // len(DAYS_AGO)),
        }
        seconds = time.monotonic() - began
        samples: defaultdict[str, dict[str, list[float]]] = defaultdict(
            lambda: {"empty": [], "full": []}
        )
        for number in range(options.runs + 1):
            for name in ("empty", "full") if number % 2 else ("full", "empty"):
                taken = _measure(systems[name], seconds=options.size(4, 2))
                for metric, value in taken.items():
                    if number:  # the first round warms up
                        samples[metric][name].append(value)
        note = f"{attempts:,} attempts in {len(DAYS_AGO)} days{reason}"
        size = history_rows.size_gb(full)
    return [
        figure(CASE, "history's size", [size], unit="GB", note=f"{note}; made in {seconds:.0f} s"),
        *(
            compared(
                CASE,
                metric,
                of["full"],
                unit=_UNITS.get(metric, "ms"),
                yardstick="nearly empty",
                against=of["empty"],
                target=None if metric == _RARE else at_most(LIMIT),
                note=note,
            )
            for metric, of in samples.items()
        ),
    ]


def how_many(options: Options, *, free_bytes: int) -> tuple[int, str]:
    """Return how many attempts to make, and why not fifty million; empty where it is as many."""
    if options.rows is not None:
        return options.rows, ", as asked for"
    if options.is_quick:
        return 200_000, ", a short run"
    room = (free_bytes - DISK_RESERVE_GB * 1024**3) // history_rows.BYTES_PER_ATTEMPT
    if room < ATTEMPTS:
        return max(FEW, room), ", as many as the disk has room for"
    return ATTEMPTS, ""


def _prepare(stack: Stack, *, days_ago: Sequence[int], per_day: int) -> System:
    url = stack.url("/")
    one_of_five = wanting(url) + wanting(url, "Invoice.paid", count=4)
    described = [one_of_five, *[wanting(url, count=SUBSCRIPTIONS)] * PROJECTS]
    publisher, *owners = make_projects(stack.run, described)
    history_rows.generate(stack, owners, days_ago=days_ago, per_day=per_day)
    history_rows.let_fail(stack, owners[0].subscriptions[0], FAILED)
    web = stack.start_web()
    return System(stack, web, publisher, owners[0], _middle_of(stack, owners[0]))


def _middle_of(stack: Stack, project: Project) -> str:
    with stack.connect() as connection:
        row = connection.execute(
            "WITH whole AS (SELECT min(created_at) + (max(created_at) - min(created_at)) / 2 AS at"
            " FROM deliveries_delivery WHERE project_id = %(project)s)"
            " SELECT replace(id::text, '-', '') FROM deliveries_delivery, whole"
            " WHERE project_id = %(project)s AND created_at >= whole.at ORDER BY id LIMIT 1",
            {"project": project.id},
        ).fetchone()
    assert row is not None
    return f"dlv_{row[0]}"


def _measure(system: System, *, seconds: float) -> dict[str, float]:
    """Do everything once; return what each took, without a trace."""
    stack = system.stack
    taken = _publish(system, seconds=seconds)
    empty_today(stack)
    # Twice as many as are claimed, so that the last claim is full.
    due_at = fill(stack, system.reader, 2 * STEPS * database_steps.AT_ONCE)
    analyze(stack)
    time.sleep(max(0.0, due_at - time.time()))
    steps = json.loads(stack.run("bench.database_steps", str(STEPS)))
    if steps["deliveries"] != STEPS * database_steps.AT_ONCE:
        raise RuntimeError(f"only {steps['deliveries']} deliveries were due")
    taken |= {
        f"{name}, {database_steps.AT_ONCE} at once": statistics.median(steps[name])
        for name in ("claim", "record")
    }
    subscription = system.reader.subscriptions[0].replace("-", "")
    for name, path in {
        "first page of history": "/deliveries",
        "filtered page": f"/deliveries?status=failed&subscription=sub_{subscription}",
        _RARE: "/deliveries?outcome=tls_failed",
        "detail of an old delivery": f"/deliveries/{system.old_delivery}",
    }.items():
        taken[name] = _read(system, path)
    empty_today(stack)
    return taken


def _publish(system: System, *, seconds: float) -> dict[str, float]:
    meter = parts_meter(system.stack, web=system.web.pid)
    published = publish(
        Load(
            port=system.stack.port,
            slug=system.publisher.slug,
            api_key=system.publisher.api_key,
            seconds=seconds,
            clients=2,
        )
    )
    cpu = meter.seconds()
    return {
        "publish, answer": statistics.median(published.answer_ms),
        _PUBLISH_CPU: 1e6 * (cpu["web"] + cpu["PostgreSQL"]) / published.events,
    }


_PUBLISH_CPU: Final = "publish, CPU of web and PostgreSQL"
_UNITS: Final = {_PUBLISH_CPU: "µs"}
_RARE: Final = "page that nothing fits"
"""Every day has to be looked into: no target, and worth knowing."""


def _read(system: System, path: str) -> float:
    """Get a page again and again; return the median of the milliseconds."""
    reader = system.reader
    connection = http.client.HTTPConnection("127.0.0.1", system.stack.port, timeout=60)
    taken = []
    for _ in range(READS):
        began = time.perf_counter()
        connection.request(
            "GET",
            f"/api/v1/projects/{reader.slug}{path}",
            headers={"Authorization": f"Bearer {reader.api_key}"},
        )
        answer = connection.getresponse()
        body = answer.read()
        taken.append(1000 * (time.perf_counter() - began))
        if answer.status != 200:
            raise RuntimeError(f"{path}: {answer.status} {body[:300]!r}")
    connection.close()
    return statistics.median(taken)
