"""Keeps events, deliveries and attempts in one partition per day of id, on PostgreSQL.

Made ahead by any worker (`tasks.make_partitions`), dropped by `pruning`. There is no default
partition: it would forbid DETACH CONCURRENTLY and block attaching. On SQLite nothing here applies.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from django.db import connection, transaction
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations import CreateModel
from django.db.migrations.state import ProjectState
from django.utils import timezone

from subscriptions.ids import first_id_of

PARTITIONED_TABLES = ("deliveries_event", "deliveries_delivery", "deliveries_attempt")
DAYS_AHEAD = 14
"""Partitions made in advance: two weeks without any worker lose nothing."""

_MAKER_LOCK = 0x70617274
"""Advisory lock: one process makes partitions at a time ("part")."""

_DROPPER_LOCK = 0x64726F70
"""Advisory lock: one process drops partitions at a time ("drop")."""


@dataclass(frozen=True, slots=True, order=True)
class Partition:
    """One day of one table."""

    day: date
    table: str

    @property
    def name(self) -> str:
        """The partition's own table name, such as `deliveries_event_p20261121`."""
        return f"{self.table}_p{self.day:%Y%m%d}"

    @property
    def bounds(self) -> tuple[str, str]:
        """First id of the day, and first id of the next."""
        start = datetime(self.day.year, self.day.month, self.day.day, tzinfo=UTC)
        return str(first_id_of(start)), str(first_id_of(start + timedelta(days=1)))


def is_partitioned() -> bool:
    """Say whether the connected database partitions history."""
    return connection.vendor == "postgresql"


def make_partitions(*, first_day: date | None = None, days_ahead: int = DAYS_AHEAD) -> int:
    """Make the missing partitions from `first_day` (default: yesterday) on; return how many.

    Safe to call from any number of processes. A table is attached, not created in place: that
    takes a lock which publishing and sending do not wait for.
    """
    if not is_partitioned():
        return 0
    today = timezone.now().date()
    day = first_day or today - timedelta(days=1)
    days = [day + timedelta(days=n) for n in range((today - day).days + days_ahead + 1)]
    wanted = {Partition(day, table) for day in days for table in PARTITIONED_TABLES}
    missing = sorted(wanted - set(existing_partitions()))
    if not missing:
        return 0
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_MAKER_LOCK])
        missing = sorted(wanted - set(existing_partitions()))
        for partition in missing:
            _attach_new(cursor, partition)
    return len(missing)


def _attach_new(cursor: Any, partition: Partition) -> None:
    start, end = partition.bounds
    cursor.execute(f"CREATE TABLE {partition.name} (LIKE {partition.table} INCLUDING ALL)")
    cursor.execute(
        f"ALTER TABLE {partition.table} ATTACH PARTITION {partition.name} "
        f"FOR VALUES FROM ('{start}') TO ('{end}')"
    )


def drop(partition: Partition) -> bool:
    """Detach and drop a partition without stopping anybody; return whether this call did it.

    Must not run in a transaction. A detachment that was interrupted earlier is finished first.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", [_DROPPER_LOCK])
        if cursor.fetchone() != (True,):
            return False  # another process is at it
        try:
            return _detach_and_drop(cursor, partition)
        finally:
            cursor.execute("SELECT pg_advisory_unlock(%s)", [_DROPPER_LOCK])


def _detach_and_drop(cursor: Any, partition: Partition) -> bool:
    cursor.execute(
        "SELECT inhdetachpending FROM pg_inherits WHERE inhrelid = to_regclass(%s)",
        [partition.name],
    )
    attached = cursor.fetchone()
    if attached is not None:
        how = "FINALIZE" if attached[0] else "CONCURRENTLY"
        cursor.execute(f"ALTER TABLE {partition.table} DETACH PARTITION {partition.name} {how}")
    cursor.execute(f"DROP TABLE IF EXISTS {partition.name}")
    return True


def existing_partitions() -> Iterator[Partition]:
    """Yield the partitions that there are, in no order: by name, so that one whose removal was
    interrupted after it was detached is among them."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT relname FROM pg_class WHERE relkind = 'r' AND relname ~ %s",
            [f"^({'|'.join(PARTITIONED_TABLES)})_p[0-9]{{8}}$"],
        )
        for (name,) in cursor.fetchall():
            table, _, digits = name.rpartition("_p")
            yield Partition(date(int(digits[:4]), int(digits[4:6]), int(digits[6:])), table)


def days_covered_ahead() -> int:
    """Return for how many days from tomorrow on every table has its partition (0: act now)."""
    if not is_partitioned():
        return DAYS_AHEAD
    existing = set(existing_partitions())
    today = timezone.now().date()
    covered = 0
    while all(
        Partition(today + timedelta(days=covered + 1), table) in existing
        for table in PARTITIONED_TABLES
    ):
        covered += 1
    return covered


class CreatePartitionedModel(CreateModel):
    """`CreateModel` whose table is partitioned by range of `id` on PostgreSQL, plain elsewhere."""

    def database_forwards(
        self,
        app_label: str,
        schema_editor: BaseDatabaseSchemaEditor,
        from_state: ProjectState,
        to_state: ProjectState,
    ) -> None:
        """Create the table with Django's own statement plus `PARTITION BY`."""
        if schema_editor.connection.vendor != "postgresql":
            super().database_forwards(app_label, schema_editor, from_state, to_state)
            return
        plain = schema_editor.sql_create_table
        schema_editor.sql_create_table = plain + " PARTITION BY RANGE (id)"
        try:
            super().database_forwards(app_label, schema_editor, from_state, to_state)
        finally:
            schema_editor.sql_create_table = plain
