"""Faults of workers: killed, stopped, frozen, gone, told the wrong time."""

from __future__ import annotations

import itertools
import time

from tests.faults.evidence import Evidence
from tests.faults.receipts import AFTER_A_SECOND
from tests.faults.reconciler import slowest_resend_seconds
from tests.faults.scene import Scene
from tests.faults.stack import DEADLINE_SECONDS, LEASE_SECONDS
from tests.faults.table import BOTH, Fault

CREW = 4
"""Workers in F1: each lives for four kills, so that few deliveries are interrupted repeatedly."""


def kill_in_mid_post(scene: Scene) -> None:
    """Kill one worker after another, each time with requests under way, and start it again."""
    stack = scene.production
    extra = [stack.worker(f"extra{number}") for number in range(CREW - len(stack.workers))]
    crew = [*stack.workers, *extra]
    for worker in extra:
        worker.start()
        stack.wait_until_sending(worker)
    for _, worker in zip(range(scene.runs), itertools.cycle(crew), strict=False):
        stack.wait_until_sending(worker)  # since its last death; meanwhile the others work
        scene.wait_until_busy()
        scene.kill(worker)
        worker.start()
    for worker in extra:
        worker.stop(within_seconds=30)
    scene.wait_out_pauses()
    scene.later.append(lambda evidence: _check_resends(scene, evidence))


def _check_resends(scene: Scene, evidence: Evidence) -> None:
    slowest = slowest_resend_seconds(evidence.attempts)
    scene.check_below(slowest, LEASE_SECONDS + 5, "slowest attempt after an interrupted one")


def kill_one_of_many(scene: Scene) -> None:
    """Kill a worker and leave it dead until the others have taken over."""
    scene.wait_until_busy()
    scene.kill(scene.production.workers[0])
    scene.over()
    time.sleep(LEASE_SECONDS + 3)
    scene.production.mend()


def stop_under_load(scene: Scene) -> None:
    """Stop a worker in order, again and again, with requests under way."""
    slowest = 0.0
    for _, worker in zip(range(scene.runs), itertools.cycle(scene.stack.workers), strict=False):
        scene.wait_until_busy()
        slowest = max(slowest, worker.stop(within_seconds=30))
        scene.stack.mend()
    scene.check_below(slowest, DEADLINE_SECONDS + 5, "slowest exit")


def freeze_beyond_the_lease(scene: Scene) -> None:
    """Freeze a worker until its leases have long passed, then let it report."""
    worker = scene.stack.workers[0]
    scene.wait_until_busy()
    worker.freeze()
    scene.bound += scene.in_flight()
    time.sleep(2 * LEASE_SECONDS)
    worker.thaw()


def no_worker_for_a_minute(scene: Scene) -> None:
    """Stop all workers; publish into the void; start them again."""
    for worker in scene.production.workers:
        worker.stop(within_seconds=30)
    time.sleep(60)
    tally = scene.driver.tally
    scene.check(set(tally.statuses) == {202}, f"the API answered {dict(tally.statuses)}")
    scene.driver.finish()
    scene.production.mend()
    scene.over()


FAULTS = (
    Fault(
        "F1",
        "worker killed in mid-POST",
        "SIGKILL of the process group, one of four workers at a time; the receiver takes a second",
        kill_in_mid_post,
        runs=20,
        behaviour=AFTER_A_SECOND,
    ),
    Fault(
        "F2",
        "one of two workers killed",
        "SIGKILL, and not started again until the other has taken over",
        kill_one_of_many,
        behaviour=AFTER_A_SECOND,
        recovery_limit_seconds=LEASE_SECONDS + 5,
    ),
    Fault(
        "F3",
        "worker stopped under load",
        "SIGTERM with requests under way, then started again",
        stop_under_load,
        engines=BOTH,
        runs=20,
        behaviour=AFTER_A_SECOND,
        keeps_processes=False,
    ),
    Fault(
        "F5",
        "worker frozen for longer than its lease",
        "SIGSTOP for two leases, then SIGCONT",
        freeze_beyond_the_lease,
        behaviour=AFTER_A_SECOND,
    ),
    Fault(
        "F6",
        "no worker for a minute",
        "SIGTERM to all; events go on coming in",
        no_worker_for_a_minute,
        recovery_limit_seconds=30,
    ),
)
