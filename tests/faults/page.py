"""Writes the reference page `docs/reference/faults.md` from the rows of a run."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from datetime import UTC, datetime

from tests.faults.stack import LEASE_SECONDS
from tests.faults.table import Row, markdown

_INTRODUCTION = """# Faults survived

What happens to acknowledged events while something breaks. Each row is one run on real processes
(PostgreSQL, Redis, web server, workers, beat, a receiver) under a steady load. This page is written
by the run:

    make faults                # all of it, about half an hour
    make faults ONLY=F1,F9     # some rows again; the others stay

Measured with Python {python}, {cores} cores, leases of {lease} s (the default is 30).

*N*: deliveries. *lost*: acknowledged with 202, and not received or not ended. *duplicates*:
receipts answered with 2xx beyond the first of a delivery; *bound*: how many the fault allows (what
was in flight in a process that was killed). *ledger*: receipts that history does not know,
successes that nobody sent, states that contradict their attempts. *recovery*: seconds from the
fault's end until all that was published before had arrived.

Checked after every run besides: each receipt verifies with the reference library, none arrived at
another project's subscription, nothing is overdue, and memory, descriptors, threads and database
connections are back where they were.

"""


def page(rows: Sequence[Row], *, earlier: str = "") -> str:
    """Return the page; of an `earlier` one the rows that were not measured again are kept."""
    introduction = _INTRODUCTION.format(
        python=platform.python_version(),
        cores=os.cpu_count(),
        lease=LEASE_SECONDS,
    )
    today = datetime.now(UTC).strftime("%Y-%m-%d")
    return introduction + markdown(rows, when=today, earlier=earlier)
