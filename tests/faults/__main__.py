"""`python -m tests.faults`: the table, or some rows of it; exit status 1 when a bound is broken.

python -m tests.faults --only F1,F9 --engine postgres
python -m tests.faults --write docs/reference/faults.md
"""

from __future__ import annotations

import argparse
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from types import FrameType

from tests.faults.page import page
from tests.faults.rows import ALL
from tests.faults.runner import run, running_stack, say
from tests.faults.stack import LEASE_SECONDS, Stack
from tests.faults.table import BOTH, Fault, Row, head_line, row_line


def main() -> int:
    """Run what was asked for; return the exit status."""
    arguments = _arguments()
    signal.signal(signal.SIGTERM, _exit_in_order)
    known = dict.fromkeys(fault.id for fault in ALL)
    names = arguments.only.split(",") if arguments.only else list(known)
    if unknown := set(names) - known.keys():
        sys.exit(f"There is no such fault: {', '.join(unknown)}. Known: {', '.join(known)}.")
    say(f"Leases of {LEASE_SECONDS} s (the default is 30), so that the table ends the same hour.")
    say(head_line())
    began = time.monotonic()
    rows = []
    for engine in [arguments.engine] if arguments.engine else BOTH:
        chosen = [
            fault for name in names for fault in ALL if fault.id == name and engine in fault.engines
        ]
        for row in _run_all(engine, chosen):
            rows.append(row)
            say(row_line(row))
    broken = [row for row in rows if not row.holds]
    say(f"{len(rows)} rows, {len(broken)} broken, {time.monotonic() - began:.0f} s")
    if arguments.write:
        is_part = bool(arguments.only or arguments.engine) and arguments.write.exists()
        earlier = arguments.write.read_text() if is_part else ""
        arguments.write.write_text(page(rows, earlier=earlier))
    return 1 if broken else 0


def _run_all(engine: str, faults: list[Fault]) -> Iterator[Row]:
    """Run faults on one stack after the other; after a broken row a fresh one is taken."""
    stack: Stack | None = None
    with ExitStack() as context:
        for fault in faults:
            if stack is None:
                stack = context.enter_context(running_stack(engine))
            row = run(fault, stack)
            yield row
            if not row.holds:
                context.close()
                stack = None


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--only", default="", help="ids, comma-separated")
    parser.add_argument("--engine", choices=BOTH, help="one database only")
    parser.add_argument("--write", type=Path, help="the reference page to write")
    return parser.parse_args()


def _exit_in_order(_signal: int, _frame: FrameType | None) -> None:
    sys.exit(143)


if __name__ == "__main__":
    sys.exit(main())
