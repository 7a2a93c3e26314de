"""Publishing: over REST, single events and batches; and in process.

A project with five subscriptions, of which one matches: each event makes one delivery. No worker
runs, so that web and PostgreSQL are what is measured.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import cycle
from typing import Final

from bench.cpu import CpuMeter
from bench.due import empty_today
from bench.measurement import Figure, Target, at_least, at_most, figure, percentile
from bench.options import Options
from bench.projects import Project, make_projects, wanting
from bench.publisher import Load, Published
from bench.publishing_load import publish
from bench.stack import Stack, running_stack

CASE: Final = "publishing"
TITLE: Final = "Publishing"

SUBSCRIPTIONS: Final = 5
BATCH: Final = 1_000
FEW, MANY = 2, 8
"""Clients, each with a connection and one request under way."""

THREADS: Final = {1: 8, BATCH: 2}
"""Of a process that publishes in process, by batch: as many as fill both cores."""


@dataclass(frozen=True, slots=True)
class Pass:
    """One run of one load."""

    per_second: float
    per_cpu_second: float
    """Of web, or of the process that calls `publish()`."""
    answer_ms: tuple[float, ...]
    cpu_us: dict[str, float]
    """Per event, of each part."""


def run(options: Options) -> list[Figure]:
    """Measure each load, round by round."""
    with running_stack() as stack:
        rounds = Rounds(stack, options)
        rounds.warm_up()
        for _ in range(options.runs):
            rounds.take()
        return rounds.figures()


class Rounds:
    """Every load's passes."""

    def __init__(self, stack: Stack, options: Options) -> None:
        self._stack = stack
        self._seconds = options.size(6, 3)
        # Rates are counted by project, and a fresh one has ten seconds' worth at once.
        url = stack.url("/")
        five = wanting(url) + wanting(url, "Invoice.paid", count=SUBSCRIPTIONS - 1)
        self._turn: Iterator[Project] = cycle(make_projects(stack.run, [five] * 8))
        self._web = stack.start_web()
        self._passes: defaultdict[str, list[Pass]] = defaultdict(list)

    def warm_up(self) -> None:
        """Let every thread of web answer once or twice; nothing is counted."""
        for batch in (1, BATCH):
            self._publish(clients=MANY, batch=batch)

    def take(self) -> None:
        """Run each load once."""
        self._passes["few"].append(self._publish(clients=FEW))
        many = self._publish(clients=MANY)
        self._passes["many"].append(many)
        # Twice as many clients as under full load: a slow answer must not hold the next one up.
        self._passes["half"].append(self._publish(clients=2 * MANY, per_second=many.per_second / 2))
        self._passes["batches"].append(self._publish(clients=FEW, batch=BATCH))
        for batch in (1, BATCH):
            for threads in (1, THREADS[batch]):
                taken = self._publish_in_process(batch, threads)
                self._passes[f"{batch} by {threads}"].append(taken)

    def _publish(self, *, clients: int, batch: int = 1, per_second: float | None = None) -> Pass:
        empty_today(self._stack)
        project = next(self._turn)
        meter = parts_meter(self._stack, web=self._web.pid)
        published = publish(
            Load(
                port=self._stack.port,
                slug=project.slug,
                api_key=project.api_key,
                # More than a burst of the highest rate there is would be refused.
                seconds=self._seconds if batch == 1 else self._seconds / 2,
                clients=clients,
                batch=batch,
                per_second=per_second,
            )
        )
        return _pass(published, meter.seconds())

    def _publish_in_process(self, batch: int, threads: int) -> Pass:
        empty_today(self._stack)
        project = next(self._turn)
        meter = parts_meter(self._stack, web=self._web.pid)
        said = json.loads(
            self._stack.run(
                "bench.in_process", project.slug, str(self._seconds), str(batch), str(threads)
            )
        )
        seconds = meter.seconds() | {"web": said["cpu_seconds"]}
        published = Published(events=said["events"], seconds=said["seconds"])
        return _pass(published, seconds)

    def figures(self) -> list[Figure]:
        """Return the table's rows."""
        return [
            *self._load_figures("few", f"single events, {FEW} clients"),
            *self._load_figures(
                "many", f"single events, {MANY} clients", per_cpu_second=at_least(1_000)
            ),
            self._answer("many", 50, f"answer, p50, {MANY} clients at full load"),
            self._answer("many", 99, f"answer, p99, {MANY} clients at full load"),
            self._answer("half", 50, "answer, p50, at half of that load"),
            self._answer("half", 99, "answer, p99, at half of that load", at_most(50)),
            *self._load_figures(
                "batches", f"batches of {BATCH:,}, {FEW} clients", per_second=at_least(15_000)
            ),
            *self._in_process("`publish()` in process", batch=1, target=at_least(3_000)),
            *self._in_process(
                f"`publish_many()` in process, {BATCH:,} each", batch=BATCH, target=at_least(25_000)
            ),
        ]

    def _in_process(self, metric: str, *, batch: int, target: Target) -> list[Figure]:
        """Return the rows of one thread, which waits for each commit, and of several."""
        several = THREADS[batch]
        return [
            *self._load_figures(f"{batch} by 1", f"{metric}, one thread", of="the caller"),
            *self._load_figures(
                f"{batch} by {several}",
                f"{metric}, {several} threads",
                per_second=target,
                of="the caller",
            ),
        ]

    def _load_figures(
        self,
        name: str,
        metric: str,
        *,
        per_second: Target | None = None,
        per_cpu_second: Target | None = None,
        of: str = "web",
    ) -> list[Figure]:
        passes = self._passes[name]
        costs = ", ".join(
            f"{part} {_median([one.cpu_us[part] for one in passes]):.0f}"
            for part in passes[0].cpu_us
        ).replace("web", of)
        return [
            figure(
                CASE,
                metric,
                [one.per_second for one in passes],
                unit="events/s",
                target=per_second,
            ),
            figure(
                CASE,
                f"{metric}, per CPU-second of {of}",
                [one.per_cpu_second for one in passes],
                unit="events per CPU-s",
                target=per_cpu_second,
                note=f"µs of CPU per event: {costs}",
            ),
        ]

    def _answer(
        self, name: str, percent: float, metric: str, target: Target | None = None
    ) -> Figure:
        samples = [percentile(one.answer_ms, percent) for one in self._passes[name]]
        return figure(CASE, metric, samples, unit="ms", target=target)


def parts_meter(stack: Stack, *, web: int) -> CpuMeter:
    """Count what the parts that take events in cost."""
    return CpuMeter({"web": [web], "PostgreSQL": [stack.postgres.pid], "Redis": [stack.redis.pid]})


def _median(values: list[float]) -> float:
    return percentile(values, 50)


def _pass(published: Published, cpu_seconds: dict[str, float]) -> Pass:
    return Pass(
        per_second=published.per_second,
        per_cpu_second=published.events / cpu_seconds["web"],
        answer_ms=tuple(published.answer_ms),
        cpu_us={part: 1e6 * seconds / published.events for part, seconds in cpu_seconds.items()},
    )
