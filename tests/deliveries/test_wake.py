"""Wake-ups: one for many events, and none that a publisher would have to wait for."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time

import pytest
from django.core.cache import cache

from deliveries import wake
from deliveries.models import Delivery
from tests.factories import make_subscription
from tests.workers import ROOT, eventually, worker_environment

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
def sent(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Wake-ups that were handed to the broker."""
    messages: list[str] = []
    monkeypatch.setattr(wake, "_send", lambda: messages.append("send_due"))
    return messages


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
    assert Delivery.objects.filter(status="pending").count() == 2
    assert max(json.loads(result.stdout)) < 1  # a call that waited would block for 40 s


END_AT_ONCE = """
import threading, django
django.setup()
from deliveries import wake
wake.wake_a_worker = lambda: print("woken")
wake._waker._thread = threading.current_thread()  # so only the end of the process can ask
wake.wake_on_commit()
"""


def test_a_process_that_ends_right_after_publishing_has_woken_a_worker() -> None:
    done = subprocess.run(
        [sys.executable, "-c", END_AT_ONCE],
        cwd=ROOT,
        env=os.environ | {"DJANGO_SETTINGS_MODULE": "tests.settings"},
        stdout=subprocess.PIPE,
        timeout=60,
        check=True,
    )
    assert done.stdout == b"woken\n"


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """By which threads workers were woken."""
    names: list[str] = []
    monkeypatch.setattr(
        wake, "wake_a_worker", lambda: names.append(threading.current_thread().name)
    )
    return names


def test_what_is_published_together_shares_a_question(asked: list[str]) -> None:
    waker = wake._Waker()
    for _ in range(1000):
        waker.wake()
    eventually(lambda: bool(asked))
    time.sleep(0.1)
    assert len(asked) < 100
    assert set(asked) == {"waker"}


def test_a_question_that_fails_is_not_the_last(
    monkeypatch: pytest.MonkeyPatch, asked: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    waker, works = wake._Waker(), wake.wake_a_worker

    def fail() -> None:
        monkeypatch.setattr(wake, "wake_a_worker", works)
        raise ValueError("a defect")

    monkeypatch.setattr(wake, "wake_a_worker", fail)
    waker.wake()
    eventually(lambda: "no worker could be woken" in caplog.text)
    waker.wake()
    eventually(lambda: bool(asked))


def test_a_thread_that_cannot_be_started_is_started_later(
    monkeypatch: pytest.MonkeyPatch, asked: list[str]
) -> None:
    waker = wake._Waker()

    def fail(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as full:
        full.setattr(threading.Thread, "start", fail)
        with pytest.raises(RuntimeError):
            waker.wake()
    waker.wake()
    eventually(lambda: bool(asked))


def test_what_is_still_wanted_at_the_end_is_done(asked: list[str]) -> None:
    waker = wake._Waker()
    waker.finish()
    assert not asked
    waker._is_wanted.set()
    waker.finish()
    assert asked == ["MainThread"]


FORK = """
import os, sys, time, django
django.setup()
from deliveries import wake
said = []
wake.wake_a_worker = lambda: said.append(os.getpid())
wake._waker.wake()
child = os.fork()
if child:
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
said.clear()
wake._waker.wake()
until = time.monotonic() + 20
while not said and time.monotonic() < until:
    time.sleep(0.01)
os._exit(0 if said == [os.getpid()] else 1)
"""


def test_a_forked_process_wakes_workers_itself() -> None:
    subprocess.run(
        [sys.executable, "-c", FORK],
        cwd=ROOT,
        env=os.environ | {"DJANGO_SETTINGS_MODULE": "tests.settings"},
        timeout=60,
        check=True,
    )
