"""The receiver that misbehaves when told to, and tells when each request came."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from bench.receiver import start_receiver
from bench.slow_receiver import BUSY_SECONDS, SlowReceiver

ID = "0123456789abcdef0123456789abcdef"


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[SlowReceiver]:
    receiver = SlowReceiver(tmp_path)
    receiver.start()
    yield receiver
    receiver.program.kill()


def post(receiver: SlowReceiver, path: str, *, patience_seconds: float = 5) -> int:
    return requests.post(
        receiver.origin + path,
        data=b"{}",
        headers={"webhook-id": f"evt_{ID}"},
        timeout=patience_seconds,
    ).status_code


def test_each_arrival_is_told_once_with_its_time(receiver: SlowReceiver) -> None:
    before = time.monotonic()
    assert post(receiver, "/ok/1") == 204
    assert post(receiver, "/fail") == 500
    arrivals = receiver.take_arrivals()
    assert [(arrival.path, arrival.event_id) for arrival in arrivals] == [
        ("/ok/1", ID),
        ("/fail", ID),
    ]
    assert before < arrivals[0].at < arrivals[1].at < time.monotonic()
    assert receiver.take_arrivals() == []


def test_what_is_busy_answers_in_most_of_a_second(receiver: SlowReceiver) -> None:
    began = time.monotonic()
    assert post(receiver, "/busy") == 204
    assert time.monotonic() - began >= BUSY_SECONDS


def test_paths_hang_from_the_trouble_on_and_not_before(receiver: SlowReceiver) -> None:
    assert post(receiver, "/hang/1") == post(receiver, "/late/1") == 204
    receiver.make_trouble()
    assert post(receiver, "/ok") == 204
    for path in ("/hang/1", "/late/1"):
        with pytest.raises(requests.ReadTimeout):
            post(receiver, path, patience_seconds=0.3)


def test_the_fast_receiver_takes_any_request(tmp_path: Path) -> None:
    receiver = start_receiver(tmp_path)
    try:
        answer = requests.post(f"{receiver.origin}/inbox", data=b"x" * 1024, timeout=5)
        assert answer.status_code == 204
    finally:
        receiver.program.kill()
