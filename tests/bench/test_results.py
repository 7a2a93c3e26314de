"""What was measured is kept, case by case."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from bench import results
from bench.measurement import Figure, at_least, figure

SENDING = figure("sending", "deliveries", [1.0], unit="1/s", target=at_least(5))
PUBLISHING = figure("publishing", "events", [2.0], unit="1/s")


def test_a_case_that_runs_again_replaces_its_own_rows_and_no_others(tmp_path: Path) -> None:
    file = tmp_path / "bench" / "latest.json"
    assert results.read(file) == []
    results.keep([SENDING, replace(SENDING, metric="of an older version")], file)
    results.keep([PUBLISHING], file)
    again = replace(SENDING, value=9.0)
    kept = results.keep([again], file)
    assert kept == [PUBLISHING, again]
    assert results.read(file) == kept


def test_a_row_says_what_it_is_in_the_file(tmp_path: Path) -> None:
    file = tmp_path / "latest.json"
    (row,) = results.keep([SENDING], file)
    assert isinstance(row, Figure)
    wanted = ("case", "metric", "value", "unit", "compared_with", "ratio", "target", "met")
    assert all(f'"{name}"' in file.read_text() for name in wanted)
