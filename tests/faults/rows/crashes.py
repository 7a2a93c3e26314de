"""Faults at a chosen instruction: a process that dies between two steps. See `failpoints`."""

from __future__ import annotations

from dataclasses import replace

from tests.faults.driver import Driver
from tests.faults.evidence import Evidence
from tests.faults.receipts import free_port
from tests.faults.reconciler import duplicates
from tests.faults.scene import Scene
from tests.faults.stack import LEASE_SECONDS, START_SECONDS, eventually, is_up
from tests.faults.table import Fault


def before_wake_up(scene: Scene) -> None:
    """Let a second web die between the commit and the wake-up, every thirtieth time."""
    port = free_port()
    site = f"http://127.0.0.1:{port}"
    web = scene.production.web_program("tests.faults.web:application", port=port)
    crowd = Driver(replace(scene.project, site=site), per_second=scene.driver.per_second)
    web.start()
    try:
        eventually(lambda: is_up(site), "the second web answers", within_seconds=START_SECONDS)
        crowd.start()
        # Two processes have their thirtieth publisher within sixty.
        crowd.wait_for_more(int(max(60, 200 * scene.scale)), within_seconds=90)
        crowd.finish()
    finally:
        crowd.abandon()
        web.kill()
    scene.driver.tally.acknowledged += crowd.tally.acknowledged
    crashes = crowd.tally.statuses[0]
    scene.check(crashes > 0, "no request was cut off: the fault did not strike")
    scene.notes.append(f"{crashes} requests cut off by a crash")


def before_recording(scene: Scene) -> None:
    """Let a worker die holding a 2xx, once for each of a few events."""
    _crash(scene, "crash-before-recording")

    def each_came_twice(evidence: Evidence) -> None:
        count = duplicates(evidence.receipts)
        scene.check(count == scene.bound, f"{count} duplicates of {scene.bound} unrecorded")

    scene.later.append(each_came_twice)


def within_recording(scene: Scene) -> None:
    """Let a worker die between the statements of one recording; nothing of it may be stored."""
    _crash(scene, "crash-within-recording")


def _crash(scene: Scene, failpoint: str) -> None:
    """Publish one event at a time, each to a worker that dies of it."""
    stack = scene.production
    scene.wait_for_receipts(20)
    scene.driver.finish()
    scene.settle()
    for worker in stack.workers:
        worker.freeze()  # they have nothing in hand; to stop and start them takes longer
    stored = _stored(scene)
    for number in range(scene.runs):
        one = Driver(scene.project, per_second=100, threads=1, limit=1)
        one.start()
        one.wait(within_seconds=30)
        scene.driver.tally.acknowledged += one.tally.acknowledged
        module = ("tests.faults.worker", failpoint, "-A", "dispatcher")
        crashing = stack.worker(f"{failpoint}{number}", *module)
        crashing.start()
        crashing.wait(60)
        scene.check(_stored(scene) == stored, f"{crashing.name} left something behind")
    scene.allow_for_interrupted()
    stack.mend()
    scene.over()


def _stored(scene: Scene) -> tuple[int, int]:
    """Count what has been recorded: attempts but for interrupted ones, and ended deliveries."""
    database, slug = scene.stack.database, scene.project.slug
    told = sum(attempt.outcome != "interrupted" for attempt in database.attempts(slug))
    return told, database.count(slug, "succeeded", "failed", "cancelled")


FAULTS = (
    Fault(
        "F13",
        "crash between commit and wake-up",
        "the web dies after the commit, every thirtieth time",
        before_wake_up,
        recovery_limit_seconds=10,
    ),
    Fault(
        "F14",
        "crash after a 2xx, before it is recorded",
        "the worker dies with answers in its hands",
        before_recording,
        runs=3,
        recovery_limit_seconds=LEASE_SECONDS + 5,
    ),
    Fault(
        "F15",
        "crash between the statements of one recording",
        "the worker dies with deliveries moved and attempts unwritten",
        within_recording,
        runs=3,
        recovery_limit_seconds=LEASE_SECONDS + 5,
    ),
)
