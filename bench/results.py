"""Keeps what was measured in `var/bench/latest.json`, case by case: a case that runs again replaces
its own rows and leaves the others as they were, each with its date."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path

from bench.measurement import Figure

LATEST = Path(__file__).parent.parent / "var" / "bench" / "latest.json"


def merge(earlier: Iterable[Figure], measured: Sequence[Figure]) -> list[Figure]:
    """Return all rows: those of cases that were not measured again first."""
    cases = {row.case for row in measured}
    return [row for row in earlier if row.case not in cases] + list(measured)


def read(path: Path = LATEST) -> list[Figure]:
    """Return what was measured so far; nothing where nothing was."""
    if not path.exists():
        return []
    return [Figure(**row) for row in json.loads(path.read_text())]


def keep(measured: Sequence[Figure], path: Path = LATEST) -> list[Figure]:
    """Merge rows into the file; return all that is in it now."""
    rows = merge(read(path), measured)
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps([asdict(row) for row in rows], indent=1, ensure_ascii=False)
    path.write_text(text + "\n")
    return rows
