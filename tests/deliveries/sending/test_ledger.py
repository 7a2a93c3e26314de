"""The ledger's claims, and whom they call."""

from __future__ import annotations

import threading
from uuid import UUID

import pytest

from deliveries import wake
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
