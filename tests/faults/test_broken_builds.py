"""The rig can fail: pointed at a build that is broken on purpose, it reports what went wrong."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.faults.receipts import AFTER_A_SECOND, AT_ONCE, Behaviour
from tests.faults.runner import run, running_stack
from tests.faults.scene import Scene
from tests.faults.stack import LEASE_SECONDS, ProductionStack, Stack
from tests.faults.table import Fault, Row

pytestmark = pytest.mark.postgres


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """A whole production; each test swaps its workers."""
    with running_stack("postgres", warm_up_events=20) as stack:
        yield stack


@contextmanager
def build(scene: Scene, name: str, *, workers: int) -> Iterator[ProductionStack]:
    """Replace the workers by some of a broken build, for a while."""
    stack = scene.production
    sound = stack.workers
    for worker in sound:
        worker.stop(within_seconds=30)
    module = ("tests.faults.worker", name, "-A", "dispatcher")
    stack.workers = [stack.worker(f"{name}{number}", *module) for number in range(workers)]
    stack.mend()
    try:
        yield stack
    finally:
        for worker in stack.workers:
            worker.stop(within_seconds=30)
        stack.workers = sound
        stack.mend()


def strike(stack: Stack, act: object, behaviour: Behaviour) -> Row:
    """Run an act as if it were a row of the table."""
    assert callable(act)
    fault = Fault("F0", "broken build", "", act, per_second=150, behaviour=behaviour)
    return run(fault, stack, scale=0.1)


def test_claims_without_a_lock_show_as_duplicates(stack: Stack) -> None:
    def act(scene: Scene) -> None:
        with build(scene, "claim-without-lock", workers=3):
            time.sleep(6)

    row = strike(stack, act, AT_ONCE)
    assert row.duplicates > row.bound
    assert any("duplicates" in problem for problem in row.problems)


def test_marking_before_sending_shows_as_loss(stack: Stack) -> None:
    def act(scene: Scene) -> None:
        with build(scene, "mark-before-sending", workers=1) as broken:
            scene.wait_for_receipts(20)
            broken.workers[0].kill()

    row = strike(stack, act, AFTER_A_SECOND)
    assert row.lost > 0


def test_recording_without_the_fence_shows_in_the_ledger(stack: Stack) -> None:
    def act(scene: Scene) -> None:
        with build(scene, "record-without-fence", workers=2) as broken:
            scene.wait_until_busy()
            broken.workers[0].freeze()
            time.sleep(LEASE_SECONDS + 3)
            broken.workers[0].thaw()
            time.sleep(1)

    row = strike(stack, act, AFTER_A_SECOND)
    assert row.mismatches > 0 or row.lost > 0
