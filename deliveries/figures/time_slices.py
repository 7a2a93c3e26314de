"""Cuts a stretch of time into buckets, and these into slices that are read in a spread order.

Used by `grouped_counts` and `stats`. Pure: it must not know what is counted.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Slice:
    """From `start` on and before `end`."""

    start: datetime
    end: datetime

    @property
    def length(self) -> timedelta:
        """How long it is."""
        return self.end - self.start


@dataclass(frozen=True, slots=True)
class Buckets:
    """A stretch of time in parts of one width, which begin at its multiples (in UTC).

    The first and the last may be cut short by the stretch.
    """

    whole: Slice
    width: timedelta

    @property
    def first_start(self) -> datetime:
        """Where the first bucket would begin if it were not cut."""
        return floor(self.whole.start, self.width)

    def __len__(self) -> int:
        is_empty = self.whole.start == self.whole.end
        return 0 if is_empty else -((self.first_start - self.whole.end) // self.width)

    def __getitem__(self, number: int) -> Slice:
        start = self.first_start + number * self.width
        return Slice(max(start, self.whole.start), min(start + self.width, self.whole.end))

    def number_of(self, moment: datetime) -> int:
        """Return the number of the bucket that a moment lies in, or lies next to."""
        return min(max(0, (moment - self.first_start) // self.width), len(self) - 1)


def floor(moment: datetime, width: timedelta) -> datetime:
    """Return the last multiple of `width` since 1970 that is not after `moment`."""
    return moment - (moment - _EPOCH) % width


def spread(buckets: Buckets, pieces: int) -> Iterator[tuple[int, Slice]]:
    """Yield the number of a bucket and a slice of it, until all are cut into `pieces` (2, 4, 8, …).

    Whenever one stops, what was yielded lies evenly over each bucket, and the buckets are as many
    slices ahead of each other as possible: one. The newest slice of each comes first.
    """
    for turn in _halving_order(pieces):
        for number in reversed(range(len(buckets))):
            bucket = buckets[number]
            step = bucket.length / pieces
            end = bucket.end - turn * step
            start = bucket.start if turn == pieces - 1 else bucket.end - (turn + 1) * step
            if start < end:
                yield number, Slice(start, end)


def _halving_order(pieces: int) -> Sequence[int]:
    """Return 0 to `pieces` - 1 in the order in which halving reaches them: 0, 4, 2, 6, 1, 5, …"""
    order = [0]
    step = pieces
    while step > 1:
        step //= 2
        order += [number + step for number in order]
    return order
