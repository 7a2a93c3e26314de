"""Isolation: what healthy subscriptions notice of others' trouble. Nothing much, it shall be.

A steady trickle of events to a hundred subscriptions, and single events of another project, while
one thing after another goes wrong elsewhere. From the second phase on a fifth of those hundred
hang and a twentieth answers after 4.5 s, to the end; the rest are the healthy, whose lag from the
202 to the socket counts. Hanging ones have retries: ten failures in a row would switch them off.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from bench.due import empty_of_unfinished, fill, mark_as_retries, wait_until_sent_to
from bench.measurement import Figure, Target, at_most, compared, figure, percentile
from bench.options import Options
from bench.projects import Project, Settings, make_projects, wanting
from bench.publisher import Load, Published
from bench.publishing_load import Publishing, publish
from bench.slow_receiver import Arrival, SlowReceiver
from bench.stack import Stack, running_stack
from tests.dns_stub import Answer, DnsStub

CASE: Final = "isolation"
TITLE: Final = "Isolation"

GROUPS: Final = 5
"""Of twenty subscriptions each: four hang, one is late, fifteen are healthy. An event has one."""

TRICKLE_PER_SECOND: Final = 10
"""Events, twenty deliveries each."""

BYSTANDER_PER_SECOND: Final = 2
WORKERS: Final = 2
NAME: Final = "receivers.test"
"""Of all receivers but the slow names': that the resolver works is seen by it."""
DNS_SECONDS: Final = 30.0
DNS_NAMES: Final = 50
BOUND_MS: Final = 250.0
BOUND_RATIO: Final = 1.5

_SOON: Final = [5] * 10 + [60] * 10
"""Many retries at first, and none is the last before the end: that would count as a failure."""
_MUCH_LATER: Final = [600] * 20
_BASELINE: Final = "with all receivers healthy"


@dataclass(frozen=True, slots=True)
class Lags:
    """What was noticed in one phase, in ms."""

    healthy_p95: float
    bystander_worst: float


@dataclass(frozen=True, slots=True)
class Projects:
    """Who takes part."""

    trickle: Project
    bystander: Project
    flood: Project
    failing: Project
    nameless: Project


def run(options: Options) -> list[Figure]:
    """Go through all phases, each time in a fresh system."""
    passes: list[dict[str, Lags]] = []
    for _ in range(options.size(3, 1)):
        with DnsStub() as dns, running_stack(DISPATCHER_DNS_SERVERS=dns.server) as stack:
            receiver = SlowReceiver(stack.folder)
            receiver.start()
            try:
                passes.append(Phases(stack, receiver, dns, options).go_through())
            finally:
                receiver.program.kill()
    return _figures(passes)


