"""A fast part of the table, on every run of the tests; `make faults` runs all of it.

Held elsewhere, in small: F1 and F3 by `test_end_to_end`, F46 by `deliveries.test_ingest`.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.faults.rows import ALL
from tests.faults.runner import run, running_stack
from tests.faults.stack import Stack
from tests.faults.table import Fault

SCALE = 0.1


@pytest.fixture(scope="module")
def production() -> Iterator[Stack]:
    """One stack for all of them: it has to come through one fault after the other."""
    with running_stack("postgres", warm_up_events=20) as stack:
        yield stack


@pytest.fixture(scope="module")
def embedded() -> Iterator[Stack]:
    """The one process on SQLite."""
    with running_stack("sqlite", warm_up_events=20) as stack:
        yield stack


def fault(identifier: str, engine: str) -> Fault:
    """Find a fault of the table."""
    return next(one for one in ALL if one.id == identifier and engine in one.engines)


@pytest.mark.postgres
@pytest.mark.parametrize("identifier", ["F7", "F9", "F13", "F16", "F17", "F18", "F19"])
def test_nothing_is_lost_in_production(production: Stack, identifier: str) -> None:
    production.mend()
    row = run(fault(identifier, "postgres"), production, runs=2, scale=SCALE)
    assert row.problems == ()
    assert row.deliveries > 0


@pytest.mark.postgres
@pytest.mark.parametrize("identifier", ["F14", "F15"])
def test_a_crash_costs_one_duplicate_and_history_knows(production: Stack, identifier: str) -> None:
    production.mend()
    row = run(fault(identifier, "postgres"), production, runs=1, scale=SCALE)
    assert row.problems == ()
    assert row.duplicates == row.bound > 0


@pytest.mark.sqlite
@pytest.mark.parametrize("identifier", ["F17", "F28", "F29"])
def test_nothing_is_lost_in_the_one_process(embedded: Stack, identifier: str) -> None:
    row = run(fault(identifier, "sqlite"), embedded, runs=2, scale=SCALE)
    assert row.problems == ()
    assert row.deliveries > 0
