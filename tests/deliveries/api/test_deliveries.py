"""Deliveries over REST: lists with filters, and sending again."""

from __future__ import annotations

from datetime import timedelta, timezone
from typing import Any

import pytest
from django.db.models import F
from django.utils.timezone import now

from deliveries.models import Delivery, Event
from deliveries.publishing.ingest import publish, publish_test
from subscriptions.models import Project, Subscription
from tests.api_client import ApiClient, errors_of
from tests.factories import make_project, make_subscription

pytestmark = pytest.mark.django_db

Status = Delivery.Status


@pytest.fixture
def project() -> Project:
    return make_project()


@pytest.fixture
def client_of_project(project: Project) -> ApiClient:
    return ApiClient(project)


def publish_one(project: Project, event_type: str = "Task.update") -> Delivery:
    published = publish(project=project, event_type=event_type, data={})
    return Delivery.objects.get(id=published.delivery_ids[0])


def end(delivery: Delivery, status: str = Status.FAILED, **columns: Any) -> None:
    Delivery.objects.filter(id=delivery.id).update(
        status=status, next_attempt_at=None, finished_at=now(), **columns
    )
    delivery.refresh_from_db()


def listed(client: ApiClient, **filters: Any) -> list[str]:
    response = client.get("deliveries", filters)
    assert response.status_code == 200, response.content
    return [row["id"] for row in response.json()["results"]]


def public(*deliveries: Delivery) -> list[str]:
    return [f"dlv_{delivery.id.hex}" for delivery in deliveries]


# ---- Lists ----------------------------------------------------------------------------------


def test_a_delivery_is_listed_with_its_state(
    client_of_project: ApiClient, project: Project
) -> None:
    subscription = make_subscription(project=project)
    delivery = publish_one(project)
    end(delivery, attempt_count=1, last_outcome="http_error", last_status_code=500)

    (row,) = client_of_project.get("deliveries").json()["results"]

    assert row.pop("created_at").endswith("Z")
    assert row.pop("finished_at").endswith("Z")
    assert row == {
        "id": f"dlv_{delivery.id.hex}",
        "event": f"evt_{delivery.event_id.hex}",
        "event_type": "Task.update",
        "subscription": f"sub_{subscription.id.hex}",
        "test": False,
        "status": "failed",
        "end_reason": None,
        "attempt_count": 1,
        "last_outcome": "http_error",
        "last_status_code": 500,
        "next_attempt_at": None,
        "redelivered_at": None,
    }


def test_only_a_pending_delivery_has_a_next_attempt(
    client_of_project: ApiClient, project: Project
) -> None:
    make_subscription(project=project)
    publish_one(project)
    (pending,) = client_of_project.get("deliveries").json()["results"]
    Delivery.objects.update(status=Status.SENDING)  # until its lease ends
    (sending,) = client_of_project.get("deliveries").json()["results"]

    assert pending["next_attempt_at"].endswith("Z")
    assert sending["next_attempt_at"] is None


def test_the_list_is_the_projects_newest_first_in_pages(
    client_of_project: ApiClient, project: Project
) -> None:
    make_subscription(project=project)
    deliveries = [publish_one(project) for _ in range(3)][::-1]
    publish_one(make_subscription().project)

    first = client_of_project.get("deliveries", {"limit": 2, "status": "pending"}).json()
    second = client_of_project.follow(first["next"]).json()

    assert [row["id"] for row in first["results"]] == public(*deliveries[:2])
    assert [row["id"] for row in second["results"]] == public(deliveries[2])
    assert second["next"] is None


def test_filters_are_combined(client_of_project: ApiClient, project: Project) -> None:
    subscription = make_subscription(project=project, event_types=["Task.*"])
    other = make_subscription(project=project, event_types=["Note.*"])
    task, failed_task = publish_one(project), publish_one(project)
    note = publish_one(project, "Note.update")
    end(failed_task)
    end(note)
    sub = f"sub_{subscription.id.hex}"

    assert listed(client_of_project, subscription=sub) == public(failed_task, task)
    assert listed(client_of_project, subscription=f"sub_{other.id.hex}") == public(note)
    assert listed(client_of_project, status="failed") == public(note, failed_task)
    assert listed(client_of_project, event_type="Task.update") == public(failed_task, task)
    assert listed(client_of_project, event_type="Task") == []
    assert listed(client_of_project, subscription=sub, status="failed") == public(failed_task)
    assert listed(client_of_project, subscription=sub, event_type="Note.update") == []