class Phases:
    """One pass through all phases, in one running system."""

    def __init__(
        self, stack: Stack, receiver: SlowReceiver, dns: DnsStub, options: Options
    ) -> None:
        self._stack = stack
        self._receiver = receiver
        self._seconds = options.size(20, 8)
        self._flood = options.size(100_000, 10_000)
        self._storm = options.size(10_000, 2_000)
        dns.set(NAME, Answer(("127.0.0.1",), ttl_seconds=5))
        for number in range(DNS_NAMES):
            dns.set(f"slow{number}.test", Answer(("127.0.0.1",), delay_seconds=DNS_SECONDS))
        described = _describe(receiver, flood_url=stack.url("/"))
        self._projects = Projects(*make_projects(stack.run, described))

    def go_through(self) -> dict[str, Lags]:
        """Return what each phase's healthy noticed, by what went wrong."""
        self._stack.start_web()
        self._stack.start_workers(WORKERS)
        self._trickle(2.0)  # warms up
        phases: dict[str, Callable[[], None]] = {
            _BASELINE: lambda: None,
            "20 % of subscriptions hang, 5 % answer in 4.5 s": self._receiver.make_trouble,
            f"and another project has {self._flood:,} due at once": self._let_flood,
            f"and {self._storm:,} retries fail at once": self._let_storm,
            f"and DNS takes {DNS_SECONDS:.0f} s for {DNS_NAMES} names": self._let_names_wait,
        }
        lags = {}
        for name, begin in phases.items():
            begin()
            lags[name] = self._trickle(self._seconds)
            self._calm_down()
        with self._old_snapshot():
            lags["and a snapshot is held open"] = self._trickle(self._seconds)
        return lags

    # ---- What goes wrong ----------------------------------------------------------------------

    def _let_flood(self) -> None:
        due_at = fill(self._stack, self._projects.flood, self._flood)
        time.sleep(max(0.0, due_at - time.time()))

    def _let_storm(self) -> None:
        due_at = fill(self._stack, self._projects.failing, self._storm)
        mark_as_retries(self._stack, self._projects.failing)
        time.sleep(max(0.0, due_at - time.time()))

    def _let_names_wait(self) -> None:
        due_at = fill(self._stack, self._projects.nameless, self._storm)
        time.sleep(max(0.0, due_at - time.time()))

    @contextmanager
    def _old_snapshot(self) -> Iterator[None]:
        """Hold one while a fifth of the flood is sent: dead rows that no vacuum may remove."""
        with self._stack.postgres.superuser("dispatcher") as connection:
            connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
            connection.execute("SELECT count(*) FROM subscriptions_subscription")
            fill(self._stack, self._projects.flood, self._flood // 5)
            wait_until_sent_to(self._stack, self._projects.flood)
            yield
            connection.execute("ROLLBACK")

    def _calm_down(self) -> None:
        """Wait until the flood is over, and take back what only fails."""
        wait_until_sent_to(self._stack, self._projects.flood)
        for project in (self._projects.failing, self._projects.nameless):
            empty_of_unfinished(self._stack, project)

    # ---- What is noticed ----------------------------------------------------------------------

    def _trickle(self, seconds: float) -> Lags:
        """Publish for so long, and see how long the healthy wait."""
        self._receiver.take_arrivals()
        groups = tuple(f"group{number}" for number in range(GROUPS))
        beside = Publishing(
            self._load(self._projects.bystander, seconds, per_second=BYSTANDER_PER_SECOND)
        )
        trickle = publish(
            self._load(self._projects.trickle, seconds, per_second=TRICKLE_PER_SECOND, types=groups)
        )
        single = beside.wait()
        expected = len(trickle.answered_at) * 15 + len(single.answered_at)
        arrivals = self._await_healthy(trickle, single, expected=expected)
        return Lags(
            healthy_p95=percentile(_lags_ms(trickle, arrivals), 95),
            bystander_worst=max(_lags_ms(single, arrivals)),
        )

    def _load(
        self,
        project: Project,
        seconds: float,
        *,
        per_second: float,
        types: tuple[str, ...] = ("Task.update",),
    ) -> Load:
        return Load(
            port=self._stack.port,
            slug=project.slug,
            api_key=project.api_key,
            seconds=seconds,
            per_second=per_second,
            event_types=types,
        )

    def _await_healthy(
        self, trickle: Published, single: Published, *, expected: int
    ) -> list[Arrival]:
        """Wait for every event at every healthy subscription."""
        published = trickle.answered_at.keys() | single.answered_at.keys()
        found: list[Arrival] = []
        until = time.monotonic() + 120
        while len(found) < expected:
            if time.monotonic() > until:
                raise RuntimeError(f"{len(found)} of {expected} arrived at healthy subscriptions")
            found += [
                arrival
                for arrival in self._receiver.take_arrivals()
                if arrival.path.startswith("/ok") and arrival.event_id in published
            ]
        return found


def _describe(receiver: SlowReceiver, *, flood_url: str) -> list[list[Settings]]:
    """Describe the subscriptions of each of `Projects`."""
    origin, port = _named(receiver.origin), receiver.port
    trickle: list[Settings] = []
    for number in range(GROUPS):
        group = f"group{number}"
        for place in range(20):
            kind = "hang" if place < 4 else "late" if place == 4 else "ok"
            url = f"{origin}/{kind}/{number}-{place}"
            trickle += wanting(url, group, retry_schedule=_SOON)
    nameless: list[Settings] = []
    for number in range(DNS_NAMES):
        url = f"http://slow{number}.test:{port}/nameless"
        nameless += wanting(url, retry_schedule=_MUCH_LATER)
    failing = wanting(f"{origin}/fail", count=20, retry_schedule=_MUCH_LATER)
    return [
        trickle,
        wanting(f"{origin}/ok"),
        wanting(_named(flood_url), count=10),
        failing,
        nameless,
    ]


def _named(url: str) -> str:
    return url.replace("127.0.0.1", NAME)


def _lags_ms(published: Published, arrivals: list[Arrival]) -> list[float]:
    answered_at = published.answered_at
    return [
        1000 * max(0.0, arrival.at - answered_at[arrival.event_id])
        for arrival in arrivals
        if arrival.event_id in answered_at
    ]


def _figures(passes: list[dict[str, Lags]]) -> list[Figure]:
    baseline = [one[_BASELINE].healthy_p95 for one in passes]
    rows = [figure(CASE, f"healthy p95, {_BASELINE}", baseline, unit="ms")]
    bound = Target("≤", max(BOUND_MS, BOUND_RATIO * rows[0].value), is_of_value=True)
    for name in passes[0]:
        healthy = [one[name].healthy_p95 for one in passes]
        worst = [one[name].bystander_worst for one in passes]
        if name != _BASELINE:
            rows.append(
                compared(
                    CASE,
                    f"healthy p95, {name}",
                    healthy,
                    unit="ms",
                    yardstick="baseline",
                    against=[max(one, 0.1) for one in baseline],
                    target=bound,
                )
            )
        rows.append(
            figure(
                CASE,
                f"another project's single event, slowest, {name}",
                worst,
                unit="ms",
                target=at_most(1_000),
            )
        )
    return rows
