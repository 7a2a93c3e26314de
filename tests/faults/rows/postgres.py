"""Faults of PostgreSQL: restarted, hung up, full of others, locked, out of disk, looked at."""

from __future__ import annotations

import signal
import time
from contextlib import ExitStack

import psycopg

from tests.faults.receipts import AFTER_A_SECOND
from tests.faults.scene import Scene
from tests.faults.stack import LEASE_SECONDS, status_of
from tests.faults.stores import ROLE, wait_for_postgres
from tests.faults.table import Fault

_DOWN_SECONDS = 5


def restarted(scene: Scene) -> None:
    """Shut the database down, in order and not, and start it again after a few seconds."""
    stack = scene.production
    pids = [worker.pid for worker in stack.workers]
    slowest = 0.0
    for number in range(scene.runs):
        scene.wait_until_busy()
        scene.bound += scene.in_flight()
        stack.postgres.stop(signal.SIGQUIT if number % 2 else signal.SIGINT)
        scene.pause(_DOWN_SECONDS)
        is_red = status_of(stack.site, "/readyz") == 503
        scene.check(is_red, "readiness is not red without a database")
        stack.postgres.start()
        slowest = max(slowest, scene.wait_for_receipts(5, within_seconds=60))
        scene.over()
    scene.check_below(slowest, 10, "sending again after")
    _check_unavailable_only(scene)
    same = pids == [worker.pid for worker in stack.workers if worker.is_running]
    scene.check(same, "a worker had to be started again")


def connections_killed(scene: Scene) -> None:
    """Terminate every connection of the product's, every few seconds."""
    for _ in range(scene.runs):
        scene.wait_for_receipts(20)
        scene.bound += scene.in_flight()
        with scene.production.postgres.superuser() as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = %s", [ROLE]
            )
        scene.pause(3)
    _check_unavailable_only(scene)


def no_slot_left(scene: Scene) -> None:
    """Take every connection that PostgreSQL gives, and make the product ask for new ones."""
    postgres = scene.production.postgres
    scene.wait_for_receipts(20)
    with ExitStack() as taken:
        _take_all(scene, taken)
        with postgres.superuser() as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE usename = %s AND application_name <> 'thief'",
                [ROLE],
            )
        _take_all(scene, taken)
        time.sleep(10)
    scene.over()
    scene.wait_for_receipts(20)
    scene.check(scene.driver.tally.statuses[503] > 0, "nobody was turned away")
    scene.check_below(scene.driver.tally.slowest_503, 2.0, "slowest 503")
    _check_unavailable_only(scene)


def _take_all(scene: Scene, taken: ExitStack) -> None:
    url = scene.production.postgres.url
    while True:
        try:
            taken.enter_context(psycopg.connect(url, application_name="thief", autocommit=True))
        except psycopg.OperationalError:
            return  # no slot is left


def table_locked(scene: Scene) -> None:
    """Hold a lock that keeps everybody from the deliveries for half a minute."""
    scene.wait_for_receipts(20)
    with scene.production.postgres.product() as connection, connection.transaction():
        connection.execute("LOCK TABLE deliveries_delivery IN ACCESS EXCLUSIVE MODE")
        time.sleep(30)
    scene.over()
    scene.wait_for_receipts(20)
    slowest = max(scene.driver.tally.seconds)
    scene.check_below(slowest, 12, "longest wait of a publisher")
    _check_unavailable_only(scene)


def snapshot_held(scene: Scene) -> None:
    """Keep one transaction's snapshot open, as a long query does, and compare the delays."""
    before = _median_delay(scene, seconds=10)
    with scene.production.postgres.superuser(ROLE) as connection, connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        connection.execute("SELECT count(*) FROM deliveries_delivery")
        time.sleep(50)
        during = _median_delay(scene, seconds=10)
    # The factor is what is measured; the limit tells slow from stuck.
    scene.check_below(during / before, 20, "slower by", "times")
    scene.notes.append(f"median delay {before * 1000:.0f} ms before, {during * 1000:.0f} ms after")


def _median_delay(scene: Scene, *, seconds: float) -> float:
    """The median time from acknowledged to received, of what is published in so many seconds."""
    began = time.monotonic()
    time.sleep(seconds)
    arrived: dict[str, float] = {}
    for receipt in scene.receipts():
        arrived.setdefault(receipt.event_id, receipt.at)
    delays = sorted(
        arrived[event.event_id] - event.published_at
        for event in list(scene.driver.tally.acknowledged)
        if event.published_at >= began and event.event_id in arrived
    )
    assert delays, "nothing was delivered"
    return delays[len(delays) // 2]


def everything_killed(scene: Scene) -> None:
    """SIGKILL the database, Redis, the web, the workers and beat; then start all of it."""
    stack = scene.production
    scene.wait_until_busy()
    for program in stack.programs():
        program.kill()
    stack.postgres.kill()
    stack.redis.kill()
    stack.redis.start()
    stack.postgres.start()
    wait_for_postgres(stack.postgres)
    scene.bound += scene.in_flight()
    stack.mend()
    scene.over()


def _check_unavailable_only(scene: Scene) -> None:
    """A publisher saw 202 and 503 (or a connection that ended), never another failure."""
    strange = set(scene.driver.tally.statuses) - {202, 503}
    scene.check(not strange, f"the API answered {dict(scene.driver.tally.statuses)}")


FAULTS = (
    Fault(
        "F18",
        "PostgreSQL restarted",
        f"fast (SIGINT), then immediate (SIGQUIT); {_DOWN_SECONDS} s away each time",
        restarted,
        runs=4,
        behaviour=AFTER_A_SECOND,
    ),
    Fault(
        "F19",
        "database connections killed",
        "pg_terminate_backend of all of them, every few seconds",
        connections_killed,
        runs=6,
        recovery_limit_seconds=LEASE_SECONDS + 5,
    ),
    Fault(
        "F20",
        "no connection slot left",
        "others hold all of max_connections for ten seconds",
        no_slot_left,
        recovery_limit_seconds=20,
    ),
    Fault(
        "F21",
        "table locked",
        "LOCK TABLE deliveries_delivery for 30 s",
        table_locked,
        recovery_limit_seconds=20,
    ),
    Fault(
        "F40",
        "everything killed at once",
        "SIGKILL of PostgreSQL, Redis, web, workers and beat",
        everything_killed,
        behaviour=AFTER_A_SECOND,
        keeps_processes=False,
    ),
    Fault(
        "F43",
        "snapshot held open",
        "a REPEATABLE READ transaction for a minute",
        snapshot_held,
        per_second=80,
    ),
)
