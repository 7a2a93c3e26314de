"""Counts what asks the database for rows: not the frames of transactions and their limits."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection
from django.test.utils import CaptureQueriesContext

_FRAMES = ("BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT", "RELEASE", "SET ", "SHOW ")


class Queries:
    """What was asked since the context began."""

    def __init__(self, captured: CaptureQueriesContext) -> None:
        self._captured = captured

    def __len__(self) -> int:
        sql = (query["sql"] for query in self._captured.captured_queries)
        return sum(not statement.lstrip().startswith(_FRAMES) for statement in sql)


@contextmanager
def counted_queries() -> Iterator[Queries]:
    """`with counted_queries() as queries: …; assert len(queries) <= 6`."""
    with CaptureQueriesContext(connection) as captured:
        yield Queries(captured)
