"""Plans of the engine's statements on a partition without statistics, as after each midnight."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from django.db import connection

from deliveries.publishing.ingest import NewEvent, publish_many
from deliveries.queue_walk import KnownFloor, queue_bounds
from deliveries.sending import claim
from tests.factories import make_project, make_subscription

pytestmark = [pytest.mark.postgres, pytest.mark.django_db]


def test_a_claim_follows_the_queues_index_and_sorts_nobodys_backlog() -> None:
    project = make_project()
    for _ in range(40):
        make_subscription(project=project)
    publish_many(project=project, events=[NewEvent("a.b", n) for n in range(250)])
    with connection.cursor() as cursor:
        question: dict[str, Any] = {
            **queue_bounds(cursor, KnownFloor()),
            "after": UUID(int=0),
            "busy": [],
            "limit": 500,
            "per_subscription": 50,
        }
        cursor.execute("EXPLAIN " + claim._PICK_POSTGRES, question)
        plan = "\n".join(line for (line,) in cursor.fetchall())
    assert "subscription_id_next_attempt" in plan
    assert "subscription_id_id_idx" not in plan
    assert "Incremental Sort" not in plan
