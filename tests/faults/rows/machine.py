"""Faults of the machine: clocks that are wrong, beats in the wrong number, disks that are full."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from tests.faults.driver import p99
from tests.faults.evidence import Evidence
from tests.faults.scene import Scene
from tests.faults.stack import Stack, eventually
from tests.faults.table import Fault

_LIBFAKETIME = "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1"
_OFTEN = {"DJANGO_SETTINGS_MODULE": "tests.faults.often"}
_OLD = "SELECT count(*) FROM deliveries_delivery WHERE event_type = 'rig.old'"
_PARTITIONS = "SELECT count(*) FROM pg_class WHERE relname = %s"
OLD_DELIVERIES = 2000
WINDOW_SECONDS = 5.0
"""In which 200 events are published, at about a fifth of what two cores can do."""
SPARE_MB = 48
"""What a small disk has left beyond the data that is on it."""


def no_libfaketime() -> str:
    """Say why clocks cannot be set here."""
    if Path(_LIBFAKETIME).exists():
        return ""
    return "libfaketime is not installed (Debian: apt-get install faketime)"


def no_mount() -> str:
    """Say why no small disk can be made here."""
    if os.geteuid() == 0 and shutil.which("mount"):
        return ""
    return "a small tmpfs can be mounted by root only"


def wrong_clocks(scene: Scene) -> None:
    """Let one worker's clock be ten minutes ahead, one's behind, and one's jump back."""
    stack = scene.production
    jump = stack.receiver.program.log.with_name("faketime")
    jump.write_text("+600s\n")
    clocks = {
        "ahead": {"FAKETIME": "+600s"},
        "behind": {"FAKETIME": "-600s"},
        "jumping": {"FAKETIME_TIMESTAMP_FILE": str(jump), "FAKETIME_NO_CACHE": "1"},
    }
    common = {"LD_PRELOAD": _LIBFAKETIME, "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
    for worker in stack.workers:
        worker.stop(within_seconds=30)
    for name, clock in clocks.items():
        worker = stack.worker(name, **common, **clock)
        worker.start()
        try:
            scene.wait_for_receipts(40, within_seconds=60)
            jump.write_text("-600s\n")
            scene.wait_for_receipts(40, within_seconds=60)
            scene.wait_until_busy()
        finally:
            worker.stop(within_seconds=30)
        has_warned = "clock" in worker.said().lower()
        scene.check(has_warned, f"{name}: no warning about the clock in the log")
    stack.mend()
    scene.later.append(lambda evidence: _check_times(scene, evidence))


def _check_times(scene: Scene, evidence: Evidence) -> None:
    early = [a for a in evidence.attempts if a.duration_ms < 0 or a.duration_ms > 60_000]
    scene.check(not early, f"{len(early)} attempts with impossible durations")
    interrupted = sum(attempt.outcome == "interrupted" for attempt in evidence.attempts)
    scene.check(interrupted == 0, f"{interrupted} leases lapsed under workers that lived")


def beats(scene: Scene) -> None:
    """Run without beat, then with three, each with all periodic work due every second."""
    stack = scene.production
    stack.beat.kill()
    scene.wait_for_receipts(200)
    make_old_history(stack)
    partition = _drop_last_partition(scene)
    crew = [
        stack.program(
            f"beat{number}",
            "celery",
            "-A",
            "dispatcher",
            "beat",
            **_OFTEN,
            DISPATCHER_DATA_DIR=str(_folder(scene, f"beat{number}")),
        )
        for number in range(3)
    ]
    for beat in crew:
        beat.start()
    try:
        eventually(
            lambda: _count(scene, _PARTITIONS, partition) == 1 and _count(scene, _OLD) == 0,
            "pruned, and the partition made again",
            within_seconds=60,
        )
        time.sleep(3)
    finally:
        for beat in crew:
            beat.stop(within_seconds=15)
    stack.beat.start()
    for worker in stack.workers:
        error = _first_error(worker.said())
        scene.check(not error, f"{worker.name} logged an error: {error}")


def _first_error(log: str) -> str:
    """Return the line that ends the first traceback, or nothing."""
    _, _, traceback = log.partition("Traceback (most recent call last):\n")
    return next((line for line in traceback.splitlines() if not line.startswith(" ")), "")


def _folder(scene: Scene, name: str) -> Path:
    folder = scene.receiver.program.log.with_name(name)
    folder.mkdir()
    return folder


def make_old_history(stack: Stack) -> None:
    stack.run("tests.faults.old_history", str(OLD_DELIVERIES))


def _drop_last_partition(scene: Scene) -> str:
    found = "SELECT max(relname) FROM pg_class WHERE relname LIKE 'deliveries_event_p2%'"
    with scene.production.postgres.product() as connection:
        row = connection.execute(found + " AND relkind = 'r'").fetchone()
        assert row
        connection.execute(f"DROP TABLE {row[0]}".encode())
        return str(row[0])


def _count(scene: Scene, sql: str, *parameters: str) -> int:
    with scene.production.postgres.product() as connection:
        row = connection.execute(sql.encode(), parameters or None).fetchone()
        assert row
        return int(str(row[0]))


def pruned_under_load(scene: Scene) -> None:
    """Prune old history while events come in: nothing unfinished may go without having ended.

    Each pruning is compared with the seconds just before it: what else the machine does meanwhile
    is in both. Making the history costs more than dropping it, and is over by then.
    """
    ratios, calm_ms, busy_ms = [], [], []
    for _ in range(scene.runs):
        make_old_history(scene.stack)
        time.sleep(2)
        calm = _publish_p99(scene, WINDOW_SECONDS)
        _prune_now(scene)
        busy = _publish_p99(scene, WINDOW_SECONDS)
        left = _count(scene, _OLD)
        scene.check(left == 0, f"{left} old deliveries are left")
        ratios.append(busy / calm)
        calm_ms.append(calm * 1000)
        busy_ms.append(busy * 1000)
    scene.notes.append(
        f"publish p99 {median(calm_ms):.0f} ms before, {median(busy_ms):.0f} ms meanwhile (medians)"
    )
    scene.check_below(median(ratios), 1.2, "median ratio", unit="×")


def _prune_now(scene: Scene) -> None:
    """Let some worker prune, though one has within the hour."""
    scene.stack.database.execute("DELETE FROM deliveries_periodicrun WHERE name = 'prune'")
    scene.production.send_task("deliveries.prune")


def _publish_p99(scene: Scene, seconds: float) -> float:
    """Return what 99 of 100 requests of the next seconds took at most."""
    before = len(scene.driver.tally.seconds)
    time.sleep(seconds)
    return p99(scene.driver.tally.seconds[before:])


# ---- Disks ----------------------------------------------------------------------------------


def disk_full(scene: Scene) -> None:
    """Fill PostgreSQL's disk to the last byte, then give it room again; logs go to a full disk."""
    stack = scene.production
    cluster = stack.postgres.folder / "cluster"
    scene.wait_for_receipts(20)
    stack.postgres.stop()
    with small_disk(cluster):
        stack.postgres.start()
        stack.workers[0].stop(within_seconds=30)
        quiet, stack.workers[0].log = stack.workers[0].log, Path("/dev/full")
        stack.workers[0].start()
        scene.wait_for_receipts(20, within_seconds=60)
        with filled(cluster):
            time.sleep(10)
        # PostgreSQL gives up when it cannot write its log: what supervises it starts it again.
        stack.postgres.restart()
        scene.bound += scene.in_flight()  # answered, and not recorded within the lease
        scene.over()
        scene.wait_for_receipts(100, within_seconds=60)
        strange = set(scene.driver.tally.statuses) - {202, 503}
        scene.check(not strange, f"the API answered {dict(scene.driver.tally.statuses)}")
        scene.check(scene.driver.tally.statuses[503] > 0, "nobody was turned away")
        scene.driver.finish()
        stack.workers[0].stop(within_seconds=30)
        stack.workers[0].log = quiet
        stack.postgres.stop()
    stack.postgres.start()
    stack.mend()


@contextmanager
def small_disk(folder: Path) -> Iterator[None]:
    """Put a folder on a small tmpfs while the context lasts; what it holds moves there and back."""
    beside = folder.with_name(folder.name + ".large")
    owner = folder.stat()
    folder.rename(beside)
    folder.mkdir()
    held = sum(path.stat().st_size for path in beside.rglob("*") if path.is_file())
    size_mb = held // 2**20 + SPARE_MB
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size_mb}m", "rig", folder], check=True)
    try:
        _copy(beside, folder)
        shutil.rmtree(beside)
        os.chown(folder, owner.st_uid, owner.st_gid)
        folder.chmod(0o700)
        yield
        _copy(folder, beside)
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)
        if beside.exists():
            folder.rmdir()
            beside.rename(folder)


def _copy(source: Path, target: Path) -> None:
    target.mkdir(exist_ok=True)
    subprocess.run(["cp", "-a", f"{source}/.", str(target)], check=True)
    owner = source.stat()
    os.chown(target, owner.st_uid, owner.st_gid)
    target.chmod(0o700)


@contextmanager
def filled(folder: Path) -> Iterator[None]:
    """Leave no byte free on the disk of a folder while the context lasts."""
    ballast = folder / "ballast"
    with ballast.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(65536))
        except OSError:
            pass  # full
    try:
        yield
    finally:
        ballast.unlink()


FAULTS = (
    Fault(
        "F22",
        "workers' clocks wrong",
        "ten minutes ahead, behind, and jumping back by twenty (libfaketime)",
        wrong_clocks,
        unable=no_libfaketime,
    ),
    Fault("F24", "no beat, then three", "with all periodic work due every second", beats),
    Fault(
        "F26",
        "disk full",
        "PostgreSQL's for ten seconds; a worker's log all the time",
        disk_full,
        unable=no_mount,
        keeps_processes=False,
    ),
    Fault(
        "F44",
        "pruning under load",
        "old history pruned, and publishing compared with the seconds before",
        pruned_under_load,
        runs=7,
    ),
)
