"""The faults, grouped by what they hit; `ALL` is the table, in the order of its ids."""

from __future__ import annotations

from tests.faults.rows import (
    crashes,
    embedded,
    machine,
    postgres,
    publishers,
    receivers,
    redis,
    workers,
)
from tests.faults.table import Fault

_GROUPS = (workers, redis, crashes, publishers, postgres, machine, receivers, embedded)

ALL: tuple[Fault, ...] = tuple(
    sorted(
        (fault for group in _GROUPS for fault in group.FAULTS),
        key=lambda fault: int(fault.id.removeprefix("F")),
    )
)
"""An id may stand for two: one on each database."""
