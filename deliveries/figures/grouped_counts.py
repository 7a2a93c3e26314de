"""Counts the rows of one owner in groups, at a bounded cost: exactly while few, else by a sample.

Called by `stats` and `filter_preview`. Ids are sortable by time: a stretch of time is a range of an
index. Each statement reads a few thousand rows and is a transaction of its own.
"""

from __future__ import annotations

import time
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from django.db import connection, models

from deliveries.figures.time_slices import Buckets, Slice, spread
from subscriptions.ids import first_id_of

EXACT_AT_MOST: Final = 20_000
"""Rows that are read in one statement, some 20 ms, and counted exactly."""

_ROUND_ROWS: Final = 50_000
"""Read of one slice of every bucket together."""

_SLICE_ROWS: Final = 2000
"""Read of a slice at most; what is beyond is counted in the index, and taken to be like these."""

_SLICES: Final = 512
"""Of all buckets together, about."""

_COUNTED_AT_MOST: Final = 1_000_000
"""Of a slice in the index, which takes some 0.1 s: half an hour of nothing but this owner's."""

_NIL: Final = UUID(int=0)

Key = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Rows:
    """Which rows are counted: `owner` is a column and its value, `columns` make a group's key."""

    model: type[models.Model]
    owner: tuple[str, Any]
    columns: tuple[str, ...]
    added_up: str | None = None
    """A column of numbers."""


@dataclass(slots=True)
class Group:
    """What was found of one key in one bucket; an estimate unless `GroupedCounts` is exact."""

    count: float = 0.0
    added_up: float = 0.0
    latest: UUID = _NIL
    """The id of the newest row that was read."""

    def add(self, other: Group, *, times: float = 1.0) -> None:
        """Add what was found elsewhere, which stands for so many times itself."""
        self.count += other.count * times
        self.added_up += other.added_up * times
        self.latest = max(self.latest, other.latest)


@dataclass(slots=True)
class GroupedCounts:
    """What was found, by bucket and key."""

    groups: dict[tuple[int, Key], Group] = field(default_factory=dict)
    is_sampled: bool = False
    """There was more than was read: counts are estimates."""
    unread: frozenset[int] = frozenset()
    """Buckets of which time left nothing to be read."""
    scale: float = 1.0
    """What was found in all buckets stands for so many times itself."""


def count_groups(rows: Rows, buckets: Buckets, *, budget_seconds: float) -> GroupedCounts:
    """Count in at most about `budget_seconds`, however many rows there are."""
    stop_at = time.monotonic() + budget_seconds
    if not len(buckets):
        return GroupedCounts()
    found = _read(rows, buckets.whole, buckets, limit=EXACT_AT_MOST + 1)
    if sum(group.count for group in found.values()) <= EXACT_AT_MOST:
        return GroupedCounts(found)
    return _sample(rows, buckets, stop_at)


