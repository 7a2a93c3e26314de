"""The page of figures: every row with its spread, target and date; what people wrote stays."""

from __future__ import annotations

from dataclasses import replace

from bench.cases import scale_out
from bench.catalogue import CASES
from bench.measurement import Figure, at_least, compared, figure
from bench.page import HAND_WRITTEN, page
from bench.projection import demands_of, projection

MACHINE = {"Processor": "a fast one, 2 cores"}


def row() -> Figure:
    return replace(
        compared(
            "sending",
            "deliveries",
            [1_234.5, 2_000.0, 9_999.0],
            unit="1/s",
            yardstick="bare",
            against=[4_000.0, 4_000.0, 10_000.0],
            target=at_least(0.7),
            note="in a hurry",
        ),
        measured_at="2026-01-31T12:00:00+00:00",
    )


def demands() -> list[Figure]:
    figures = {
        scale_out.WORKER_CPU: 200.0,
        scale_out.POSTGRES_CPU: 100.0,
        scale_out.REDIS_CPU: 1.0,
        scale_out.WAL: 2_000.0,
        scale_out.IDLE: 0.0,
        scale_out.crowd(1): 100.0,
        scale_out.crowd(16): 200.0,
    }
    return [figure("scale_out", name, [value], unit="µs") for name, value in figures.items()]


def test_a_row_shows_spread_ratio_target_and_date() -> None:
    text = page([row()], MACHINE)
    assert (
        "| deliveries | 2,000 1/s [1,234 … 9,999] | bare: 4,000 1/s | 0.5 [0.309 … 1] "
        "| ≥ 0.7 | **no** | 3 | 2026-01-31 |"
    ) in text
    assert "- deliveries: in a hurry." in text
    assert "make bench CASE=sending" in text
    assert "| Processor | a fast one, 2 cores |" in text


def test_a_figure_of_one_run_has_no_spread() -> None:
    text = page([figure("memory", "most", [149.8], unit="MB")], MACHINE)
    assert "| most | 150 MB |  |  |  |  | 1 |" in text


def test_what_was_written_by_hand_stays() -> None:
    first = page([row()], MACHINE)
    assert first.endswith(HAND_WRITTEN)
    second = page([row()], MACHINE, earlier=first + "\nThe disk does.\n")
    assert second.endswith(f"{HAND_WRITTEN}\nThe disk does.\n")
    assert page([row()], MACHINE, earlier=second) == second


def test_what_was_not_measured_again_stays() -> None:
    memory = figure("memory", "most", [149.8], unit="MB")
    first = page([row(), memory, *demands()], MACHINE)

    again = page([replace(row(), value=3_000.0)], MACHINE, earlier=first)

    assert again == first.replace("| 2,000 1/s", "| 3,000 1/s")


def test_every_case_says_what_it_is() -> None:
    for name, case in CASES.items():
        assert case.name == name
        assert len(case.description) > 50, name


def test_more_workers_are_reckoned_from_what_one_delivery_demands() -> None:
    lines = projection(demands()).splitlines()
    one, ten, hundred, thousand = (line for line in lines if line.startswith("| 1"))
    assert "| 1 | 5,000 | 224,000 |" in one  # alone, nothing crowds it
    assert "| workers |" in ten
    assert "| PostgreSQL's CPU |" in hundred
    assert "| 1,000 | 5,000,000 | 112,000 |" in thousand


def test_nothing_is_reckoned_before_the_demands_are_known() -> None:
    assert demands_of(demands()[:2]) is None
    assert projection([row()]) == ""
