"""Faults of Redis: gone, frozen, emptied, full, read-only, hanging up. Nothing may depend on it."""

from __future__ import annotations

import time

from tests.faults.driver import percentile
from tests.faults.scene import Scene
from tests.faults.stack import ask
from tests.faults.table import Fault

FROZEN_SECONDS = 60
_AWAY_SECONDS = 15


def stopped(scene: Scene) -> None:
    """Stop Redis; everything but the wake-ups goes on."""
    stack = scene.production
    scene.wait_for_receipts(20)
    stack.redis.stop()
    slowest = max(_seconds_to_first_receipt(scene) for _ in range(3))
    scene.pause(_AWAY_SECONDS)
    scene.check_below(slowest, 5.0, "without Redis, published to received")
    stack.redis.start()
    _check_publishing(scene, p99_seconds=0.5)


def frozen(scene: Scene) -> None:
    """Stop Redis's clock: connections stay open, and nothing is answered."""
    stack = scene.production
    scene.wait_for_receipts(20)
    stack.redis.freeze()
    try:
        scene.pause(FROZEN_SECONDS)
    finally:
        stack.redis.thaw()
    _check_publishing(scene, p99_seconds=1.0)


def wiped(scene: Scene) -> None:
    """Empty Redis, then restart it with nothing in it."""
    stack = scene.production
    for _ in range(3):
        scene.wait_for_receipts(20)
        stack.redis.client().flushall()
    scene.wait_for_receipts(20)
    stack.redis.kill()
    stack.redis.start()
    scene.over()
    scene.wait_for_receipts(20)
    _check_publishing(scene, p99_seconds=1.0)


def full(scene: Scene) -> None:
    """Leave Redis no memory to write with; then make it a replica, which only reads."""
    client = scene.production.redis.client()
    scene.wait_for_receipts(20)
    client.config_set("maxmemory", "1mb")  # below what it holds when empty
    _check_readiness_tells(scene, "full")
    scene.wait_for_receipts(100)
    client.config_set("maxmemory", "0")
    client.replicaof("127.0.0.1", "1")
    _check_readiness_tells(scene, "read-only")
    scene.wait_for_receipts(100)
    client.replicaof("NO", "ONE")
    _check_publishing(scene, p99_seconds=1.0)


def _check_readiness_tells(scene: Scene, what: str) -> None:
    """Readiness stays green, since events are taken in, and names what does not work."""
    status, answer = ask(scene.stack.site, "/readyz")
    checks = answer.get("checks", {})
    assert isinstance(checks, dict)
    red = [name for name, check in checks.items() if not check["ok"]]
    scene.check(status == 200, f"readiness answers {status} with Redis {what}")
    scene.check(
        bool({"broker", "cache"} & set(red)), f"readiness calls a Redis that is {what} all right"
    )


def connections_reset(scene: Scene) -> None:
    """Hang up on every client, once a second."""
    client = scene.production.redis.client()
    scene.wait_for_receipts(20)
    for _ in range(scene.runs):
        for kind in ("normal", "pubsub"):
            client.client_kill_filter(_type=kind, skipme=True)
        time.sleep(1)
    scene.over()
    began = time.monotonic()
    scene.production.wait_until_consuming()
    scene.check_below(time.monotonic() - began, 5.0, "consuming again after")
    _check_publishing(scene, p99_seconds=0.5)


def wake_ups_doubled(scene: Scene) -> None:
    """Send five wake-ups, at once, for whatever happens anyway."""
    until = time.monotonic() + 10 * scene.scale
    while time.monotonic() < until:
        for _ in range(5):
            scene.production.send_task("deliveries.send_due")
        time.sleep(0.02)


def _seconds_to_first_receipt(scene: Scene) -> float:
    """How long the next acknowledged event takes to arrive."""
    known = len(scene.driver.tally.acknowledged)
    while len(scene.driver.tally.acknowledged) <= known:
        time.sleep(0.01)
    event = scene.driver.tally.acknowledged[known]
    while not any(receipt.event_id == event.event_id for receipt in scene.receipts()):
        assert time.monotonic() - event.acknowledged_at < 30, "not received"
        time.sleep(0.02)
    first = next(r for r in scene.receipts() if r.event_id == event.event_id)
    return first.at - event.published_at


def _check_publishing(scene: Scene, *, p99_seconds: float) -> None:
    """In a short run, one stall of the machine is more than one of a hundred requests."""
    tally, percent = scene.driver.tally, 99 if scene.scale == 1.0 else 90
    slow = percentile(tally.seconds, percent)
    scene.check_below(slow, p99_seconds, f"publish p{percent}")
    scene.notes.append(f"slowest publish {max(tally.seconds):.2f} s")
    scene.check(set(tally.statuses) == {202}, f"the API answered {dict(tally.statuses)}")


FAULTS = (
    Fault(
        "F7",
        "Redis stopped",
        "SIGTERM; back after a quarter of a minute",
        stopped,
        recovery_limit_seconds=10,
    ),
    Fault("F8", "Redis frozen", f"SIGSTOP for {FROZEN_SECONDS} s", frozen),
    Fault(
        "F9",
        "Redis wiped",
        "FLUSHALL three times, then SIGKILL and a start with nothing kept",
        wiped,
        recovery_limit_seconds=10,
    ),
    Fault("F10", "Redis full, then read-only", "maxmemory below what it holds; REPLICAOF", full),
    Fault(
        "F12",
        "Redis connections reset",
        "CLIENT KILL of all, once a second",
        connections_reset,
        runs=10,
        recovery_limit_seconds=5,
    ),
    Fault(
        "F16",
        "wake-ups doubled",
        "five at once, fifty times a second, for ten seconds",
        wake_ups_doubled,
    ),
)
