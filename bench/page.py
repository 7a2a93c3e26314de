"""Writes the reference page `docs/reference/performance.md` from what was measured.

Called by `make bench PUBLISH=1`. What was not measured again stays as it is, and so does what a
person wrote below the last heading.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from bench.catalogue import CASES, Case
from bench.measurement import Figure, number
from bench.options import QUICK_RUNS, RUNS
from bench.projection import PROJECTION_TITLE, projection

HAND_WRITTEN: Final = "## What bounds what is missed\n"
"""What follows this heading is written by hand."""

_INTRODUCTION = f"""# Performance

How fast it is, measured with real processes on one machine: PostgreSQL, durable as it comes, Redis,
web and workers by the commands of `docker-compose.yml`, a receiver. The run writes this page:

    make bench PUBLISH=1                 # all of it, two hours or so
    make bench PUBLISH=1 CASE=sending    # one case again; the others stay
    make bench QUICK=1                   # smaller, and {QUICK_RUNS} runs instead of {RUNS}

Each figure is the median of so many *runs* after a warm-up, with the lowest and the highest in
brackets. A *ratio* is the median over the rounds: both sides were measured in turns, in one run,
so it says more than the absolute figures of a machine that does other things too. CPU seconds are
those of the processes themselves, with all their children. A target is the ratio's where there is
one; in *Isolation* it is the milliseconds'.

"""

_HEAD = "| what | measured | compared with | ratio | target | met | runs | on |"
_RULE = "|---|--:|---|--:|--:|---|--:|---|"


def page(rows: Sequence[Figure], machine: Mapping[str, str], *, earlier: str = "") -> str:
    """Return the page; of an `earlier` one it keeps what was not measured now, and what is by hand.

    The machine is that of the rows.
    """
    measured, _, written = earlier.partition(HAND_WRITTEN)
    before = _sections(measured)
    parts = [_INTRODUCTION, _machine(machine)]
    for case in CASES.values():
        own = [row for row in rows if row.case == case.name]
        parts.append(_section(case, own) if own else before.get(case.title, ""))
    parts.append(projection(rows) or before.get(PROJECTION_TITLE, ""))
    parts += [f"{HAND_WRITTEN}\n", written.lstrip("\n")]
    return "".join(parts).rstrip("\n") + "\n"


def _sections(text: str) -> dict[str, str]:
    """Return the sections of a page by their titles."""
    sections = re.split(r"^(?=## )", text, flags=re.MULTILINE)[1:]
    return {section.partition("\n")[0].removeprefix("## "): section for section in sections}


def _machine(machine: Mapping[str, str]) -> str:
    lines = ["| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in machine.items())]
    return "\n".join(lines) + "\n\n"


def _section(case: Case, rows: Sequence[Figure]) -> str:
    notes = list(_notes(rows))
    return "\n".join(
        [
            f"## {case.title}",
            "",
            case.description,
            "",
            f"    make bench CASE={case.name}",
            "",
            _HEAD,
            _RULE,
            *map(_line, rows),
            "",
            *notes,
            *([""] if notes else []),
            "",
        ]
    )


def _notes(rows: Sequence[Figure]) -> Iterator[str]:
    """Give each note once, with the rows that it belongs to."""
    of_note: dict[str, list[str]] = {}
    for row in rows:
        if row.note:
            of_note.setdefault(row.note, []).append(row.metric)
    for note, metrics in of_note.items():
        yield f"- {'; '.join(metrics)}: {note}."


def _line(row: Figure) -> str:
    cells = (
        row.metric,
        f"{number(row.value)} {row.unit} {_spread(row)}".rstrip(),
        row.compared_with,
        "" if row.ratio is None else f"{number(row.ratio)} {_ratio_spread(row)}".rstrip(),
        row.target,
        "" if row.met is None else "yes" if row.met else "**no**",
        str(row.runs),
        row.measured_at[:10],
    )
    return "| " + " | ".join(cells) + " |"


def _spread(row: Figure) -> str:
    return f"[{number(row.lowest)} … {number(row.highest)}]" if row.runs > 1 else ""


def _ratio_spread(row: Figure) -> str:
    if row.runs == 1 or row.ratio_lowest is None or row.ratio_highest is None:
        return ""
    return f"[{number(row.ratio_lowest)} … {number(row.ratio_highest)}]"