def test_how_the_last_attempt_ended_can_be_asked_for(
    client_of_project: ApiClient, project: Project
) -> None:
    make_subscription(project=project)
    ok, created, unavailable, missing, late = (publish_one(project) for _ in range(5))
    end(ok, Status.SUCCEEDED, last_outcome="succeeded", last_status_code=200)
    end(created, Status.SUCCEEDED, last_outcome="succeeded", last_status_code=201)
    end(unavailable, last_outcome="http_error", last_status_code=503)
    end(missing, last_outcome="http_error", last_status_code=404)
    end(late, last_outcome="timeout")
    publish_one(project)
    client = client_of_project

    assert listed(client, outcome="succeeded") == public(created, ok)
    assert listed(client, outcome="http_error") == public(missing, unavailable)
    assert listed(client, outcome="timeout", status="failed") == public(late)
    assert listed(client, status_class="2xx") == public(created, ok)
    assert listed(client, status_class="3xx") == []
    assert listed(client, status_class="4xx") == public(missing)
    assert listed(client, status_class="5xx", outcome="http_error") == public(unavailable)
    assert listed(client, status_code=201) == public(created)
    assert listed(client, status_code=503) == public(unavailable)
    assert listed(client, status_code=503, status_class="4xx") == []


def test_deliveries_are_found_by_their_event(
    client_of_project: ApiClient, project: Project
) -> None:
    make_subscription(project=project)
    other = make_subscription(project=project)
    first, *_ = publish_both(project, None)
    publish_both(project, "a")
    event = f"evt_{first.event_id.hex}"
    both = public(*Delivery.objects.filter(event=first.event_id).order_by("-id"))

    assert listed(client_of_project, event=event) == both
    assert listed(client_of_project, search=event) == both
    assert len(listed(client_of_project, event=event, subscription=f"sub_{other.id.hex}")) == 1
    assert listed(client_of_project, event="evt_" + "0" * 32) == []
    foreign = publish_one(make_subscription().project)
    assert listed(client_of_project, event=f"evt_{foreign.event_id.hex}") == []
    assert listed(client_of_project, search=f"evt_{foreign.event_id.hex}") == []


def publish_both(project: Project, key: str | None) -> list[Delivery]:
    published = publish(project=project, event_type="a.b", data={}, idempotency_key=key)
    return list(Delivery.objects.filter(event_id=published.id))


def test_deliveries_are_found_by_how_an_idempotency_key_begins(
    client_of_project: ApiClient, project: Project
) -> None:
    make_subscription(project=project)
    keys = ["order-1", "order-12", "order_1", "Order-1", "ordér-1", "order-%", "order 1", "ord"]
    of_key = {key: publish_both(project, key)[0] for key in keys}
    other = make_subscription().project
    publish_both(other, "order-1")

    for text in ["order-1", "order-", "order", "ord", "o", "ordé", "order-%", "%", "order_", "O"]:
        expected = [of_key[key] for key in keys if key.startswith(text)]
        assert listed(client_of_project, search=text) == public(*expected[::-1]), text
    end(of_key["order-1"])
    assert listed(client_of_project, search="order-1", status="failed") == public(of_key["order-1"])