def _sample(rows: Rows, buckets: Buckets, stop_at: float) -> GroupedCounts:
    """Read slice after slice, and take what was not read of a bucket to be like what was."""
    slices: dict[int, list[_Sliced]] = defaultdict(list)
    limit = min(_SLICE_ROWS, _ROUND_ROWS // len(buckets))
    for number, part in spread(buckets, _pieces(buckets)):
        if time.monotonic() > stop_at:
            break
        slices[number].append(_read_slice(rows, part, buckets, limit=limit))
    counts = GroupedCounts(unread=frozenset(range(len(buckets))).difference(slices))
    for number, read in slices.items():
        seen: timedelta = sum((sliced.part.length for sliced in read), timedelta())
        times = max(1.0, buckets[number].length / seen)
        for sliced in read:
            counts.is_sampled |= times > 1 + 1e-9 or sliced.times > 1
            for key, group in sliced.groups.items():
                total = counts.groups.setdefault((number, key), Group())
                total.add(group, times=times * sliced.times)
    counts.is_sampled |= bool(counts.unread)
    counts.scale = len(buckets) / max(1, len(slices))
    return counts


def _pieces(buckets: Buckets) -> int:
    """Return into how many slices each bucket is cut: a power of two."""
    return 1 << max(0, (_SLICES // len(buckets)).bit_length() - 1)


@dataclass(frozen=True, slots=True)
class _Sliced:
    part: Slice
    groups: dict[Key, Group]
    times: float
    """What was read stands for so many times itself."""


def _read_slice(rows: Rows, part: Slice, buckets: Buckets, *, limit: int) -> _Sliced:
    groups: dict[Key, Group] = {}
    for (_, key), group in _read(rows, part, buckets, limit=limit).items():
        groups.setdefault(key, Group()).add(group)
    read = sum(group.count for group in groups.values())
    is_cut = read >= limit
    return _Sliced(part, groups, times=_count(rows, part) / read if is_cut else 1.0)


# ---- Statements ---------------------------------------------------------------------------------

# The newest come first, so that a latest row is the latest there is. PostgreSQL before 18 has no
# max() of UUIDs; as text they sort alike.
_READ = """
SELECT {bucket}, {columns}, count(*), {added_up}, max(CAST(id AS text))
FROM (SELECT * FROM {table} WHERE {owner} = %(owner)s AND id >= %(start)s AND id < %(end)s
      ORDER BY id DESC LIMIT %(limit)s) AS newest
GROUP BY 1, {columns}
"""

_COUNT = """
SELECT count(*) FROM (SELECT 1 FROM {table}
    WHERE {owner} = %(owner)s AND id >= %(start)s AND id < %(end)s LIMIT %(limit)s) AS counted
"""

_BUCKET = {
    "postgresql": "floor((extract(epoch FROM created_at) - %(first)s) / %(width)s)::int",
    "sqlite": "(CAST(strftime('%%s', created_at) AS integer) - %(first)s) / %(width)s",
}


def _bucket_parameters(buckets: Buckets) -> dict[str, int]:
    first = int(buckets.first_start.timestamp())
    return {"first": first, "width": int(buckets.width.total_seconds())}


def _read(rows: Rows, part: Slice, buckets: Buckets, *, limit: int) -> dict[tuple[int, Key], Group]:
    """Count the newest rows of a slice, at most so many."""
    statement = _READ.format(
        bucket=_BUCKET[connection.vendor],
        columns=", ".join(rows.columns),
        added_up=f"sum({rows.added_up})" if rows.added_up else "0",
        **_names(rows),
    )
    parameters = {**_parameters(rows, part, limit), **_bucket_parameters(buckets)}
    groups: dict[tuple[int, Key], Group] = {}
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        for bucket, *key, count, added_up, latest in cursor.fetchall():
            # An id is made a moment before its row's time is taken.
            number = min(max(bucket, 0), len(buckets) - 1)
            group = groups.setdefault((number, tuple(key)), Group())
            group.add(Group(count, float(added_up), UUID(latest)))
    return groups


def _count(rows: Rows, part: Slice) -> int:
    with connection.cursor() as cursor:
        cursor.execute(_COUNT.format(**_names(rows)), _parameters(rows, part, _COUNTED_AT_MOST))
        return int(cursor.fetchone()[0])


def _names(rows: Rows) -> dict[str, str]:
    return {"table": rows.model._meta.db_table, "owner": rows.owner[0]}


def _parameters(rows: Rows, part: Slice, limit: int) -> dict[str, Any]:
    """Return the ids and the owner as the database has them, and the limit."""
    key = _column(rows.model, "id")
    owner = _column(rows.model, rows.owner[0])
    return {
        "start": key.get_db_prep_value(first_id_of(part.start), connection),
        "end": key.get_db_prep_value(first_id_of(part.end), connection),
        "owner": owner.get_db_prep_value(rows.owner[1], connection),
        "limit": limit,
    }


def _column(model: type[models.Model], name: str) -> models.Field[Any, Any]:
    return next(field for field in model._meta.fields if field.column == name)
