"""A delivery with its attempts over REST: everything as it was sent and received."""

from __future__ import annotations

import base64
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from deliveries.history.deliveries import ATTEMPTS_SHOWN
from deliveries.models import Attempt, Delivery, Event
from deliveries.publishing.ingest import publish
from deliveries.sending.compose import compose_body
from subscriptions.ids import first_id_of, new_id, shifted
from subscriptions.models import Subscription
from tests.api_client import ApiClient
from tests.deliveries.history_rows import prepare_days
from tests.factories import make_subscription

pytestmark = pytest.mark.django_db

EACH = timedelta(milliseconds=1)


@pytest.fixture
def subscription() -> Subscription:
    return make_subscription()


@pytest.fixture
def delivery(subscription: Subscription) -> Delivery:
    data = {"task": {"id": 123456789012345678901234567890, "name": "Ü"}}
    published = publish(project=subscription.project, event_type="Task.update", data=data)
    return Delivery.objects.get(id=published.delivery_ids[0])


def make_attempt(delivery: Delivery, **columns: Any) -> Attempt:
    defaults = {
        "delivery": delivery,
        "number": 1,
        "started_at": timezone.now(),
        "outcome": "succeeded",
        "status_code": 200,
        "wire_format": "standard",
        "request_url": "https://receiver.example/inbox",
        "request_headers": "Host: receiver.example\nContent-Type: application/json",
        "response_headers": b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n",
        "response_body": b"fine",
    }
    return Attempt.objects.create(**defaults | columns)


def attempts_of(delivery: Delivery) -> list[dict[str, Any]]:
    client = ApiClient(Subscription.objects.get().project, ["read"])
    response = client.get(f"deliveries/dlv_{delivery.id.hex}")
    assert response.status_code == 200, response.content
    attempts: list[dict[str, Any]] = response.json()["attempts"]
    return attempts


def test_an_attempt_shows_what_was_sent_and_what_came_back(delivery: Delivery) -> None:
    attempt = make_attempt(
        delivery,
        outcome="http_error",
        status_code=500,
        error="The server answered 500.",
        duration_ms=123,
        dns_ms=1,
        connect_ms=2,
        tls_ms=3,
        first_byte_ms=100,
        remote_address="203.0.113.7",
        response_headers=b"HTTP/1.1 500 Oops\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\n\r\n",
        response_body="Täuschung".encode(),
    )

    (shown,) = attempts_of(delivery)

    event = Event.objects.get()
    body = compose_body(
        "standard", event_type=event.type, created_at=event.created_at, data=event.data
    ).body.decode()
    assert "123456789012345678901234567890" in body
    assert shown.pop("started_at").endswith("Z")
    assert shown == {
        "id": f"att_{attempt.id.hex}",
        "number": 1,
        "outcome": "http_error",
        "status_code": 500,
        "error": "The server answered 500.",
        "duration_ms": 123,
        "phases": {"dns_ms": 1, "connect_ms": 2, "tls_ms": 3, "first_byte_ms": 100},
        "remote_address": "203.0.113.7",
        "request": {
            "url": "https://receiver.example/inbox",
            "headers": [["Host", "receiver.example"], ["Content-Type", "application/json"]],
            "body": body,
        },
        "response": {
            "headers": [["Set-Cookie", "a=1"], ["Set-Cookie", "b=2"]],
            "body": "Täuschung",
            "body_encoding": "utf-8",
            "truncated": False,
        },
    }


def test_a_delivery_that_was_not_sent_has_no_attempts(delivery: Delivery) -> None:
    assert attempts_of(delivery) == []


def test_attempts_are_in_order(delivery: Delivery) -> None:
    for number in (2, 1, 3):
        make_attempt(delivery, number=number)

    assert [attempt["number"] for attempt in attempts_of(delivery)] == [1, 2, 3]


def test_only_the_latest_attempts_are_shown(delivery: Delivery) -> None:
    for number in range(1, ATTEMPTS_SHOWN + 3):
        make_attempt(delivery, number=number)

    shown = [attempt["number"] for attempt in attempts_of(delivery)]

    assert shown == list(range(3, ATTEMPTS_SHOWN + 3))


def test_an_attempt_of_a_worker_whose_clock_is_behind_is_shown(delivery: Delivery) -> None:
    behind = first_id_of(delivery.created_at - timedelta(minutes=5))
    make_attempt(delivery, id=behind)

    assert len(attempts_of(delivery)) == 1


def test_an_attempt_that_came_in_days_after_the_end_is_shown(delivery: Delivery) -> None:
    now = timezone.now()
    prepare_days(now - timedelta(days=5))
    ended_at = now - timedelta(days=4)
    Delivery.objects.filter(id=delivery.id).update(
        status="failed",
        next_attempt_at=None,
        attempt_count=2,
        created_at=ended_at - timedelta(minutes=1),
        finished_at=ended_at,
    )
    make_attempt(delivery, number=2, id=first_id_of(ended_at))
    make_attempt(delivery, number=1, id=new_id())

    assert [attempt["number"] for attempt in attempts_of(delivery)] == [1, 2]


