"""A sign of life is a file's time: given once a second at most, never at the cost of the work."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest

from deliveries.sending.heartbeat import Heartbeat


def age_and_beat(heartbeat: Heartbeat, file: Path) -> bool:
    """Make the file old, then beat; return whether it was touched."""
    os.utime(file, (0, 0))
    heartbeat.beat()
    return file.stat().st_mtime > 0


def test_the_first_beat_makes_the_file(tmp_path: Path) -> None:
    Heartbeat(tmp_path / "alive").beat()
    assert (tmp_path / "alive").exists()


def test_it_touches_the_file_once_a_second_however_often_it_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 100.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    file = tmp_path / "alive"
    heartbeat = Heartbeat(file)
    heartbeat.beat()
    now = 100.9
    assert not age_and_beat(heartbeat, file)
    now = 101.0
    assert age_and_beat(heartbeat, file)


def test_without_a_file_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Heartbeat(None).beat()
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_cannot_be_written_is_logged_and_stops_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        Heartbeat(tmp_path / "missing" / "alive").beat()
    assert "no sign of life" in caplog.text
