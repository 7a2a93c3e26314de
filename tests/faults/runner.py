"""Runs one fault: sets the scene, keeps the load going, lets the fault act, and judges the end."""

from __future__ import annotations

import itertools
import json
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from tests.faults.driver import Driver, Project
from tests.faults.evidence import Evidence
from tests.faults.processes import Usage
from tests.faults.receipts import AT_ONCE, Behaviour
from tests.faults.reconciler import Findings, growth, judge, recovery_seconds
from tests.faults.scene import Scene, settle, subscribe
from tests.faults.stack import EmbeddedStack, ProductionStack, Stack, remove, usage_of
from tests.faults.table import Fault, Row

IDLE_SECONDS = 5.0
"""Connections to receivers are kept for three seconds; what is held is compared after that."""

WARM_UP_THREADS = 32
"""More than the web has: each of its threads opens its connection when it is first used."""

_MORE_THAN_A_CLAIM = 300
"""Events; each makes two deliveries, and a worker claims 500 at once."""

_TOLD = 5
"""Sentences of one kind that a broken row shows."""

_MADE_TOGETHER = 16

_numbers = itertools.count(1)


@contextmanager
def running_stack(engine: str, *, warm_up_events: int = 400) -> Iterator[Stack]:
    """Run a whole stack in a folder of its own, warmed up; nothing of it is left afterwards."""
    folder = Path(tempfile.mkdtemp(prefix=f"faults-{engine}-"))
    stack: Stack = ProductionStack(folder) if engine == "postgres" else EmbeddedStack(folder)
    try:
        stack.start()
        stack.bystander = make_project(stack)
        publish_beside(stack, events=warm_up_events, threads=WARM_UP_THREADS)
        yield stack
    finally:
        try:
            stack.close()
        finally:
            remove(folder)


def publish_beside(
    stack: Stack, *, events: int, threads: int = 4, then: Callable[[], None] = lambda: None
) -> None:
    """Publish in the bystander's project, do what is wanted `then`, and wait for the deliveries.

    A first time, so that what is held later is compared with processes at work; before and after
    a fault, so that both times connections are as old.
    """
    assert stack.bystander
    driver = Driver(stack.bystander, per_second=1000, threads=threads, limit=events)
    driver.start()
    driver.wait(within_seconds=60)
    then()
    settle(stack, stack.bystander)


def open_all_there_is(stack: Stack) -> None:
    """Let every thread and connection be made that is made once, as late as under a load.

    As many requests at once as any fault has; and each worker in turn is alone with more than one
    claim takes, upon which it calls for help.
    """
    if isinstance(stack, EmbeddedStack):
        publish_beside(stack, events=_MORE_THAN_A_CLAIM, threads=WARM_UP_THREADS)
        return
    for worker in stack.workers:
        for each in stack.workers:
            each.freeze()
        try:
            publish_beside(
                stack, events=_MORE_THAN_A_CLAIM, threads=WARM_UP_THREADS, then=worker.thaw
            )
        finally:
            for each in stack.workers:
                each.thaw()


def run(fault: Fault, stack: Stack, *, runs: int | None = None, scale: float = 1.0) -> Row:
    """Let the fault strike a stack under load; return its row.

    At a smaller `scale` pauses are shorter, and what processes hold is not compared.
    """
    blank = Row(fault, stack.engine, runs or fault.runs)
    compares = fault.keeps_processes and scale == 1.0
    if reason := fault.unable():
        return replace(blank, not_run=reason)
    began = time.monotonic()
    before: dict[str, Usage] = {}
    if compares:
        open_all_there_is(stack)
        before = held_at_rest(stack)
    scene = set_scene(fault, stack, runs=runs)
    scene.scale = scale
    try:
        scene.driver.start()
        fault.act(scene)
        scene.over_at = scene.over_at or time.monotonic()
        scene.driver.finish()
        scene.settle()
    except Exception as error:  # whatever it is, it breaks this row and no other
        scene.problems.append(f"{type(error).__name__} at {_place(error)}: {error}")
        scene.problems += _ended(stack)
        scene.driver.abandon()
        scene.receiver.forget()
        seconds = time.monotonic() - began
        return replace(blank, has_figures=False, problems=tuple(scene.problems), seconds=seconds)
    evidence = gather(scene)
    for check in scene.later:
        check(evidence)
    if compares and not scene.problems:
        scene.problems += _grown(before, stack)
    return replace(_judged(blank, scene, evidence), seconds=time.monotonic() - began)


