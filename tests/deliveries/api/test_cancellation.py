"""Cancelling a delivery by hand, over REST: only what waits, and never what a worker has taken."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from django.db import connection

from deliveries.lifecycle import cancellation
from deliveries.models import Delivery, Event
from deliveries.publishing.ingest import publish_test
from deliveries.sending.claim import claim_due
from subscriptions.models import AuditEntry, Project
from tests.api_client import ApiClient, errors_of
from tests.deliveries.recoveries.samples import end, publish_some
from tests.factories import make_project, make_subscription

pytestmark = pytest.mark.django_db

Status = Delivery.Status


@pytest.fixture
def project() -> Project:
    return make_project()


@pytest.fixture
def client(project: Project) -> ApiClient:
    return ApiClient(project)


@pytest.fixture
def delivery(project: Project) -> Delivery:
    make_subscription(project=project)
    return publish_some(project)[0]


def path_of(delivery: Delivery, verb: str = "cancel") -> str:
    return f"deliveries/dlv_{delivery.id.hex}/{verb}"


def test_a_pending_delivery_is_cancelled_and_it_is_written_down(
    client: ApiClient, delivery: Delivery
) -> None:
    response = client.post(path_of(delivery))

    assert response.status_code == 200, response.content
    answer = response.json()
    assert (answer["status"], answer["end_reason"]) == ("cancelled", "by_hand")
    assert answer["finished_at"].endswith("Z")
    assert answer["next_attempt_at"] is None
    assert client.get(f"deliveries/{answer['id']}").json()["status"] == "cancelled"
    entry = AuditEntry.objects.get(action="delivery.cancelled")
    assert (entry.target_id, entry.actor_kind) == (answer["id"], "api_key")
    assert not claim_due(limit=10, per_subscription=10, lease_seconds=30).deliveries
    assert client.post(path_of(delivery, "redeliver")).status_code == 202


def test_a_test_can_be_cancelled_too(client: ApiClient, project: Project) -> None:
    (identifier,) = publish_test(make_subscription(project=project)).delivery_ids
    delivery = Delivery.objects.get(id=identifier)

    assert client.post(path_of(delivery), {}).status_code == 200


@pytest.mark.parametrize("status", sorted(set(Status.values) - {"pending"}))
def test_what_is_being_sent_or_has_ended_is_409(
    client: ApiClient, delivery: Delivery, status: str
) -> None:
    if status == Status.SENDING:
        Delivery.objects.update(status=status)
    else:
        end(delivery, status=status, end_reason="")

    response = client.post(path_of(delivery))

    errors_of(response, 409)
    word = "being sent" if status == Status.SENDING else status
    assert word in response.json()["detail"]
    delivery.refresh_from_db()
    assert (delivery.status, delivery.end_reason) == (status, "")
    assert not AuditEntry.objects.filter(action="delivery.cancelled").exists()


def test_cancelling_takes_no_members(client: ApiClient, delivery: Delivery) -> None:
    assert errors_of(client.post(path_of(delivery), {"at": "noon"}), 400) == {"at": "unknown"}
    delivery.refresh_from_db()
    assert delivery.status == Status.PENDING


@pytest.mark.parametrize("public_id", ["dlv_" + "0" * 32, "x", "sub_" + "0" * 32, "%00", None])
def test_an_id_that_is_none_of_the_projects_is_404(
    client: ApiClient, public_id: str | None
) -> None:
    foreign = make_subscription().project
    (delivery,) = publish_some(foreign)

    errors_of(client.post(f"deliveries/{public_id or f'dlv_{delivery.id.hex}'}/cancel"), 404)
    delivery.refresh_from_db()
    assert delivery.status == Status.PENDING


def test_cancelling_wants_its_scope(project: Project, delivery: Delivery) -> None:
    errors_of(ApiClient(project, ["read", "publish"]).post(path_of(delivery)), 403)


def test_what_has_no_event_any_more_is_not_redelivered(
    client: ApiClient, delivery: Delivery
) -> None:
    end(delivery)
    Event.objects.all().delete()

    response = client.post(path_of(delivery, "redeliver"))

    errors_of(response, 409)
    assert "no longer kept" in response.json()["detail"]


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_of_a_cancellation_and_a_claim_at_once_one_wins() -> None:
    project = make_project()
    make_subscription(project=project)
    rows = publish_some(project, ["a.b"] * 200)
    claimed: list[Any] = []
    barrier = threading.Barrier(2)

    def claim() -> None:
        barrier.wait()
        while batch := claim_due(limit=5, per_subscription=5, lease_seconds=30).deliveries:
            claimed.extend(batch)
        connection.close()

    claiming = threading.Thread(target=claim)
    claiming.start()
    barrier.wait()
    cancelled = {row.id for row in reversed(rows) if cancellation.cancel(row)}
    claiming.join(30)

    sending = {delivery.id for delivery in claimed}
    assert cancelled
    assert sending
    assert not cancelled & sending
    assert cancelled | sending == {row.id for row in rows}
    assert Delivery.objects.filter(status=Status.CANCELLED).count() == len(cancelled)
