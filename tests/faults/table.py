"""What a fault is, as a value, and what a run of it came to: the rows of the table."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from tests.faults.receipts import AT_ONCE, Behaviour
from tests.faults.scene import Scene

BOTH = ("postgres", "sqlite")


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that goes wrong, and what must hold nevertheless."""

    id: str
    title: str
    how: str
    act: Callable[[Scene], None]
    engines: tuple[str, ...] = ("postgres",)
    runs: int = 1
    """How often it strikes within one run of the table."""
    per_second: float = 40.0
    """Events published per second, each to two subscriptions."""
    behaviour: Behaviour = AT_ONCE
    """Of both subscriptions' receivers."""
    recovery_limit_seconds: float | None = None
    """By when, after the fault, all that was published before must have arrived."""
    keeps_processes: bool = True
    """Whether the processes outlive the fault, so that what they hold can be compared."""
    unable: Callable[[], str] = field(default=lambda: "")
    """Why this machine cannot have the fault; empty when it can."""


@dataclass(frozen=True, slots=True)
class Row:
    """What a run came to."""

    fault: Fault
    engine: str
    runs: int
    deliveries: int = 0
    lost: int = 0
    duplicates: int = 0
    bound: int = 0
    mismatches: int = 0
    recovery_seconds: float = 0.0
    seconds: float = 0.0
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    not_run: str = ""
    has_figures: bool = True
    """False where the run ended before anything could be counted."""

    @property
    def holds(self) -> bool:
        """Whether every bound held."""
        return not self.problems


_HEAD = ("fault", "engine", "runs", "N", "lost", "duplicates", "bound", "ledger", "recovery s")


def head_line() -> str:
    """Return the head of the table on a terminal."""
    return _line(_HEAD) + "  what"


def row_line(row: Row) -> str:
    """Return a row of the table on a terminal, with what did not hold below it."""
    verdict = "not run: " + row.not_run if row.not_run else ("" if row.holds else "BROKEN ")
    what = "" if row.not_run else f"{row.fault.title} ({row.seconds:.0f} s)"
    first = f"{_line(_cells(row))}  {verdict}{what}"
    notes = [f"        · {note}" for note in row.notes]
    problems = [f"        ! {problem}" for problem in row.problems]
    return "\n".join([first, *notes, *problems])


def markdown(rows: Iterable[Row], *, when: str, earlier: str = "") -> str:
    """Return the table as the reference page shows it.

    `earlier` is such a table: its rows stay, where no row here is of the same fault and engine.
    """
    lines = {_key(line): line for line in earlier.splitlines() if line.startswith("| F")}
    for row in rows:
        line = _markdown_line(row, when)
        lines[_key(line)] = line
    head = "| " + " | ".join((*_HEAD[:1], "what happens", *_HEAD[1:], "measured", "on")) + " |"
    rule = "|---|---|---|" + "--:|" * 7 + "---|---|"
    return "\n".join([head, rule, *sorted(lines.values(), key=_key)]) + "\n"


def _markdown_line(row: Row, when: str) -> str:
    cells = _cells(row)
    measured = f"not run: {row.not_run}" if row.not_run else "; ".join(row.notes)
    if row.problems:
        measured = "**broken:** " + "; ".join(row.problems)
    what = f"{row.fault.title}: {row.fault.how}"
    return "| " + " | ".join((cells[0], what, *cells[1:], measured, when)) + " |"


def _key(line: str) -> tuple[str, int]:
    """Tell a line by its engine and its fault's number, in the order of the page."""
    fault, _, engine, *_ = (cell.strip() for cell in line.strip("| ").split(" | "))
    return engine, int(fault.removeprefix("F"))


def _cells(row: Row) -> tuple[str, ...]:
    if row.not_run or not row.has_figures:
        return (row.fault.id, row.engine, *["–"] * 7)
    figures = (row.runs, row.deliveries, row.lost, row.duplicates, row.bound, row.mismatches)
    return (row.fault.id, row.engine, *map(str, figures), f"{row.recovery_seconds:.1f}")


def _line(cells: Iterable[str]) -> str:
    return " ".join(f"{cell:>{width}}" for cell, width in zip(cells, _WIDTHS, strict=True))


_WIDTHS = (5, 8, 4, 6, 5, 10, 5, 6, 10)
