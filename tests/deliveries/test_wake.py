"""Wake-ups: one for many events, and none that a publisher would have to wait for."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest
from django.core.cache import cache

from deliveries import wake
from deliveries.models import Delivery
from tests.factories import make_subscription
from tests.workers import ROOT, worker_environment

PUBLISH_TWICE = """
import json, sys, time, django
django.setup()
from deliveries.publishing.ingest import publish
from subscriptions.models import Project
project = Project.objects.get(id=int(sys.argv[1]))
seconds = []
for number in range(2):
    started = time.monotonic()
    publish(project=project, event_type="a.b", data=number)
    seconds.append(time.monotonic() - started)
print(json.dumps(seconds))
"""


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Wake-ups that were handed to the broker."""
    messages: list[str] = []
    monkeypatch.setattr(wake, "_send", lambda: messages.append("send_due"))
    cache.delete(wake._FLAG)
    yield messages
    cache.delete(wake._FLAG)


def test_many_events_send_one_wake_up_until_a_claim_looks(sent: list[str]) -> None:
    for _ in range(5):
        wake.wake_a_worker()
    assert len(sent) == 1
    wake.acknowledge()
    wake.wake_a_worker()
    assert len(sent) == 2


def test_after_a_failure_the_broker_is_left_alone_for_a_while(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls: list[str] = []

    def fail(*_: object) -> bool:
        calls.append("add")
        raise ConnectionRefusedError

    monkeypatch.setattr(cache, "add", fail)
    monkeypatch.setattr(wake, "breaker", wake.make_breaker())
    for _ in range(3):
        wake.wake_a_worker()
    assert len(calls) == 1


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("broker", ["refuses", "never answers"])
def test_a_broker_that_is_away_neither_fails_nor_holds_up_a_publisher(broker: str) -> None:
    project = make_subscription().project
    with socket.create_server(("127.0.0.1", 0)) as silent:  # accepts by its backlog, and is silent
        port = silent.getsockname()[1] if broker == "never answers" else 1
        result = subprocess.run(
            [sys.executable, "-c", PUBLISH_TWICE, str(project.id)],
            cwd=ROOT,
            env=worker_environment() | {"REDIS_URL": f"redis://127.0.0.1:{port}/0"},
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
    first, second = json.loads(result.stdout)
    assert Delivery.objects.filter(status="pending").count() == 2
    # Without limits of its own, the first call blocks for 40 s; the breaker spares the second.
    assert first < 5
    assert second < 1
