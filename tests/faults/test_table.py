"""The table's rows: figures where a run has any, dashes where it has none."""

from __future__ import annotations

from dataclasses import replace

from tests.faults.table import Fault, Row, head_line, markdown, row_line

FAULT = Fault("F0", "a fault", "it strikes", act=lambda _: None)


def test_a_row_shows_its_figures_below_the_heads() -> None:
    row = Row(FAULT, "postgres", 3, deliveries=80, duplicates=2, bound=4, recovery_seconds=1.25)
    figures = row_line(row).split()[:9]
    assert dict(zip(head_line().split()[:9], figures, strict=True)) == {
        "fault": "F0",
        "engine": "postgres",
        "runs": "3",
        "N": "80",
        "lost": "0",
        "duplicates": "2",
        "bound": "4",
        "ledger": "0",
        "recovery": "1.2",
    }


def test_a_run_that_gave_up_has_dashes_and_says_why() -> None:
    row = Row(FAULT, "postgres", 3, has_figures=False, problems=("it did not happen",))
    first, second = row_line(row).splitlines()
    assert first.split()[2:9] == ["–"] * 7
    assert "BROKEN" in first
    assert second.strip() == "! it did not happen"
    assert "| F0 | a fault: it strikes | postgres | – | – |" in markdown([row], when="2026-01-31")
    assert "**broken:** it did not happen" in markdown([row], when="2026-01-31")


def test_a_row_that_was_not_run_has_dashes_and_is_not_broken() -> None:
    row = Row(FAULT, "sqlite", 1, not_run="no disk can be mounted")
    assert row.holds
    assert row_line(row).split()[2:9] == ["–"] * 7
    assert "not run: no disk can be mounted" in row_line(row)


def test_rows_measured_again_replace_theirs_and_the_others_stay() -> None:
    def row(number: int, engine: str, deliveries: int) -> Row:
        return Row(replace(FAULT, id=f"F{number}"), engine, 1, deliveries=deliveries)

    old = markdown([row(2, "sqlite", 11), row(10, "postgres", 12)], when="2026-01-30")
    new = markdown(
        [row(2, "postgres", 13), row(10, "postgres", 14)], when="2026-01-31", earlier=old
    )
    cells = [[cell.strip() for cell in line.split("|")] for line in new.splitlines()[2:]]
    assert [(line[1], line[3], line[5], line[-2]) for line in cells] == [
        ("F2", "postgres", "13", "2026-01-31"),
        ("F10", "postgres", "14", "2026-01-31"),
        ("F2", "sqlite", "11", "2026-01-30"),
    ]