def make_project(stack: Stack, behaviour: Behaviour = AT_ONCE) -> Project:
    """Set up a project: two subscriptions to everything, at `/{project}/a` and `/{project}/b`."""
    if not stack.spare:
        names = [f"rig {next(_numbers)}" for _ in range(_MADE_TOGETHER)]
        made = json.loads(stack.run("tests.faults.projects", *names))
        stack.spare += [Project(slug, key, stack.site) for slug, key in reversed(made)]
    project = stack.spare.pop()
    for path in ("/a", "/b"):
        subscribe(stack, project, f"/{project.slug}{path}", behaviour)
    return project


def set_scene(fault: Fault, stack: Stack, *, runs: int | None = None) -> Scene:
    """Make a project of the fault's own, and a driver that is ready to start."""
    project = make_project(stack, fault.behaviour)
    driver = Driver(project, per_second=fault.per_second)
    paths = {f"/{project.slug}/a", f"/{project.slug}/b"}
    return Scene(stack, project, driver, runs=runs or fault.runs, must_succeed=paths)


def gather(scene: Scene) -> Evidence:
    """Read what the run left behind; a fault looks itself after what went to other receivers."""
    database, slug = scene.stack.database, scene.project.slug
    port = f":{scene.receiver.port}/"  # by whatever name it is called
    subscriptions = [
        row
        for row in database.subscriptions(slug)
        if port in row.url and row.path not in scene.unjudged
    ]
    here = {row.id for row in subscriptions}
    deliveries = database.deliveries(slug)
    own = {row.event_id for row in deliveries}
    prefix = f"/{slug}/"
    receipts = scene.receiver.receipts("/")
    scene.receiver.forget()
    return Evidence(
        acknowledged=scene.driver.tally.acknowledged,
        subscriptions=subscriptions,
        deliveries=[row for row in deliveries if row.subscription_id in here],
        attempts=database.attempts(slug),
        receipts=[
            receipt
            for receipt in receipts
            if receipt.path.startswith(prefix) and receipt.path not in scene.unjudged
        ],
        strange=[
            receipt
            for receipt in receipts
            if receipt.path.startswith(prefix) != (receipt.event_id in own)
        ],
    )


def held_by(stack: Stack) -> dict[str, Usage]:
    """Measure the product's processes and its database connections."""
    connections = Usage(0, 0, 0)
    connections = replace(connections, descriptors=stack.database.connections())
    return usage_of(stack) | {"the database's connections": connections}


def _grown(before: dict[str, Usage], stack: Stack) -> list[str]:
    """Give connections and caches time to go; what is still held then has grown."""
    until = time.monotonic() + 4 * IDLE_SECONDS
    while (found := growth(before, held_at_rest(stack))) and time.monotonic() < until:
        publish_beside(stack, events=20)
    return found


def held_at_rest(stack: Stack) -> dict[str, Usage]:
    """Measure what is held once the receivers' idle connections are closed."""
    time.sleep(IDLE_SECONDS)
    return held_by(stack)


def _ended(stack: Stack) -> list[str]:
    """Name the processes that are no longer there, with their last words."""
    return [
        f"{program.name} has ended: {(program.said().strip().splitlines() or [''])[-1]}"
        for program in stack.programs()
        if not program.is_running
    ]


def _place(error: Exception) -> str:
    """Name the line of the rig that it came through last."""
    frames = [
        frame for frame in traceback.extract_tb(error.__traceback__) if "faults" in frame.filename
    ]
    return f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "?"


def _judged(blank: Row, scene: Scene, evidence: Evidence) -> Row:
    findings = judge(evidence, must_succeed=scene.must_succeed)
    recovery = recovery_seconds(evidence, over_at=scene.over_at or time.monotonic())
    problems = [*scene.problems, *_broken(findings, bound=scene.bound)]
    limit = blank.fault.recovery_limit_seconds
    if limit is not None and recovery > limit:
        problems.append(f"recovered after {recovery:.1f} s, at most {limit:g} s allowed")
    return replace(
        blank,
        deliveries=len(evidence.acknowledged) * len(scene.must_succeed),
        lost=len(findings.lost),
        duplicates=findings.duplicates,
        bound=scene.bound,
        mismatches=len(findings.ledger),
        recovery_seconds=recovery,
        problems=tuple(problems),
        notes=tuple(scene.notes),
    )


def _broken(findings: Findings, *, bound: int) -> list[str]:
    sentences = []
    for kind, found in (
        ("lost", findings.lost),
        ("ledger", findings.ledger),
        ("signature", findings.forged),
        ("wrong place", findings.strange),
        ("stuck", findings.stuck),
    ):
        sentences += [f"{kind}: {sentence}" for sentence in found[:_TOLD]]
        if len(found) > _TOLD:
            sentences.append(f"{kind}: and {len(found) - _TOLD} more")
    if findings.duplicates > bound:
        sentences.append(f"{findings.duplicates} duplicates, at most {bound} allowed")
    return sentences


def say(text: str) -> None:
    """Write a line at once, into a pipe too."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
