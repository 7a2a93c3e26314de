"""Faults of those who publish and configure: poison, one key fifty times, changes under way."""

from __future__ import annotations

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import requests

from tests.faults.receipts import AFTER_A_SECOND, AT_ONCE
from tests.faults.scene import Scene
from tests.faults.stack import DEADLINE_SECONDS, ProductionStack, eventually
from tests.faults.table import BOTH, Fault

THREADS = 50

_QUEUE = "deliveries"
_MALFORMED = (
    b"not JSON",
    b"{}",
    b'{"body": "!!", "properties": {}}',
    b'{"body": "W10=", "headers": {"task": "deliveries.nothing", "id": "1"}, '
    b'"content-type": "application/json", "content-encoding": "utf-8", '
    b'"properties": {"delivery_tag": "1", "body_encoding": "base64", '
    b'"delivery_info": {"exchange": "", "routing_key": "deliveries"}}}',
    b"\xff\xfe\x00",
)
_POISON = {
    "NUL": b'{"type": "rig.poison", "data": {"a": "\\u0000"}}',
    "lone surrogate": b'{"type": "rig.poison", "data": {"a": "\\ud800"}}',
    "NaN": b'{"type": "rig.poison", "data": {"a": NaN}}',
    "Infinity": b'{"type": "rig.poison", "data": [1e999, Infinity]}',
    "10 000 deep": b'{"type": "rig.poison", "data": ' + b"[" * 10_000 + b"]" * 10_000 + b"}",
    "too large": b'{"type": "rig.poison", "data": "' + b"x" * 300_000 + b'"}',
}


def poison(scene: Scene) -> None:
    """Feed the API what cannot be stored, the queue what nobody wrote, and take rows away."""
    for name, body in _POISON.items():
        answer = requests.post(
            f"{scene.project.url}/events", data=body, headers=scene.project.headers, timeout=20
        )
        fields = [error["field"] for error in answer.json().get("errors", [])]
        is_refused = 400 <= answer.status_code < 500 and "data" in fields
        is_harmless = answer.status_code == 202  # stored as given, and sent
        scene.notes.append(f"{name} {answer.status_code}")
        scene.check(is_refused or is_harmless, f"{name}: {answer.status_code} {answer.text[:120]}")
    if isinstance(scene.stack, ProductionStack):
        _poison_queue(scene)
    _take_row_away(scene)


def _poison_queue(scene: Scene) -> None:
    stack = scene.production
    pids = [worker.pid for worker in stack.workers]
    client = stack.redis.client()
    for message in _MALFORMED:
        client.lpush(_QUEUE, message)
    # Two workers: each of them has to survive each message.
    for message in _MALFORMED:
        client.lpush(_QUEUE, message)
    scene.wait_for_receipts(100)
    scene.pause(3)
    for worker in stack.workers:
        scene.check(worker.is_running, f"{worker.name} ended of a malformed message")
    stack.mend()
    scene.check(pids == [worker.pid for worker in stack.workers], "a worker was started again")
    eventually(lambda: client.llen(_QUEUE) == 0, "the queue is empty", within_seconds=20)


def _take_row_away(scene: Scene) -> None:
    """Delete a subscription's row, as nobody should, with deliveries under way."""
    made = scene.subscribe("taken", AFTER_A_SECOND)
    identifier = made["id"].removeprefix("sub_")
    scene.wait_until_busy()
    scene.stack.database.execute(
        "DELETE FROM subscriptions_signingsecret WHERE subscription_id = {mark}", identifier
    )
    scene.stack.database.execute(
        "DELETE FROM subscriptions_subscription WHERE id = {mark}", identifier
    )
    scene.pause(2)

    def unfinished() -> int:
        rows = scene.stack.database.deliveries(scene.project.slug)
        mine = [row for row in rows if row.subscription_id == identifier]
        return sum(row.status in {"pending", "sending"} for row in mine)

    eventually(lambda: unfinished() == 0, "its deliveries ended", within_seconds=60)
    told = {a.delivery_id for a in scene.stack.database.attempts(scene.project.slug) if a.error}
    bad = {
        row.status
        for row in scene.stack.database.deliveries(scene.project.slug)
        if row.subscription_id == identifier
        and row.status != "succeeded"
        and not (row.end_reason or row.id in told)
    }
    scene.check(not bad, f"ended without a reason: {bad}")
    scene.forget_path("taken")


