"""Sending a test over REST, and waiting for what becomes of it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any
from uuid import UUID

import pytest
from django.db import connection
from django.utils import timezone

from deliveries.costly_requests import PLACES, place
from deliveries.lifecycle.waiting import wait_preference
from deliveries.models import Attempt, Delivery, Event
from subscriptions.models import EventType, Subscription
from tests.api_client import ApiClient, errors_of
from tests.factories import make_subscription

pytestmark = pytest.mark.django_db


@pytest.fixture
def subscription() -> Subscription:
    return make_subscription()


def send_test(subscription: Subscription, body: Any = None, prefer: str | None = None) -> Any:
    return ApiClient(subscription.project).post(
        f"subscriptions/sub_{subscription.id.hex}/test",
        body,
        headers={} if prefer is None else {"Prefer": prefer},
    )


def test_a_test_is_accepted_at_once(subscription: Subscription) -> None:
    response = send_test(subscription)

    delivery = Delivery.objects.get()
    assert response.status_code == 202
    assert response.json() == {"delivery": f"dlv_{delivery.id.hex}"}
    assert response["Location"].endswith(f"/deliveries/dlv_{delivery.id.hex}")
    assert "Preference-Applied" not in response
    assert delivery.is_test
    assert delivery.subscription_id == subscription.id


@pytest.mark.parametrize(
    ("wire_format", "event_type"),
    [("standard", "test.event"), ("repsona", "Test.event"), ("phrase", "test:event")],
)
def test_the_event_type_is_that_of_the_wire_format(wire_format: str, event_type: str) -> None:
    response = send_test(make_subscription(wire_format=wire_format), {})

    assert response.status_code == 202
    assert Event.objects.get().type == event_type


def test_type_and_data_may_be_chosen_and_data_is_kept_as_written(
    subscription: Subscription,
) -> None:
    Subscription.objects.update(event_types=["Note.*"])  # the filter does not matter

    send_test(subscription, b'{"data": {"b": 1.10, "a": 1e2}, "event_type": "Task.update"}')

    event = Event.objects.get()
    assert event.type == "Task.update"
    assert event.data == '{"b":1.10,"a":1e2}'


def test_data_may_be_null(subscription: Subscription) -> None:
    assert send_test(subscription, {"data": None}).status_code == 202
    assert Event.objects.get().data == "null"


def test_the_catalogues_example_is_sent_when_no_data_is_given(subscription: Subscription) -> None:
    EventType.objects.create(
        project=subscription.project, name="Task.update", example='{"task": {"id": 1}}'
    )

    send_test(subscription, {"event_type": "Task.update"})

    assert Event.objects.get().data == '{"task":{"id":1}}'


def test_an_inactive_subscription_can_be_tested() -> None:
    assert send_test(make_subscription(is_active=False)).status_code == 202
    assert Delivery.objects.get().status == Delivery.Status.PENDING


@pytest.mark.parametrize(
    ("body", "status", "errors"),
    [
        (b"{", 400, {"": "not_json"}),
        (b"[]", 400, {"": "not_an_object"}),
        ({"type": "Task.update"}, 400, {"type": "unknown"}),
        ({"event_type": ""}, 400, {"event_type": "invalid"}),
        ({"event_type": None}, 400, {"event_type": "invalid"}),
        ({"event_type": "Task.*"}, 400, {"event_type": "invalid"}),
        ({"event_type": "a\r\nX-Evil: 1"}, 400, {"event_type": "invalid"}),
        (b'{"data": {"a": "\\u0000"}}', 400, {"data": "nul_character"}),
        (b'{"data": 1, "data": 2}', 400, {"": "duplicate_key"}),
        ({"data": "x" * 262_144}, 413, {"data": "too_large"}),
    ],
)
def test_a_test_that_is_not_acceptable_stores_nothing(
    subscription: Subscription, body: Any, status: int, errors: dict[str, str]
) -> None:
    assert errors_of(send_test(subscription, body), status) == errors
    assert not Event.objects.exists()


def test_data_that_the_format_cannot_carry_is_422() -> None:
    response = send_test(make_subscription(wire_format="phrase"), {"data": [1]})

    assert errors_of(response, 422) == {"data": "not_an_object"}


def test_an_example_that_is_no_json_is_422(subscription: Subscription) -> None:
    EventType.objects.create(project=subscription.project, name="Task.update", example="{")

    response = send_test(subscription, {"event_type": "Task.update"})

    assert errors_of(response, 422) == {"event_type": "bad_example"}


# ---- Waiting --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("prefer", "seconds"),
    [
        ("wait=6", 6),
        ("Wait = 6", 6),
        ('wait="6"', 6),
        ("respond-async, wait=6", 6),
        ("wait=6; foo=bar", 6),
        ("wait=3, wait=6", 3),
        ("wait=0", 1),
        ("wait=99999", 10),
        ("", None),
        ("wait", None),
        ("wait=", None),
        ("wait=-1", None),
        ("wait=1.5", None),
        ("wait=soon", None),
        ("await=6", None),
        ("wait=٦", None),
        ("wait=" + "9" * 5000, None),
    ],
)
def test_the_preference_is_read_within_bounds(prefer: str, seconds: int | None) -> None:
    assert wait_preference(prefer) == seconds


def finish_next_delivery(seen: list[UUID]) -> None:
    """Do what a worker does, as far as the waiting request can see."""
    give_up_at = time.monotonic() + 10
    try:
        while time.monotonic() < give_up_at:
            delivery = Delivery.objects.filter(status=Delivery.Status.PENDING).first()
            if delivery is not None:
                Attempt.objects.create(
                    delivery=delivery,
                    number=1,
                    started_at=timezone.now(),
                    outcome="succeeded",
                    status_code=204,
                    response_headers=b"HTTP/1.1 204 No Content\r\n\r\n",
                    response_body=b"",
                )
                Delivery.objects.filter(id=delivery.id).update(
                    status=Delivery.Status.SUCCEEDED, next_attempt_at=None
                )
                seen.append(delivery.id)
                return
            time.sleep(0.02)
    finally:
        connection.close()


@pytest.fixture
def worker() -> Iterator[list[UUID]]:
    """Something that finishes the next delivery; gives the ids it has finished."""
    seen: list[UUID] = []
    thread = threading.Thread(target=finish_next_delivery, args=[seen])
    thread.start()
    yield seen
    thread.join()


@pytest.mark.django_db(transaction=True)
def test_a_test_that_is_waited_for_is_answered_with_its_attempts(
    subscription: Subscription, worker: list[UUID]
) -> None:
    response = send_test(subscription, prefer="wait=8")

    assert response.status_code == 200
    assert response["Preference-Applied"] == "wait=8"
    answer = response.json()
    assert answer["id"] == f"dlv_{worker[0].hex}"
    assert answer["status"] == "succeeded"
    assert [attempt["status_code"] for attempt in answer["attempts"]] == [204]


@pytest.mark.django_db(transaction=True)
def test_a_wait_that_is_over_is_answered_with_the_id(subscription: Subscription) -> None:
    began_at = time.monotonic()

    response = send_test(subscription, prefer="wait=1")

    assert 1.0 <= time.monotonic() - began_at < 5.0
    assert response.status_code == 202
    assert response["Preference-Applied"] == "wait=1"
    assert response.json() == {"delivery": f"dlv_{Delivery.objects.get().id.hex}"}


def test_when_all_places_are_taken_nobody_waits_and_later_there_is_one_again(
    subscription: Subscription,
) -> None:
    with ExitStack() as places:
        taken = [places.enter_context(place()) for _ in range(PLACES)]
        began_at = time.monotonic()
        response = send_test(subscription, prefer="wait=10")
        seconds = time.monotonic() - began_at

    assert all(taken)
    assert response.status_code == 202
    assert "Preference-Applied" not in response
    assert seconds < 2.0
    with place() as has_place:
        assert has_place


def test_a_refused_test_takes_no_place(subscription: Subscription) -> None:
    for _ in range(PLACES + 1):
        errors_of(send_test(subscription, b"{", prefer="wait=1"), 400)

    with place() as has_place:
        assert has_place
