"""How log lines are written."""

from __future__ import annotations

import logging

import pytest

from subscriptions.access.request_context import LineFormatter


@pytest.mark.parametrize("form", [None, "%d %B, %H:%M:%S"])
def test_a_line_tells_the_time_as_logging_does(form: str | None) -> None:
    ours = LineFormatter("%(asctime)s", form)
    theirs = logging.Formatter("%(asctime)s", form)

    for created in (0.0, 0.5, 1.25, 1_800_000_000.0, 1_800_000_000.999, 1_800_000_060.0, 0.25):
        record = logging.makeLogRecord({"created": created, "msecs": int(created % 1 * 1000) + 0.0})
        assert ours.format(record) == theirs.format(record)
