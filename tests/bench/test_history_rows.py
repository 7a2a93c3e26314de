"""Made history is what the product itself would have written."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from bench.cases.history import ATTEMPTS, how_many
from bench.history_rows import BYTES_PER_ATTEMPT, FAN_OUT, generate
from bench.options import Options
from bench.projects import make_projects, wanting
from bench.stack import running_stack

GB = 1024**3


@pytest.mark.postgres
def test_made_history_adds_up_and_is_dropped_by_day() -> None:
    with running_stack() as stack:
        owners = make_projects(stack.run, [wanting(stack.url("/"), count=10)] * 2)
        generate(stack, owners, days_ago=[32, 3], per_day=1_003)
        with stack.connect() as connection:
            counted = connection.execute(
                "SELECT count(*), count(DISTINCT subscription_id), count(DISTINCT event_id), "
                "count(*) FILTER (WHERE status = 'failed'), "
                "count(DISTINCT subscription_id) FILTER (WHERE status = 'failed') "
                "FROM deliveries_delivery"
            ).fetchone()
        assert counted == (2_000, 20, 2_000 // FAN_OUT, 20, 10)
        since = (datetime.now(UTC) - timedelta(days=7)).date()
        stack.run("manage", "audit", "--since", str(since))  # ends badly unless all adds up
        assert '"partitions": 3' in stack.run("bench.prune")


@pytest.mark.parametrize(
    ("options", "free_bytes", "expected"),
    [
        (Options(), 1_000 * GB, (ATTEMPTS, "")),
        (Options(rows=123), 1_000 * GB, (123, ", as asked for")),
        (Options(is_quick=True), 1_000 * GB, (200_000, ", a short run")),
        (
            Options(),
            21 * GB,
            (GB // BYTES_PER_ATTEMPT, ", as many as the disk has room for"),
        ),
    ],
)
def test_history_is_as_long_as_the_disk_allows(
    options: Options, free_bytes: int, expected: tuple[int, str]
) -> None:
    assert how_many(options, free_bytes=free_bytes) == expected
