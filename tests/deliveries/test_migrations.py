"""Migrations of tables that have millions of rows take the time that they need."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

pytestmark = [pytest.mark.postgres, pytest.mark.django_db(transaction=True)]

LONG = ("ALTER TABLE deliveries_idempotencykey", "CREATE INDEX")


def test_no_statement_that_rewrites_an_index_is_timed() -> None:
    leaves = MigrationExecutor(connection).loader.graph.leaf_nodes()
    timeouts: dict[str, str] = {}

    def note(execute: Any, sql: Any, *rest: Any) -> Any:
        statement = str(sql)
        if statement.startswith(LONG):
            timeouts[statement] = timeout()
        return execute(sql, *rest)

    try:
        with connection.execute_wrapper(note):
            migrate(("deliveries", "0002_workers_and_periodic_runs"))
            migrate(("deliveries", "0004_failed_of_subscription"))
    finally:
        migrate(*leaves)

    assert len(timeouts) >= 4, "both indexes, and the collation both ways"
    assert set(timeouts.values()) == {"0"}
    assert timeout() != "0"


def timeout() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SHOW statement_timeout")
        return str(cursor.fetchone()[0])


def migrate(*targets: tuple[str, str]) -> None:
    MigrationExecutor(connection).migrate(list(targets))
