"""Faults of receivers and of the way to them: silent, hostile, unknown, busy, gone for good."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

from tests.dns_stub import NXDOMAIN, SERVFAIL, Answer
from tests.faults.evidence import AttemptRow
from tests.faults.processes import Usage
from tests.faults.receipts import AT_ONCE, Behaviour, free_port
from tests.faults.reconciler import growth
from tests.faults.scene import Scene
from tests.faults.stack import DEADLINE_SECONDS, ask, eventually, usage_of
from tests.faults.table import BOTH, Fault
from tests.hostile_receiver import HostileReceiver, black_hole, never_reading, refusing_port

GRACE_MS = 500
MEMORY_MB = 5
OUTAGE_SECONDS = 60
"""Four times the pause that an outage of ours puts between tries; a longer one repeats them."""

DEAD = {
    "hang": "timeout",
    "reset": "connection_failed",
    "close-at-once": "connection_failed",
    "refused": "connection_failed",
    "black-hole": "timeout",
    "never-reads": "timeout",
}
"""What must come of receivers that do not answer."""

HOSTILE = {
    "drip-status-line": "timeout",
    "drip-headers": "timeout",
    "drip-body": "succeeded",
    "endless-body": "succeeded",
    "slow-endless-100": "timeout",
    "fast-endless-100": "response_too_large",
    "hints-then-ok": "succeeded",
    "many-headers": "response_too_large",
    "giant-header": "response_too_large",
    "gzip-bomb": "succeeded",
    "trailer-bomb": "succeeded",
    "bad-chunks": "succeeded",
    "two-lengths": "connection_failed",
    "http-09": "connection_failed",
    "nul-in-header": "connection_failed",
    "not-utf8": "succeeded",
    "cut-in-status-line": "connection_failed",
    "cut-in-headers": "connection_failed",
    "cut-before-blank-line": "connection_failed",
    "cut-in-body": "succeeded",
}
"""What must come of receivers that do, in their way; a cut-off header block is no success."""


def dead_receivers(scene: Scene) -> None:
    """Send to receivers that hang, reset, refuse, swallow, or never read, beside healthy ones."""
    _send_to(scene, DEAD)


def hostile_receivers(scene: Scene) -> None:
    """Send to receivers that answer slowly, without end, or wrongly, beside healthy ones.

    The first half of the rounds makes the processes larger, as any requests of this size do: Python
    and libc keep what they once needed. The second half must leave them as they are then.
    """
    held = _send_to(scene, HOSTILE)
    before, after = held[len(held) // 2 - 1], held[-1]
    scene.problems += growth(before, after)
    names = [worker.name for worker in scene.stack.workers]
    grown_kb = max(after[name].memory_kb - before[name].memory_kb for name in names)
    scene.check_below(
        grown_kb / 1024, MEMORY_MB, "a sender's memory in the second half of the rounds +", "MB"
    )


def _send_to(scene: Scene, expected: dict[str, str]) -> list[dict[str, Usage]]:
    """Send a large event to each, some rounds of it; return what was held after each round."""
    with ExitStack() as context:
        hostile = context.enter_context(HostileReceiver())
        elsewhere = {
            "refused": f"http://127.0.0.1:{context.enter_context(refusing_port())}",
            "black-hole": f"http://127.0.0.1:{context.enter_context(black_hole())}",
            "never-reads": context.enter_context(never_reading()).origin,
        }
        names = {}
        for name in expected:
            url = f"{elsewhere.get(name, hostile.origin)}/{name}"
            made = scene.subscribe(name, AT_ONCE, url=url, event_types=["hostile.*"])
            names[made["id"].removeprefix("sub_")] = name
        held = []
        for _ in range(scene.runs):
            # Large enough to fill the socket of one that never reads.
            _publish(scene, "hostile.event", "x" * 200_000)
            _wait_for_ends(scene, names)
            held.append(usage_of(scene.stack))
        deliveries = {row.id: row for row in scene.stack.database.deliveries(scene.project.slug)}
        attempts = scene.stack.database.attempts(scene.project.slug)
        named = [
            (names[deliveries[attempt.delivery_id].subscription_id], attempt)
            for attempt in attempts
            if attempt.delivery_id in deliveries
            and deliveries[attempt.delivery_id].subscription_id in names
        ]
    _check_outcomes(scene, named, expected, grace_ms=GRACE_MS)
    return held


def _wait_for_ends(scene: Scene, subscriptions: Iterable[str]) -> None:
    mine = set(subscriptions)

    def are_done() -> bool:
        rows = scene.stack.database.deliveries(scene.project.slug)
        return not any(
            row.status in {"pending", "sending"} for row in rows if row.subscription_id in mine
        )

    eventually(are_done, "deliveries to hostile receivers end", within_seconds=60)


def _check_outcomes(
    scene: Scene,
    named: list[tuple[str, AttemptRow]],
    expected: dict[str, str],
    *,
    grace_ms: int = 0,
) -> None:
    for name, attempt in named:
        scene.check(
            attempt.outcome == expected[name],
            f"{name}: {attempt.outcome} ({attempt.error}) instead of {expected[name]}",
        )
    seen = {name for name, _ in named}
    scene.check(seen == set(expected), f"no attempt at {sorted(set(expected) - seen)}")
    slowest_ms = max(attempt.duration_ms for _, attempt in named)
    scene.check_below(slowest_ms, DEADLINE_SECONDS * 1000 + grace_ms, "slowest attempt", "ms")


def _publish(scene: Scene, event_type: str, data: object) -> None:
    scene.call("POST", "/events", {"type": event_type, "data": data})


# ---- Names ----------------------------------------------------------------------------------


def bad_names(scene: Scene) -> None:
    """Send to names that do not exist, cannot be asked about, answer late, or lead nowhere."""
    dns = scene.production.dns
    dead = tuple(f"127.99.0.{number}" for number in range(1, 51))
    expected = {
        dns.set("missing.example.org", NXDOMAIN): "dns_failed",
        dns.set("broken.example.org", SERVFAIL): "dns_failed",
        dns.set("late.example.org", Answer(("127.0.0.1",), delay_seconds=30)): "dns_failed",
        dns.set("dead.example.org", Answer(dead)): "connection_failed",
    }
    names = {}
    closed = free_port()
    for name in expected:
        port = closed if name.startswith("dead") else scene.receiver.port
        url = f"http://{name}:{port}/x"
        made = scene.subscribe(name, AT_ONCE, url=url, event_types=["dns.*"])
        names[made["id"].removeprefix("sub_")] = name
    for _ in range(scene.runs):
        _publish(scene, "dns.event", {})
    _wait_for_ends(scene, names)
    rows = {row.id: row for row in scene.stack.database.deliveries(scene.project.slug)}
    named = [
        (names[rows[attempt.delivery_id].subscription_id], attempt)
        for attempt in scene.stack.database.attempts(scene.project.slug)
        if attempt.delivery_id in rows and rows[attempt.delivery_id].subscription_id in names
    ]
    _check_outcomes(scene, named, expected)


def own_outage(scene: Scene) -> None:
    """Let our own name servers fall silent: no subscription may be blamed for it."""
    dns = scene.production.dns
    host = dns.set("receiver.example.org", Answer(("127.0.0.1",)))
    ids = []
    for name in ("n1", "n2", "n3"):
        path = f"/{scene.project.slug}/{name}"
        made = scene.subscribe(name, AT_ONCE, url=f"http://{host}:{scene.receiver.port}{path}")
        scene.receiver.tell(path, AT_ONCE, secrets=[made["secret"]])
        ids.append(made["id"])
    time.sleep(3)
    dns.is_dead = True
    try:
        time.sleep(OUTAGE_SECONDS)
        status, answer = ask(scene.stack.site, "/readyz")
        egress = answer["checks"]["egress"]
        scene.check(not egress["ok"], f"readiness ({status}) says of the way out: {egress}")
    finally:
        dns.is_dead = False
    scene.over()
    scene.driver.finish()
    scene.settle()
    for identifier in ids:
        subscription = scene.call("GET", f"/subscriptions/{identifier}")
        scene.check(subscription["active"], f"deactivated: {subscription['last_error']}")
    _check_nothing_failed(scene)


def _check_nothing_failed(scene: Scene) -> None:
    rows = scene.stack.database.deliveries(scene.project.slug)
    ends = Counter((row.status, row.end_reason) for row in rows)
    scene.check({row.status for row in rows} == {"succeeded"}, f"deliveries ended as {dict(ends)}")
    outcomes = Counter(
        attempt.outcome for attempt in scene.stack.database.attempts(scene.project.slug)
    )
    scene.notes.append(f"attempts {dict(outcomes)}")


# ---- Answers --------------------------------------------------------------------------------


def retry_after(scene: Scene) -> None:
    """Answer 503 with all manner of Retry-After, and look when the next attempt is due."""
    in_an_hour = format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True)
    day, first = 24 * 3600, 60
    cases = {
        "seconds": ("600", 600.0),
        "date": (in_an_hour, 3600.0),
        "huge": ("99999999999", float(day)),
        "negative": ("-5", float(first)),
        "rubbish": ("soon", float(first)),
        "past": ("Mon, 01 Jan 2001 00:00:00 GMT", float(first)),
    }
    ids = {}
    for name, (value, _) in cases.items():
        busy = Behaviour(status=503, headers={"Retry-After": value})
        made = scene.subscribe(name, busy, event_types=["busy.*"], retry_schedule=[first])
        ids[made["id"].removeprefix("sub_")] = name
    _publish(scene, "busy.event", {})

    def waiting() -> dict[str, float]:
        rows = scene.stack.database.deliveries(scene.project.slug)
        mine = [row for row in rows if row.subscription_id in ids and row.status == "pending"]
        return {ids[row.subscription_id]: -row.overdue_seconds for row in mine if row.attempt_count}

    eventually(lambda: len(waiting()) == len(cases), "all wait", within_seconds=30)
    for name, seconds in waiting().items():
        wanted = cases[name][1]
        low = wanted - 15 if wanted > first else 0.8 * first - 15
        high = max(wanted, 1.2 * first) + 2
        scene.check(low <= seconds <= high, f"{name}: due in {seconds:.0f} s")
    for identifier in ids:
        scene.call("DELETE", f"/subscriptions/sub_{identifier}")


def gone(scene: Scene) -> None:
    """Answer 410: the receiver wants nothing more."""
    made = scene.subscribe("gone", Behaviour(status=410), event_types=["gone.*"])
    _publish(scene, "gone.event", {})
    shown = {}

    def is_off() -> bool:
        shown.update(scene.call("GET", f"/subscriptions/{made['id']}"))
        return not shown["active"]

    eventually(is_off, "410 deactivates", within_seconds=10)
    scene.check(shown["deactivation_reason"] == "gone", f"because: {shown['deactivation_reason']}")
    _publish(scene, "gone.event", {})
    time.sleep(2)
    arrived = [r for r in scene.receipts() if r.path.endswith("/gone")]
    scene.check(len(arrived) == 1, f"{len(arrived)} requests to a receiver that is gone")


FAULTS = (
    Fault(
        "F30",
        "receivers that are dead",
        "hang, RST, FIN, refused, black hole, never reads",
        dead_receivers,
        engines=BOTH,
        runs=3,
    ),
    Fault(
        "F33",
        "receivers that are hostile",
        f"{len(HOSTILE)} ways to answer slowly, endlessly or wrongly",
        hostile_receivers,
        engines=BOTH,
        runs=6,
        keeps_processes=False,
    ),
    Fault(
        "F34",
        "names that do not resolve",
        "NXDOMAIN, SERVFAIL, 30 s late, 50 dead addresses",
        bad_names,
        runs=3,
    ),
    Fault(
        "F35",
        "our own name servers silent",
        f"for {OUTAGE_SECONDS} s, for everyone",
        own_outage,
        recovery_limit_seconds=30,
    ),
    Fault(
        "F38",
        "503 with Retry-After",
        "seconds, date, huge, negative, rubbish, past",
        retry_after,
        engines=BOTH,
    ),
    Fault("F39", "410 Gone", "one answer", gone, engines=BOTH),
)
