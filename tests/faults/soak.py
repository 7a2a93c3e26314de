"""F47: half an hour at a steady load, and whether anything grows: `make soak`.

    python -m tests.faults.soak --minutes 30

A warm-up comes first, counted in events and as fast as they are taken. Exit status 1 when memory's
slope, descriptors, threads or connections are over their bounds, or when anything was lost.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass

from tests.faults.processes import Usage
from tests.faults.reconciler import SLACK
from tests.faults.runner import (
    WARM_UP_THREADS,
    held_by,
    publish_beside,
    run,
    running_stack,
    say,
)
from tests.faults.scene import Scene
from tests.faults.stack import Stack
from tests.faults.table import BOTH, Fault, head_line, row_line

SLOPE_LIMIT_KB_PER_HOUR = 1024.0
SAMPLE_SECONDS = 10.0

WARM_UP_EVENTS = 30_000
"""Published before anything is counted. What grows to a limit and then stays is reached by use, not
by time: each thread's share of the allocator, Celery's list of its last thousand tasks (250 kB),
and a worker's handles for as many requests as were ever under way at once (70 kB each)."""

_WARM_UP_STEP = 2_000

SETTLING_SHARE = 1 / 3
"""Of the run, not counted: the load is half of the warm-up's, and what was freed is given back."""


@dataclass(frozen=True, slots=True)
class Sample:
    """What one process held at one time."""

    at: float
    events: int
    """Published by then."""
    usage: Usage


def slope(points: Sequence[tuple[float, float]]) -> float:
    """Return how fast the second value grows with the first: the median over all pairs of points.

    Theil and Sen's: where garbage is collected now and then, a sample may be off by 300 kB.
    """
    slopes = [
        (later - earlier) / (then - when)
        for (when, earlier), (then, later) in itertools.combinations(points, 2)
        if then != when
    ]
    return statistics.median(slopes) if slopes else 0.0


def slope_per_hour(points: Sequence[tuple[float, float]]) -> float:
    """Return how fast a value grows per hour; points are (seconds, value)."""
    return 3600 * slope(points)


def judge(name: str, samples: Sequence[Sample]) -> tuple[str, list[str]]:
    """Return a process's figures in a line, and what is over its bound."""
    kb_per_hour = slope_per_hour([(one.at, one.usage.memory_kb) for one in samples])
    kb_per_event = slope([(one.events, one.usage.memory_kb) for one in samples])
    first, last = samples[0].usage, samples[-1].usage
    figures = (
        f"{name}: {last.memory_kb // 1024} MB, {kb_per_hour / 1024:+.2f} MB/h "
        f"({1e6 * kb_per_event / 1024:+.1f} MB per million events), "
        f"{first.descriptors} to {last.descriptors} descriptors, "
        f"{first.threads} to {last.threads} threads"
    )
    problems = []
    if kb_per_hour > SLOPE_LIMIT_KB_PER_HOUR:
        problems.append(f"{name} grows by {kb_per_hour / 1024:.2f} MB an hour")
    for what, was, now in (
        (
            "descriptors",
            _median(samples[: len(samples) // 2], "descriptors"),
            _median(samples[len(samples) // 2 :], "descriptors"),
        ),
        ("threads", first.threads, last.threads),
    ):
        if now > was + max(4.0, was * SLACK):
            problems.append(f"{name} holds {now:g} {what} and held {was:g}")
    return figures, problems


def _median(samples: Sequence[Sample], name: str) -> float:
    ranked = sorted(getattr(one.usage, name) for one in samples)
    return float(ranked[len(ranked) // 2]) if ranked else 0.0


def _warm_up(stack: Stack, *, events: int) -> None:
    for _ in range(0, events, _WARM_UP_STEP):
        publish_beside(stack, events=_WARM_UP_STEP, threads=WARM_UP_THREADS)


def _soak(scene: Scene, *, seconds: float) -> None:
    until = time.monotonic() + seconds
    counted_from = time.monotonic() + seconds * SETTLING_SHARE
    samples: dict[str, list[Sample]] = {}
    while time.monotonic() < until:
        time.sleep(SAMPLE_SECONDS)
        if time.monotonic() >= counted_from:
            events = len(scene.driver.tally.acknowledged)
            for name, usage in held_by(scene.stack).items():
                samples.setdefault(name, []).append(Sample(time.monotonic(), events, usage))
    for name, own in samples.items():
        figures, problems = judge(name, own)
        scene.notes.append(figures)
        scene.problems += problems


def main() -> int:
    """Run it; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--warm-up-events", type=int, default=WARM_UP_EVENTS)
    parser.add_argument("--engine", choices=BOTH, default="postgres")
    parser.add_argument("--per-second", type=float, default=60, help="about half of what fits")
    arguments = parser.parse_args()
    fault = Fault(
        "F47",
        "soak",
        f"{arguments.minutes:g} minutes",
        lambda scene: _soak(scene, seconds=60 * arguments.minutes),
        engines=(arguments.engine,),
        per_second=arguments.per_second,
    )
    say(head_line())
    with running_stack(arguments.engine) as stack:
        _warm_up(stack, events=arguments.warm_up_events)
        row = run(fault, stack)
    say(row_line(row))
    return 0 if row.holds else 1


if __name__ == "__main__":
    sys.exit(main())