def test_a_search_that_fits_too_many_events_is_400(
    client_of_project: ApiClient, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deliveries.history.filters.EVENTS_SEARCHED", 2)
    make_subscription(project=project)
    for number in range(3):
        publish_both(project, f"order-{number}")

    errors = errors_of(client_of_project.get("deliveries", {"search": "order"}), 400)

    assert errors == {"search": "too_many"}
    assert len(listed(client_of_project, search="order-2")) == 1


@pytest.mark.parametrize("status", Status.values)
def test_every_status_can_be_asked_for(client_of_project: ApiClient, status: str) -> None:
    assert listed(client_of_project, status=status) == []


def test_since_is_included_and_until_is_not(client_of_project: ApiClient, project: Project) -> None:
    make_subscription(project=project)
    old, middle, new = (publish_one(project) for _ in range(3))
    hour = timedelta(hours=1)
    for delivery, ago in ((old, 2 * hour), (middle, hour)):
        Delivery.objects.filter(id=delivery.id).update(created_at=F("created_at") - ago)
        delivery.refresh_from_db()
    at = {delivery: delivery.created_at.isoformat() for delivery in (old, middle, new)}

    assert listed(client_of_project, since=at[middle]) == public(new, middle)
    assert listed(client_of_project, until=at[middle]) == public(old)
    assert listed(client_of_project, since=at[old], until=at[new]) == public(middle, old)
    assert listed(client_of_project, since=at[old], until=at[old]) == []
    in_japan = middle.created_at.astimezone(timezone(9 * hour)).isoformat()
    assert listed(client_of_project, since=in_japan) == public(new, middle)


@pytest.mark.parametrize("moment", ["1970-01-01T00:00:00Z", "9998-12-30T23:59:59.999999Z"])
def test_the_ends_of_time_can_be_asked_for(
    client_of_project: ApiClient, project: Project, moment: str
) -> None:
    make_subscription(project=project)
    publish_one(project)

    found = (
        len(listed(client_of_project, since=moment)),
        len(listed(client_of_project, until=moment)),
    )

    assert found == ((1, 0) if moment.startswith("1970") else (0, 1))


@pytest.mark.parametrize(
    ("filters", "errors"),
    [
        ({"status": "done"}, {"status": "invalid_choice"}),
        ({"status": ""}, {"status": "invalid_choice"}),
        ({"status": "FAILED"}, {"status": "invalid_choice"}),
        ({"event_type": "a b"}, {"event_type": "invalid"}),
        ({"event_type": "Task.*"}, {"event_type": "invalid"}),
        ({"event_type": "a\0"}, {"event_type": "invalid"}),
        ({"event_type": ""}, {"event_type": "blank"}),
        ({"subscription": "x"}, {"subscription": "invalid"}),
        ({"subscription": "dlv_" + "0" * 32}, {"subscription": "invalid"}),
        ({"subscription": ""}, {"subscription": "invalid"}),
        ({"since": "yesterday"}, {"since": "invalid"}),
        ({"since": "2026-01-31"}, {"since": "invalid"}),
        ({"since": "2026-01-31T12:00:00"}, {"since": "invalid"}),
        ({"since": "2026-02-30T12:00:00Z"}, {"since": "invalid"}),
        ({"since": "1769860800"}, {"since": "invalid"}),
        ({"since": "\0"}, {"since": "invalid"}),
        ({"since": ""}, {"since": "invalid"}),
        ({"since": "0001-01-01T00:00:00+14:00"}, {"since": "out_of_range"}),
        ({"since": "1969-12-31T23:59:59Z"}, {"since": "out_of_range"}),
        ({"until": "9999-12-31T23:59:59-14:00"}, {"until": "out_of_range"}),
        (
            {"since": "2026-01-02T00:00:00Z", "until": "2026-01-01T00:00:00Z"},
            {"until": "reversed"},
        ),
        (
            {"since": "2026-01-01T00:00:00-02:00", "until": "2026-01-01T01:00:00Z"},
            {"until": "reversed"},
        ),
        ({"outcome": "late"}, {"outcome": "invalid_choice"}),
        ({"outcome": ""}, {"outcome": "invalid_choice"}),
        ({"status_class": "5XX"}, {"status_class": "invalid_choice"}),
        ({"status_class": "1xx"}, {"status_class": "invalid_choice"}),
        ({"status_class": "500"}, {"status_class": "invalid_choice"}),
        ({"status_code": "5xx"}, {"status_code": "invalid"}),
        ({"status_code": "99"}, {"status_code": "min_value"}),
        ({"status_code": "600"}, {"status_code": "max_value"}),
        ({"status_code": "9" * 1001}, {"status_code": "max_string_length"}),
        ({"event": "x"}, {"event": "invalid"}),
        ({"event": "dlv_" + "0" * 32}, {"event": "invalid"}),
        ({"search": ""}, {"search": "blank"}),
        ({"search": "x" * 256}, {"search": "max_length"}),
        ({"search": "a\0"}, {"search": "null_characters_not_allowed"}),
        ({"results": "timeout"}, {"results": "unknown"}),
        ({"Status": "failed"}, {"Status": "unknown"}),
        (
            {"status": "x", "since": "x", "y": 1},
            {"status": "invalid_choice", "since": "invalid", "y": "unknown"},
        ),
    ],
)
def test_a_filter_that_means_nothing_is_400(
    client_of_project: ApiClient, filters: dict[str, Any], errors: dict[str, str]
) -> None:
    assert errors_of(client_of_project.get("deliveries", filters), 400) == errors


def test_a_filter_by_an_unknown_subscription_is_404(client_of_project: ApiClient) -> None:
    response = client_of_project.get("deliveries", {"subscription": "sub_" + "0" * 32})

    assert errors_of(response, 404) == {"subscription": "not_found"}


# ---- Sending again --------------------------------------------------------------------------


@pytest.mark.parametrize("status", [Status.SUCCEEDED, Status.FAILED, Status.CANCELLED])
def test_a_finished_delivery_is_sent_again(
    client_of_project: ApiClient, project: Project, status: str
) -> None:
    make_subscription(project=project)
    delivery = publish_one(project)
    end(delivery, status, end_reason="by_hand", attempt_count=3, tries_used=3)

    response = client_of_project.post(f"deliveries/dlv_{delivery.id.hex}/redeliver")

    assert response.status_code == 202
    answer = response.json()
    assert answer["id"] == f"dlv_{delivery.id.hex}"
    assert answer["status"] == "pending"
    assert answer["end_reason"] is answer["finished_at"] is None
    assert answer["redelivered_at"] is not None
    assert answer["attempt_count"] == 3
    delivery.refresh_from_db()
    assert delivery.status == Status.PENDING
    assert delivery.next_attempt_at is not None
    assert Event.objects.count() == Delivery.objects.count() == 1


@pytest.mark.parametrize("status", [Status.PENDING, Status.SENDING])
def test_what_is_under_way_is_not_sent_again(
    client_of_project: ApiClient, project: Project, status: str
) -> None:
    make_subscription(project=project)
    delivery = publish_one(project)
    Delivery.objects.update(status=status)

    response = client_of_project.post(f"deliveries/dlv_{delivery.id.hex}/redeliver")

    errors_of(response, 409)
    delivery.refresh_from_db()
    assert (delivery.status, delivery.redelivered_at) == (status, None)


@pytest.mark.parametrize("is_deleted", [False, True])
def test_nothing_is_sent_again_to_an_inactive_subscription(
    client_of_project: ApiClient, project: Project, is_deleted: bool
) -> None:
    subscription = make_subscription(project=project)
    delivery = publish_one(project)
    end(delivery)
    Subscription.objects.filter(id=subscription.id).update(
        is_active=False, deactivated_at=now(), deleted_at=now() if is_deleted else None
    )

    response = client_of_project.post(f"deliveries/dlv_{delivery.id.hex}/redeliver")

    errors_of(response, 409)
    delivery.refresh_from_db()
    assert delivery.status == Status.FAILED


def test_sending_again_takes_no_members(client_of_project: ApiClient, project: Project) -> None:
    make_subscription(project=project)
    delivery = publish_one(project)
    end(delivery)
    path = f"deliveries/dlv_{delivery.id.hex}/redeliver"

    assert errors_of(client_of_project.post(path, {"at": "noon"}), 400) == {"at": "unknown"}
    delivery.refresh_from_db()
    assert delivery.status == Status.FAILED
    assert client_of_project.post(path, {}).status_code == 202


@pytest.mark.parametrize("public_id", ["dlv_" + "0" * 32, "x", "sub_" + "0" * 32, "%00"])
@pytest.mark.parametrize(("method", "rest"), [("GET", ""), ("POST", "/redeliver")])
def test_an_id_that_is_none_of_the_projects_is_404(
    client_of_project: ApiClient, public_id: str, method: str, rest: str
) -> None:
    errors_of(client_of_project.call(method, f"deliveries/{public_id}{rest}"), 404)


def test_a_test_is_listed_as_one(client_of_project: ApiClient, project: Project) -> None:
    publish_test(make_subscription(project=project))

    (row,) = client_of_project.get("deliveries").json()["results"]

    assert row["test"] is True
