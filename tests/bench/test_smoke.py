"""A tenfold regression of sending or publishing does not land: ratios only, with generous bounds.

What the product does is held against a bare libcurl loop of the same minute, per CPU-second, so a
busy or slow machine changes both. It is the benchmark's own code, with small numbers.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from bench.cases.publishing import BATCH, parts_meter
from bench.cases.sending import bare_loop, send
from bench.projects import Project, make_projects, wanting
from bench.publisher import Load
from bench.publishing_load import publish
from bench.stack import Stack, running_stack

pytestmark = pytest.mark.postgres

DELIVERIES = 3_000


@dataclass(frozen=True, slots=True)
class Scene:
    stack: Stack
    project: Project
    bare_per_cpu_second: float
    """Requests of the bare loop: how fast this machine is now."""


@pytest.fixture(scope="module")
def scene() -> Iterator[Scene]:
    with running_stack() as stack:
        one_of_five = wanting(stack.url("/")) + wanting(stack.url("/"), "Invoice.paid", count=4)
        (project,) = make_projects(stack.run, [one_of_five])
        bare_loop(stack.url("/"), DELIVERIES)  # warms the receiver up
        yield Scene(stack, project, bare_loop(stack.url("/"), DELIVERIES).per_cpu_second)


def test_a_delivery_costs_no_more_than_a_few_dozen_bare_requests(scene: Scene) -> None:
    sent = send(scene.stack, scene.project, DELIVERIES, workers=1, transport="curl")
    assert sent.per_cpu_second / scene.bare_per_cpu_second > 0.03


def test_publishing_costs_no_more_than_a_few_hundred_bare_requests(scene: Scene) -> None:
    web = scene.stack.start_web()
    single, batch = (_per_cpu_second(scene, web.pid, size) for size in (1, BATCH))
    assert single / scene.bare_per_cpu_second > 0.003
    assert batch / scene.bare_per_cpu_second > 0.1


def _per_cpu_second(scene: Scene, web: int, batch: int) -> float:
    """Publish for two seconds, the first to warm up; return events per CPU-second of web."""
    load = Load(scene.stack.port, scene.project.slug, scene.project.api_key, seconds=1, batch=batch)
    publish(load)
    meter = parts_meter(scene.stack, web=web)
    return publish(load).events / meter.seconds()["web"]
