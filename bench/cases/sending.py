"""Sending: recorded deliveries a second, and what each costs the worker.

Beside the product, in turns: a bare libcurl loop that records nothing, the product's own `requests`
transport, and a Celery task for each delivery.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections import defaultdict
from dataclasses import dataclass, replace
from typing import Final

from bench.cpu import CpuMeter
from bench.due import (
    NOTHING,
    Sent,
    Written,
    analyze,
    empty_today,
    fill,
    read_sent,
    read_written,
    wait_until_sent,
)
from bench.environment import unwatched
from bench.measurement import Figure, Target, at_least, compared, figure
from bench.options import Options
from bench.projects import Project, make_projects, wanting
from bench.stack import Stack, running_stack
from bench.usual_way import UsualWay
from tests.compose_file import ROOT

CASE: Final = "sending"
TITLE: Final = "Sending what is due"

SUBSCRIPTIONS: Final = 200
WARM_UP: Final = 2_000


@dataclass(frozen=True, slots=True)
class Pass:
    """One round of one contender."""

    per_second: float
    per_cpu_second: float
    """Of the worker, or of whatever sends."""
    cpu_us: dict[str, float]
    """CPU microseconds per delivery, of each part of the system."""
    written: Written = NOTHING
    """What PostgreSQL wrote per delivery; nothing of contenders that use another."""


def run(options: Options) -> list[Figure]:
    """Measure all contenders, round by round."""
    with running_stack() as stack:
        rounds = Rounds(stack, options)
        for number in range(options.runs):
            rounds.take(is_first=number == 0)
        return rounds.figures()


class Rounds:
    """Every contender's passes."""

    def __init__(self, stack: Stack, options: Options) -> None:
        self._stack = stack
        (self._project,) = make_projects(stack.run, [wanting(stack.url("/"), count=SUBSCRIPTIONS)])
        self._usual_way = UsualWay(stack)
        self._count = options.size(100_000, 5_000)
        self._slow_count = options.size(10_000, 1_500)
        self._usual_count = options.size(3_000, 400)
        self._passes: defaultdict[str, list[Pass]] = defaultdict(list)

    def take(self, *, is_first: bool) -> None:
        """Let each contender send once."""
        bare = bare_loop(self._stack.url("/"), self._count)
        if is_first:  # that was the receiver's warm-up
            bare = bare_loop(self._stack.url("/"), self._count)
        self._passes["bare"].append(bare)
        for name, workers, transport, count in (
            ("one", 1, "curl", self._count),
            ("two", 2, "curl", self._count),
            ("requests", 1, "requests", self._slow_count),
        ):
            taken = send(self._stack, self._project, count, workers=workers, transport=transport)
            self._passes[name].append(taken)
        sent, cpu_seconds = self._usual_way.send(self._usual_count)
        self._passes["usual"].append(_pass(sent, {"worker": cpu_seconds}))

    def figures(self) -> list[Figure]:
        """Return the table's rows."""
        passes = self._passes
        cpu, wall = _per_cpu_second(passes), _per_second(passes)
        size = f"{self._count:,} deliveries, {SUBSCRIPTIONS} subscriptions, bodies of 1 KiB"
        receiver = f"{self._stack.receiver.kind}, asked by the bare loop"
        unit, per_cpu = "deliveries/s", "deliveries per CPU-s"
        return [
            figure(CASE, "recorded deliveries, one worker", wall["one"], unit=unit, note=size),
            figure(
                CASE,
                "recorded deliveries, two workers, one for each core",
                wall["two"],
                unit=unit,
                target=at_least(5_000),
                note=size,
            ),
            figure(CASE, "the receiver's ceiling", wall["bare"], unit="requests/s", note=receiver),
            compared(
                CASE,
                "per CPU-second, against a bare libcurl loop",
                cpu["one"],
                unit=per_cpu,
                yardstick="signs and sends, records nothing",
                against=cpu["bare"],
                target=at_least(0.35),
                note=size,
            ),
            *self._beside(
                "requests",
                "our `requests` transport",
                yardsticks=("DISPATCHER_TRANSPORT=requests", ", one worker"),
                target=at_least(6),
                note=f"{self._slow_count:,} deliveries for the slower",
            ),
            *self._beside(
                "usual",
                "a Celery task each",
                yardsticks=("Celery task, `requests`, ORM", ", a process per core"),
                target=at_least(25),
                note=f"{self._usual_count:,} deliveries for the slower",
            ),
            *(
                figure(
                    CASE,
                    f"CPU of {part} per delivery",
                    [one.cpu_us[part] for one in passes["one"]],
                    unit="µs",
                    note="one worker",
                )
                for part in ("worker", "PostgreSQL", "Redis", "receiver")
            ),
        ]

    def _beside(
        self,
        contender: str,
        words: str,
        *,
        yardsticks: tuple[str, str],
        target: Target,
        note: str,
    ) -> list[Figure]:
        """Compare one worker with another way: what each CPU-second sends, and each second.

        `yardsticks` says what the other way is, and how much of it sends at once.
        """
        what, how_much = yardsticks
        cpu, wall = _per_cpu_second(self._passes), _per_second(self._passes)
        return [
            compared(
                CASE,
                f"per CPU-second, against {words}",
                cpu["one"],
                unit="deliveries per CPU-s",
                yardstick=what,
                against=cpu[contender],
                target=target,
                note=note,
            ),
            compared(
                CASE,
                f"per second, against {words}",
                wall["one"],
                unit="deliveries/s",
                yardstick=what + how_much,
                against=wall[contender],
                note=note,
            ),
        ]


def _per_cpu_second(passes: dict[str, list[Pass]]) -> dict[str, list[float]]:
    return {name: [one.per_cpu_second for one in own] for name, own in passes.items()}


def _per_second(passes: dict[str, list[Pass]]) -> dict[str, list[float]]:
    return {name: [one.per_second for one in own] for name, own in passes.items()}


def send(stack: Stack, project: Project, count: int, *, workers: int, transport: str) -> Pass:
    """Send so many due deliveries by fresh workers, warm; return what they took."""
    programs = stack.start_workers(workers, DISPATCHER_TRANSPORT=transport)
    try:
        for size in (min(WARM_UP, count), count):
            empty_today(stack)
            fill(stack, project, size)
            analyze(stack)
            meter = CpuMeter(
                {
                    "worker": [program.pid for program in programs],
                    "PostgreSQL": [stack.postgres.pid],
                    "Redis": [stack.redis.pid],
                    "receiver": [stack.receiver.program.pid],
                }
            )
            before = read_written(stack)
            wait_until_sent(stack, within_seconds=60 + size / 50)
        taken, after = meter.seconds(), read_written(stack)
        passed = _pass(read_sent(stack, expected=count), taken)
        return replace(passed, written=(after - before) / count)
    finally:
        stack.stop(*programs)
        empty_today(stack)


def bare_loop(url: str, count: int) -> Pass:
    """Send as many requests by the bare loop, in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "bench.yardsticks.curl_loop", url, str(count)],
        cwd=ROOT,
        env=unwatched(),
        capture_output=True,
        check=True,
        timeout=60 + count / 50,
    )
    loop = json.loads(done.stdout)
    return _pass(Sent(count, loop["seconds"]), {"worker": loop["cpu_seconds"]})


def _pass(sent: Sent, cpu_seconds: dict[str, float]) -> Pass:
    return Pass(
        per_second=sent.per_second,
        per_cpu_second=sent.count / cpu_seconds["worker"],
        cpu_us={part: 1e6 * seconds / sent.count for part, seconds in cpu_seconds.items()},
    )
