"""Faults of the one process on SQLite: many writers, sudden ends, a full disk."""

from __future__ import annotations

import time
from collections import Counter

from tests.faults.database import SqliteDatabase
from tests.faults.driver import Driver
from tests.faults.evidence import Evidence
from tests.faults.receipts import AFTER_A_SECOND, SOON
from tests.faults.rows.machine import filled, make_old_history, no_mount, small_disk
from tests.faults.scene import Scene
from tests.faults.stack import eventually
from tests.faults.table import Fault

WRITERS = 16


def many_writers(scene: Scene) -> None:
    """Publish from sixteen threads as fast as they can, while old history is pruned."""
    stack = scene.embedded
    make_old_history(stack)
    stack.up.stop(within_seconds=30)
    stack.up.environment["DJANGO_SETTINGS_MODULE"] = "tests.faults.often"
    stack.mend()
    try:
        crowd = Driver(scene.project, per_second=10_000, threads=WRITERS)
        crowd.start()
        for _ in range(max(1, round(2 * scene.scale))):
            time.sleep(1)
            make_old_history(stack)
        crowd.finish()
    finally:
        stack.up.environment["DJANGO_SETTINGS_MODULE"] = "dispatcher.settings"
    # In a short run, one stall of the machine may turn each of them away once.
    turned_away = WRITERS if scene.scale < 1 else 0
    is_served = set(crowd.tally.statuses) <= {202, 503} and crowd.tally.statuses[503] <= turned_away
    scene.check(is_served, f"the API answered {dict(crowd.tally.statuses)}")
    count, p99 = len(crowd.tally.acknowledged), crowd.tally.p99_seconds
    scene.notes.append(f"{count} events by {WRITERS} threads, publish p99 {p99:.2f} s")
    eventually(lambda: _old(stack.database) == 0, "the old history is pruned", within_seconds=60)
    scene.driver.tally.acknowledged += crowd.tally.acknowledged


def _old(database: object) -> int:
    assert isinstance(database, SqliteDatabase)
    sql = "SELECT count(*) FROM deliveries_delivery WHERE event_type = 'rig.old'"
    return int(database.query(sql)[0][0])


def killed_while_committing(scene: Scene) -> None:
    """SIGKILL the one process under load, again and again."""
    stack = scene.embedded
    for number in range(scene.runs):
        scene.driver.wait_for_more(3)
        time.sleep(0.02 * (number % 10))  # at another moment each time
        scene.wait_until_busy(1)
        scene.kill(stack.up)
        complaint = _complaint(scene)
        scene.check(not complaint, f"integrity_check after kill {number + 1}: {complaint}")
        stack.mend()
    scene.wait_out_pauses()
    scene.later.append(lambda evidence: _note_interruptions(scene, evidence))


def _note_interruptions(scene: Scene, evidence: Evidence) -> None:
    interrupted = Counter(
        attempt.delivery_id for attempt in evidence.attempts if attempt.outcome == "interrupted"
    )
    most = max(interrupted.values(), default=0)
    scene.notes.append(f"one delivery interrupted up to {most} times")


def everything_killed(scene: Scene) -> None:
    """SIGKILL the one process with requests in flight: here it is all there is."""
    scene.wait_until_busy()
    scene.kill(scene.embedded.up)
    scene.embedded.mend()
    scene.over()


def disk_full(scene: Scene) -> None:
    """Fill the disk that the database is on, then give it room again."""
    stack = scene.embedded
    scene.wait_for_receipts(20)
    stack.up.stop(within_seconds=30)
    with small_disk(stack.data):
        stack.mend()
        scene.wait_for_receipts(20, within_seconds=60)
        with filled(stack.data):
            time.sleep(10)
        scene.over()
        scene.wait_for_receipts(100, within_seconds=60)
        strange = set(scene.driver.tally.statuses) - {0, 202, 503}
        scene.check(not strange, f"the API answered {dict(scene.driver.tally.statuses)}")
        scene.check(scene.driver.tally.statuses[503] > 0, "nobody was turned away")
        scene.driver.finish()
        stack.up.stop(within_seconds=30)
        complaint = _complaint(scene)
        scene.check(not complaint, f"integrity_check: {complaint}")
    stack.mend()


def _complaint(scene: Scene) -> str:
    database = scene.stack.database
    assert isinstance(database, SqliteDatabase)
    return database.complaint()


FAULTS = (
    Fault(
        "F26",
        "disk full",
        "SQLite's for ten seconds",
        disk_full,
        engines=("sqlite",),
        unable=no_mount,
        keeps_processes=False,
    ),
    Fault(
        "F28",
        f"{WRITERS} concurrent writers",
        "while old history is pruned every second",
        many_writers,
        engines=("sqlite",),
        keeps_processes=False,
    ),
    Fault(
        "F29",
        "killed while committing",
        "SIGKILL under load",
        killed_while_committing,
        engines=("sqlite",),
        runs=50,
        behaviour=SOON,
        keeps_processes=False,
    ),
    Fault(
        "F40",
        "everything killed at once",
        "SIGKILL of the one process",
        everything_killed,
        engines=("sqlite",),
        behaviour=AFTER_A_SECOND,
        keeps_processes=False,
    ),
)
