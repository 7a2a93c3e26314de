"""What a run of the benchmark is asked for; every case gets it."""

from __future__ import annotations

from dataclasses import dataclass

RUNS = 5
"""Of each measurement, after a warm-up; the median and the spread are shown."""

QUICK_RUNS = 2


@dataclass(frozen=True, slots=True)
class Options:
    """How much is measured."""

    is_quick: bool = False
    rows: int | None = None
    """Attempts in the case `history`; by default what the disk has room for."""

    @property
    def runs(self) -> int:
        """How often each measurement is taken."""
        return QUICK_RUNS if self.is_quick else RUNS

    def size(self, full: int, quick: int) -> int:
        """Return how many of something: fewer when in a hurry."""
        return quick if self.is_quick else full