def one_key_fifty_times(scene: Scene) -> None:
    """Publish the same event with the same key from fifty threads at once."""
    barrier = threading.Barrier(THREADS)
    body = json.dumps({"type": "rig.once", "data": 1})
    headers = scene.project.headers | {"Idempotency-Key": "the only one"}

    def publish(_: int) -> tuple[int, str]:
        barrier.wait()
        answer = requests.post(
            f"{scene.project.url}/events", data=body, headers=headers, timeout=30
        )
        return answer.status_code, answer.text

    for _ in range(scene.runs):
        with ThreadPoolExecutor(THREADS) as pool:
            answers = set(pool.map(publish, range(THREADS)))
        scene.check(len(answers) == 1, f"{len(answers)} different answers: {list(answers)[:2]}")
        scene.check({status for status, _ in answers} == {202}, f"{list(answers)[:2]}")


def edited_under_way(scene: Scene) -> None:
    """Move, deactivate, delete subscriptions and change a secret, with deliveries under way."""
    slug = scene.project.slug
    made = {
        name: scene.subscribe(name, AFTER_A_SECOND)["id"]
        for name in ("moved", "off", "deleted", "rotated")
    }
    scene.receiver.tell(f"/{slug}/moved-to", AT_ONCE, secrets=_secrets_of(scene, made["moved"]))
    scene.wait_for_receipts(100)
    origin = scene.receiver.origin
    changed_at = {}
    scene.call("PATCH", f"/subscriptions/{made['moved']}", {"url": f"{origin}/{slug}/moved-to"})
    changed_at["moved"] = time.monotonic()
    scene.call("PATCH", f"/subscriptions/{made['off']}", {"active": False})
    changed_at["off"] = time.monotonic()
    scene.call("DELETE", f"/subscriptions/{made['deleted']}")
    changed_at["deleted"] = time.monotonic()
    _rotate(scene, made["rotated"])
    time.sleep(DEADLINE_SECONDS + 5)
    for name, at in changed_at.items():
        late = [
            receipt.at - at
            for receipt in scene.receipts()
            if receipt.path == f"/{slug}/{name}" and receipt.at > at + DEADLINE_SECONDS
        ]
        scene.check(
            not late, f"{name}: {len(late)} requests up to {max(late, default=0):.1f} s late"
        )
    arrived = any(receipt.path == f"/{slug}/moved-to" for receipt in scene.receipts())
    scene.check(arrived, "nothing arrived at the new URL")
    for name in ("moved", "moved-to"):  # the row names one URL, and receipts are at both
        scene.forget_path(name)


def _secrets_of(scene: Scene, identifier: str) -> list[str]:
    return [scene.call("GET", f"/subscriptions/{identifier}/secret")["secret"]]


def _rotate(scene: Scene, identifier: str) -> None:
    """The receiver knows both secrets, as one does while rotating."""
    old = _secrets_of(scene, identifier)
    scene.call("POST", f"/subscriptions/{identifier}/secret/rotate", {})
    new = _secrets_of(scene, identifier)
    scene.check(old != new, "the secret did not change")
    scene.receiver.tell(f"/{scene.project.slug}/rotated", secrets=[*new, *old])
    scene.wait_for_receipts(100)


FAULTS = (
    Fault(
        "F17",
        "poison",
        "what cannot be stored, malformed Celery messages, a subscription's row deleted by hand",
        poison,
        engines=BOTH,
    ),
    Fault(
        "F45",
        "subscriptions edited under way",
        "moved, deactivated, deleted, secret changed",
        edited_under_way,
    ),
    Fault(
        "F46",
        "one idempotency key",
        f"{THREADS} threads at once",
        one_key_fifty_times,
        engines=BOTH,
        runs=5,
    ),
)
