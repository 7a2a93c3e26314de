"""Numbers become geometry: bars that fill their places, lines with gaps where nothing is known."""

from __future__ import annotations

import pytest

from deliveries.pages.charts import HEIGHT, WIDTH, line, round_top, stacked_bars


@pytest.mark.parametrize(
    ("largest", "top"),
    [(0, 1), (0.03, 0.05), (1, 1), (1.1, 2), (3, 5), (6, 10), (99, 100), (101, 200), (5000, 5000)],
)
def test_an_axis_ends_at_a_round_number(largest: float, top: float) -> None:
    assert round_top(largest) == pytest.approx(top)


def test_bars_stand_side_by_side_with_their_parts_on_top_of_each_other() -> None:
    bars = stacked_bars({"ok": [5, 0], "fail": [5, 0]}, top=10)
    assert [bar.x for bar in bars] == [0, WIDTH / 2]
    ok, fail = bars[0].parts
    assert (ok.kind, ok.y, ok.height) == ("ok", HEIGHT / 2, HEIGHT / 2)
    assert (fail.kind, fail.y, fail.height) == ("fail", 0, HEIGHT / 2)
    assert bars[1].parts == ()


def test_one_failure_among_thousands_is_seen() -> None:
    (bar,) = stacked_bars({"ok": [9999], "fail": [1]}, top=10_000)
    assert bar.parts[1].height >= 1
    assert all(part.y >= 0 for part in bar.parts)


def test_a_line_is_interrupted_where_there_is_nothing() -> None:
    drawn = line("p50", [1.0, 0.0, None, 0.5], top=1.0)
    assert drawn.path == (f"M125.00 0.00L375.00 {HEIGHT}.00M750.00 {HEIGHT / 2:.2f}H1000.00")
    assert line("p50", [None, None], top=1.0).path == ""


def test_what_is_beyond_the_axis_stays_in_the_drawing() -> None:
    assert line("p50", [5.0], top=1.0).path.startswith("M0.00 0.00")
    (bar,) = stacked_bars({"ok": [50]}, top=10)
    assert bar.parts[0].height == HEIGHT


def test_nothing_is_drawn_of_nothing() -> None:
    assert stacked_bars({"ok": [], "fail": []}, top=1) == []
    assert line("p50", [], top=1).path == ""
