"""Latency: from the 202 to the receiver's socket, at 30 % of what the whole system can take.

Both ends are on this machine's monotonic clock. A request that reached the receiver before its
publisher had read the 202 counts as 0 ms.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from bench.measurement import Figure, Target, at_most, figure, percentile
from bench.options import Options
from bench.projects import make_projects, wanting
from bench.publisher import Load, Published
from bench.publishing_load import publish
from bench.slow_receiver import Arrival, SlowReceiver
from bench.stack import running_stack
from tests.faults.stack import EmbeddedStack, eventually

CASE: Final = "latency"
TITLE: Final = "Latency"

LOAD_SHARE: Final = 0.3
CLIENTS: Final = 4
"""As many saturate two cores: more would only wait for each other."""

DRAIN_SECONDS: Final = 120.0


@dataclass(frozen=True, slots=True)
class Home:
    """A running system with one subscription, and what it takes to publish there."""

    load: Load
    receiver: SlowReceiver


def run(options: Options) -> list[Figure]:
    """Measure production's processes, then the embedded home."""
    with _production() as home:
        production = _measure(home, options)
    with _embedded() as home:
        embedded = _measure(home, options)
    return [
        *_figures("PostgreSQL and Redis", production, p50=at_most(15), p99=at_most(60)),
        *_figures("embedded, SQLite", embedded, p50=None, p99=at_most(100)),
    ]


@contextmanager
def _production() -> Iterator[Home]:
    with running_stack() as stack, _receiver(stack.folder) as receiver:
        (project,) = make_projects(stack.run, [wanting(f"{receiver.origin}/ok")])
        stack.start_web()
        stack.start_workers(1)
        load = Load(stack.port, project.slug, project.api_key, seconds=5, clients=CLIENTS)
        yield Home(load, receiver)


@contextmanager
def _embedded() -> Iterator[Home]:
    with ExitStack() as cleanup:
        folder = Path(cleanup.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        receiver = cleanup.enter_context(_receiver(folder))
        stack = EmbeddedStack(folder)
        cleanup.callback(stack.close)
        stack.mend()
        (project,) = make_projects(stack.run, [wanting(f"{receiver.origin}/ok")])
        port = int(stack.site.rpartition(":")[2])
        yield Home(Load(port, project.slug, project.api_key, seconds=5, clients=CLIENTS), receiver)


@contextmanager
def _receiver(folder: Path) -> Iterator[SlowReceiver]:
    receiver = SlowReceiver(folder)
    try:
        receiver.start()
        yield receiver
    finally:
        receiver.program.kill()


@dataclass(frozen=True, slots=True)
class Measured:
    """What a home takes at most, and the lags at `LOAD_SHARE` of it, run by run."""

    full_per_second: float
    lags_ms: list[list[float]]


def _measure(home: Home, options: Options) -> Measured:
    _publish(home, replace(home.load, seconds=2))  # warms up
    published, arrivals = _publish(home, home.load)
    began = min(published.answered_at.values())
    full = len(arrivals) / (max(arrival.at for arrival in arrivals) - began)
    paced = replace(
        home.load,
        seconds=options.size(15, 5),
        per_second=LOAD_SHARE * full,
        clients=4 * CLIENTS,  # a slow answer must not hold the next request up
    )
    return Measured(full, [lags_ms(*_publish(home, paced)) for _ in range(options.runs)])


def _publish(home: Home, load: Load) -> tuple[Published, list[Arrival]]:
    """Publish, and wait until everything has arrived."""
    published = publish(load)
    arrivals: list[Arrival] = []

    def all_arrived() -> bool:
        arrivals.extend(home.receiver.take_arrivals())
        return {arrival.event_id for arrival in arrivals} >= published.answered_at.keys()

    eventually(all_arrived, "all events arrive", within_seconds=DRAIN_SECONDS)
    return published, arrivals


def lags_ms(published: Published, arrivals: list[Arrival]) -> list[float]:
    """Return how long after its 202 each event arrived."""
    return [
        1000 * max(0.0, arrival.at - published.answered_at[arrival.event_id])
        for arrival in arrivals
        if arrival.event_id in published.answered_at
    ]


def _figures(
    where: str, measured: Measured, *, p50: Target | None, p99: Target | None
) -> list[Figure]:
    note = f"at {LOAD_SHARE * measured.full_per_second:.0f} events/s"
    return [
        figure(
            CASE,
            f"202 to the receiver's socket, p{percent}, {where}",
            [percentile(lags, percent) for lags in measured.lags_ms],
            unit="ms",
            target=target,
            note=note,
        )
        for percent, target in ((50, p50), (99, p99))
    ] + [
        figure(
            CASE,
            f"published, sent and recorded at once, {where}",
            [measured.full_per_second],
            unit="events/s",
            note="full load: 30 % is of this",
        )
    ]