def test_the_latest_is_shown_though_it_came_in_after_the_end_of_many(delivery: Delivery) -> None:
    count = ATTEMPTS_SHOWN + 10
    ended_at = timezone.now() - timedelta(hours=2)
    Delivery.objects.filter(id=delivery.id).update(
        status="failed",
        next_attempt_at=None,
        attempt_count=count,
        created_at=ended_at - timedelta(hours=1),
        finished_at=ended_at,
    )
    for number in range(1, count):
        make_attempt(delivery, number=number, id=shifted(first_id_of(ended_at), EACH * number))
    make_attempt(delivery, number=count, id=new_id())

    assert [attempt["number"] for attempt in attempts_of(delivery)] == [*range(11, count + 1)]


def test_another_deliverys_attempts_are_not_shown(
    delivery: Delivery, subscription: Subscription
) -> None:
    other = publish(project=subscription.project, event_type="Task.update", data={})
    make_attempt(Delivery.objects.get(id=other.delivery_ids[0]))

    assert attempts_of(delivery) == []


def test_a_body_that_was_kept_with_the_attempt_is_shown(delivery: Delivery) -> None:
    make_attempt(delivery, wire_format="phrase", request_body='{"event":"a","message":"b"}')

    assert attempts_of(delivery)[0]["request"]["body"] == '{"event":"a","message":"b"}'


@pytest.mark.parametrize("wire_format", ["standard", "repsona", "stripe", "github", "raw"])
def test_a_body_that_was_not_kept_is_composed_again(delivery: Delivery, wire_format: str) -> None:
    make_attempt(delivery, wire_format=wire_format)

    body = attempts_of(delivery)[0]["request"]["body"]

    assert Event.objects.get().data in body


@pytest.mark.parametrize("wire_format", ["phrase", "", "forgotten"])
def test_a_body_that_can_no_longer_be_told_is_null(delivery: Delivery, wire_format: str) -> None:
    # A `phrase` body without a message depends on the catalogue, which may have changed since.
    make_attempt(delivery, outcome="interrupted", wire_format=wire_format)

    assert attempts_of(delivery)[0]["request"]["body"] is None


def test_a_body_whose_event_is_gone_is_null(delivery: Delivery) -> None:
    make_attempt(delivery)
    Event.objects.all().delete()

    assert attempts_of(delivery)[0]["request"]["body"] is None


def test_an_attempt_without_an_answer_has_no_response(delivery: Delivery) -> None:
    make_attempt(
        delivery,
        outcome="timeout",
        status_code=None,
        error="No answer within 5 seconds.",
        response_headers=b"",
        response_body=b"",
    )

    (shown,) = attempts_of(delivery)

    assert shown["response"] is shown["status_code"] is None
    assert shown["error"] == "No answer within 5 seconds."


def test_a_body_that_is_not_utf8_is_base64(delivery: Delivery) -> None:
    body = b"\x89PNG\r\n\x00\xff"
    make_attempt(delivery, response_body=body)

    response = attempts_of(delivery)[0]["response"]

    assert response["body_encoding"] == "base64"
    assert base64.b64decode(response["body"]) == body


def test_a_body_that_was_cut_within_a_character_is_still_text(delivery: Delivery) -> None:
    cut = "ああ".encode()[:-1]
    make_attempt(delivery, number=1, response_body=cut, is_truncated=True)
    make_attempt(delivery, number=2, response_body=cut, is_truncated=False)

    truncated, whole = (attempt["response"] for attempt in attempts_of(delivery))

    assert (truncated["body"], truncated["body_encoding"]) == ("あ", "utf-8")
    assert truncated["truncated"] is True
    assert whole["body_encoding"] == "base64"


def test_hostile_answers_come_through_as_data(delivery: Delivery) -> None:
    body = "\0\x1b[31m\u202e</script>{{7*7}}\u2028"
    make_attempt(
        delivery,
        response_headers=b"HTTP/1.1 200 OK\r\nX-A: \xe9\xff\r\n folded\r\nno colon\r\n\r\n",
        response_body=body.encode(),
    )

    (shown,) = attempts_of(delivery)

    assert shown["response"]["body"] == body
    assert shown["response"]["headers"] == [["X-A", "éÿ folded"]]


def test_the_detail_takes_few_queries(
    delivery: Delivery, subscription: Subscription, django_assert_num_queries: Any
) -> None:
    for number in range(5):
        make_attempt(delivery, number=number, id=new_id())
    client = ApiClient(subscription.project)
    client.get("deliveries")  # the key's first use is written down

    with django_assert_num_queries(4):  # the key, the delivery, its event, its attempts
        client.get(f"deliveries/dlv_{delivery.id.hex}")
