"""Memory of a worker: with a thousand requests in flight, and after a million deliveries.

The first with a receiver that takes most of a second to answer; the second with the fast one.
"""

from __future__ import annotations

import time
from typing import Final

from bench.cpu import resident_mb
from bench.due import empty_today, fill, read_in_flight, wait_until_sent
from bench.measurement import Figure, at_most, figure
from bench.options import Options
from bench.projects import Project, make_projects, wanting
from bench.slow_receiver import SlowReceiver
from bench.stack import Stack, running_stack
from tests.faults.processes import Program

CASE: Final = "memory"
TITLE: Final = "Memory of a worker"

SUBSCRIPTIONS: Final = 200
IN_FLIGHT: Final = 1_000
CHUNK: Final = 50_000
LIMIT_MB: Final = 150
GROWTH_MB: Final = 5
"""What may be called flat: noise of the allocator, not a leak of five bytes per delivery."""


def run(options: Options) -> list[Figure]:
    """Measure one worker from its start on."""
    total = options.size(1_000_000, 100_000)
    with running_stack() as stack:
        receiver = SlowReceiver(stack.folder)
        receiver.start()
        try:
            busy, quick = make_projects(
                stack.run,
                [
                    wanting(f"{receiver.origin}/busy", count=SUBSCRIPTIONS),
                    wanting(stack.url("/"), count=SUBSCRIPTIONS),
                ],
            )
            (worker,) = stack.start_workers(1)
            in_flight, most_mb = _with_many_in_flight(stack, busy, worker)
            sizes = _send_on(stack, quick, worker, total=total)
        finally:
            receiver.program.kill()
    growth = sizes[-1] - sizes[0]
    return [
        figure(
            CASE,
            f"most, with {IN_FLIGHT:,} in flight, then or later",
            [max(most_mb, *sizes)],
            unit="MB",
            target=at_most(LIMIT_MB),
            note=f"bodies of 1 KiB; {most_mb:.0f} MB while {in_flight:,} were waiting for answers",
        ),
        figure(
            CASE,
            f"growth over {total:,} deliveries",
            [growth],
            unit="MB",
            target=at_most(GROWTH_MB),
            note=f"from {sizes[0]:.0f} MB, after the first {CHUNK:,}, to {sizes[-1]:.0f} MB",
        ),
    ]


def _with_many_in_flight(stack: Stack, project: Project, worker: Program) -> tuple[int, float]:
    """Return how many requests were seen in flight, and the most memory meanwhile."""
    empty_today(stack)
    due_at = fill(stack, project, 8 * IN_FLIGHT)
    time.sleep(max(0.0, due_at - time.time()))
    in_flight, most_mb = 0, 0.0
    for _ in range(40):
        time.sleep(0.1)
        in_flight = max(in_flight, read_in_flight(stack))
        most_mb = max(most_mb, resident_mb(worker.pid))
    wait_until_sent(stack, within_seconds=120)
    return in_flight, most_mb


def _send_on(stack: Stack, project: Project, worker: Program, *, total: int) -> list[float]:
    """Send so many, in chunks; return the memory after each."""
    sizes = []
    for _ in range(total // CHUNK):
        empty_today(stack)
        fill(stack, project, CHUNK)
        wait_until_sent(stack, within_seconds=60 + CHUNK / 50)
        sizes.append(resident_mb(worker.pid))
    return sizes
