"""Cutting time into buckets and slices: nothing is left out, nothing comes twice."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deliveries.figures.time_slices import Buckets, Slice, spread

DAY = timedelta(days=1)
NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)

moments = st.integers(0, 4_000_000_000).map(lambda second: datetime.fromtimestamp(second, UTC))
lengths = st.timedeltas(timedelta(0), timedelta(days=40))
widths = st.sampled_from([timedelta(hours=1), DAY])


@given(moments, lengths, widths)
def test_buckets_cover_the_whole_without_gap_or_overlap(
    start: datetime, length: timedelta, width: timedelta
) -> None:
    buckets = Buckets(Slice(start, start + length), width)
    parts = [buckets[number] for number in range(len(buckets))]

    assert sum((part.length for part in parts), timedelta()) == length
    assert all(part.length > timedelta() for part in parts)
    assert [part.start for part in parts[1:]] == [part.end for part in parts[:-1]]
    assert all(buckets.number_of(part.start) == number for number, part in enumerate(parts))


def test_buckets_begin_at_midnight_in_utc() -> None:
    buckets = Buckets(Slice(NOON - 2 * DAY, NOON), DAY)

    assert [buckets[number].start.hour for number in range(3)] == [12, 0, 0]
    assert buckets[2] == Slice(NOON.replace(hour=0), NOON)


def test_what_lies_next_to_the_whole_belongs_to_the_bucket_at_that_end() -> None:
    buckets = Buckets(Slice(NOON - 2 * DAY, NOON), DAY)

    assert buckets.number_of(NOON - 9 * DAY) == 0
    assert buckets.number_of(NOON + 9 * DAY) == 2


@given(moments, st.integers(1, 4), st.sampled_from([1, 2, 8, 64]), st.integers(0, 86_399))
def test_slices_cover_every_bucket_once(
    start: datetime, days: int, pieces: int, seconds: int
) -> None:
    length = days * DAY + timedelta(seconds=seconds)
    buckets = Buckets(Slice(start, start + length), DAY)
    slices: dict[int, list[Slice]] = {number: [] for number in range(len(buckets))}
    for number, part in spread(buckets, pieces):
        slices[number].append(part)

    for number, parts in slices.items():
        parts.sort(key=lambda part: part.start)
        assert parts[0].start == buckets[number].start
        assert parts[-1].end == buckets[number].end
        assert [part.start for part in parts[1:]] == [part.end for part in parts[:-1]]


def test_the_newest_slice_of_each_bucket_comes_first_and_then_halves() -> None:
    buckets = Buckets(Slice(NOON.replace(hour=0) - DAY, NOON.replace(hour=0) + DAY), DAY)

    order = list(spread(buckets, 4))

    assert [(number, part.end.hour) for number, part in islice(order, 4)] == [
        (1, 0),
        (0, 0),
        (1, 12),
        (0, 12),
    ]
    assert len(order) == 8


def test_nothing_has_no_buckets() -> None:
    assert len(Buckets(Slice(NOON, NOON), DAY)) == 0
    with pytest.raises(StopIteration):
        next(spread(Buckets(Slice(NOON, NOON), DAY), 2))
