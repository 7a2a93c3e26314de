"""The ledger's claims, and whom they call."""

from __future__ import annotations

import threading
from unittest.mock import Mock
from uuid import UUID

import pytest

from deliveries import queue_walk, wake
from deliveries.publishing.ingest import NewEvent, publish_many
from deliveries.sending.ledger import Ledger
from tests.factories import make_subscription


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("limit", "calls_for_help"), [(2, True), (2, False), (10, True)])
def test_a_full_claim_wakes_another_worker_where_it_shall(
    monkeypatch: pytest.MonkeyPatch, limit: int, *, calls_for_help: bool
) -> None:
    callers: list[str] = []
    monkeypatch.setattr(
        wake, "wake_a_worker", lambda: callers.append(threading.current_thread().name)
    )
    project = make_subscription().project
    publish_many(project=project, events=[NewEvent("a.b", number) for number in range(3)])
    ledger = Ledger(on_done=lambda: None)
    try:
        claiming = ledger.claim(
            limit=limit,
            per_subscription=10,
            after=UUID(int=0),
            busy=(),
            calls_for_help=calls_for_help,
        )
        claimed = claiming.result(20).claim.deliveries
    finally:
        ledger.close()
    assert len(claimed) == min(limit, 3)
    has_called = any(name.startswith("ledger") for name in callers)
    assert has_called is (calls_for_help and limit == 2)


@pytest.mark.postgres  # SQLite has no days to look through
@pytest.mark.django_db(transaction=True)
def test_full_claims_look_for_older_days_once(monkeypatch: pytest.MonkeyPatch) -> None:
    look = Mock(wraps=queue_walk._oldest_unfinished_day)
    monkeypatch.setattr(queue_walk, "_oldest_unfinished_day", look)
    monkeypatch.setattr(queue_walk.KnownFloor, "GOOD_SECONDS", 60.0)
    publish_many(
        project=make_subscription().project, events=[NewEvent("a.b", number) for number in range(4)]
    )
    ledger = Ledger(on_done=lambda: None)
    try:
        for _ in range(2):
            claiming = ledger.claim(
                limit=2, per_subscription=10, after=UUID(int=0), busy=(), calls_for_help=False
            )
            assert claiming.result(20).claim.is_full
    finally:
        ledger.close()
    assert look.call_count == 1
