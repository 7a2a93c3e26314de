"""Pruning: how long a day of five million deliveries takes to go, and what publishing notices.

On PostgreSQL a partition is detached and dropped; on SQLite rows are deleted in batches, so that
what counts there is how long anybody has to wait for one of them.
"""

from __future__ import annotations

import json
import os
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from bench import history_rows
from bench.due import empty_today
from bench.machine import file_system
from bench.measurement import Figure, at_most, compared, figure, percentile
from bench.options import Options
from bench.projects import make_projects, wanting
from bench.publisher import Load
from bench.publishing_load import Publishing, publish
from bench.receiver import start_receiver
from bench.sqlite_rows import add_old_rows
from bench.stack import Stack, running_stack
from tests.faults.stack import EmbeddedStack

CASE: Final = "pruning"
TITLE: Final = "Pruning"

KEPT_DAYS: Final = 30
LOAD_SECONDS: Final = 8
READY_SECONDS: Final = 4
"""What prunes is loaded by then, which would be felt: a worker has been for days."""


@dataclass(frozen=True, slots=True)
class Pass:
    """One pruning under load."""

    seconds: float
    partitions: int
    before_ms: list[float]
    during_ms: list[float]
    """How long publishers waited for answers."""


def run(options: Options) -> list[Figure]:
    """Prune both homes."""
    return [*_postgres(options), *_sqlite(options)]


def _postgres(options: Options) -> list[Figure]:
    count = options.size(5_000_000, 200_000)
    with running_stack() as stack:
        kept_on = f"PostgreSQL's data on {file_system(stack.folder)}"
        url = stack.url("/")
        owner, publisher = make_projects(
            stack.run,
            [wanting(url, count=30), wanting(url) + wanting(url, "Invoice.paid", count=4)],
        )
        stack.start_web()
        load = Load(stack.port, publisher.slug, publisher.api_key, LOAD_SECONDS, clients=4)
        half = publish(replace(load, seconds=3)).per_second / 2
        load = replace(load, per_second=half, clients=16)
        passes = []
        # All at once: what writes them would be felt long after, by whoever waits for the disk.
        oldest_first = range(options.runs, 0, -1)
        days_ago = [KEPT_DAYS + number for number in oldest_first]
        history_rows.generate(stack, [owner], days_ago=days_ago, per_day=count)
        _put_out_of_memory(stack)
        publish(load)  # warms up: what is needed comes back into memory
        for number in oldest_first:
            passes.append(_prune_under(load, stack, days_ago=number - 1))
            empty_today(stack)
    note = f"{count:,} deliveries with their attempts, {count // 5:,} events"
    before_ms = [ms for one in passes for ms in one.before_ms]
    meanwhile_ms = [ms for one in passes for ms in one.during_ms]
    return [
        figure(
            CASE,
            "a day is gone, PostgreSQL",
            [one.seconds for one in passes],
            unit="s",
            target=at_most(2),
            note=note,
        ),
        compared(
            CASE,
            "publishing's p99 meanwhile, PostgreSQL",
            [percentile(meanwhile_ms, 99)],
            unit="ms",
            yardstick="before",
            against=[percentile(before_ms, 99)],
            target=at_most(1.2),
            note=f"all rounds together, at {half:.0f} events/s, half of what web takes; {kept_on}",
        ),
    ]


def _prune_under(load: Load, stack: Stack | EmbeddedStack, *, days_ago: int = 0) -> Pass:
    """Drop what was too old so many days ago."""
    _write_to_disk(stack)
    before = publish(load)
    _write_to_disk(stack)
    when = ("--at", str(time.time() + READY_SECONDS + 1), "--days-ago", str(days_ago))
    with ThreadPoolExecutor(1) as beside:
        pruning = beside.submit(stack.run, "bench.prune", *when)
        time.sleep(READY_SECONDS)
        during = Publishing(load).wait()
        said = json.loads(pruning.result())
    if not said["partitions"] and not said["rows"]:
        raise RuntimeError("nothing was pruned")
    return Pass(said["seconds"], said["partitions"], before.answer_ms, during.answer_ms)


def _write_to_disk(stack: Stack | EmbeddedStack) -> None:
    """Write what would be written, thirty seconds after it was changed, beside what is measured."""
    if isinstance(stack, Stack):
        with stack.postgres.superuser() as connection:
            connection.execute("CHECKPOINT")
    os.sync()


def _put_out_of_memory(stack: Stack) -> None:
    """Have nothing of the files in memory: what is pruned was last needed weeks ago.

    To delete what the system remembers takes a core half a second for five million deliveries. What
    is not on disk yet stays in memory: `history_rows.generate` leaves nothing of that.
    """
    for path in (stack.postgres.folder / "cluster" / "base").rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def _sqlite(options: Options) -> list[Figure]:
    count = options.size(50_000, 5_000)
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        stack = EmbeddedStack(Path(folder))
        receiver = start_receiver(Path(folder))
        try:
            stack.mend()
            (project,) = make_projects(stack.run, [wanting(f"{receiver.origin}/")])
            port = int(stack.site.rpartition(":")[2])
            load = Load(port, project.slug, project.api_key, LOAD_SECONDS, clients=4, per_second=10)
            passes = []
            for _ in range(options.runs):
                add_old_rows(stack.data / "dispatcher.sqlite3", count=count)
                passes.append(_prune_under(load, stack))
        finally:
            stack.close()
            receiver.program.kill()
    note = f"{count:,} deliveries with their events and attempts, 1,000 rows a batch"
    return [
        figure(CASE, "a day is gone, SQLite", [one.seconds for one in passes], unit="s", note=note),
        compared(
            CASE,
            "publishing's slowest answer meanwhile, SQLite",
            [max(one.during_ms) for one in passes],
            unit="ms",
            yardstick="before",
            against=[max(one.before_ms) for one in passes],
            note="at 10 events/s: nobody waits for more than a batch and SQLite's next look",
        ),
    ]
