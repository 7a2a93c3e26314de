"""`make bench`: runs the cases, prints their figures, keeps them, and writes the page if asked to.

    python -m bench --case sending --quick

Exits with 0 whatever the figures are: a target that is missed is a finding, not a fault.
"""

from __future__ import annotations

import argparse
import signal
import sys
import time
from types import FrameType

from bench import machine, results
from bench.catalogue import CASES, Case
from bench.measurement import Figure, number
from bench.options import Options
from bench.page import page
from tests.compose_file import ROOT

PAGE = ROOT / "docs" / "reference" / "performance.md"


def main() -> None:
    """Parse, run, and write the page if asked to."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--case", choices=CASES, help="only this one")
    parser.add_argument("--quick", action="store_true", help="smaller and fewer runs")
    parser.add_argument("--rows", type=int, help="attempts in the case `history`")
    parser.add_argument("--publish", action="store_true", help=f"write {PAGE.relative_to(ROOT)}")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, _exit_in_order)
    options = Options(is_quick=arguments.quick, rows=arguments.rows)
    for name in [arguments.case] if arguments.case else CASES:
        run(CASES[name], options)
    if arguments.publish:
        earlier = PAGE.read_text() if PAGE.exists() else ""
        PAGE.write_text(page(results.read(), machine.describe(), earlier=earlier))


def run(case: Case, options: Options) -> None:
    """Run a case, keep its figures and print them."""
    began = time.monotonic()
    figures = case.run(options)
    results.keep(figures)
    say(f"== {case.name} ({time.monotonic() - began:.0f} s)")
    for row in figures:
        say(line(row))


def line(row: Figure) -> str:
    """Return a figure as it is shown on a terminal."""
    value = f"{number(row.value)} [{number(row.lowest)} … {number(row.highest)}] {row.unit}"
    ratio = f"; {row.ratio:.2f} × {row.compared_with}" if row.ratio is not None else ""
    verdict = "" if row.met is None else f"  {row.target}: {'met' if row.met else 'MISSED'}"
    return f"  {row.metric}: {value}{ratio}{verdict}"


def say(text: str) -> None:
    """Print a line at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _exit_in_order(_signal: int, _frame: FrameType | None) -> None:
    sys.exit(1)


if __name__ == "__main__":
    main()
