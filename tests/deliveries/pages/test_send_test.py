"""Sending a test from the subscription's page: the form, its errors, the result in place."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from uuid import uuid4

import pytest
from django.db import connection
from django.utils import timezone

from deliveries.costly_requests import PLACES, place
from deliveries.models import Attempt, Delivery, Event
from deliveries.pages import new_test, send_test
from subscriptions.ids import to_public
from subscriptions.models import EventType, Subscription
from subscriptions.rest.rate_limit import MICROSECONDS, RatePolicy
from tests.deliveries.history_rows import add_delivery
from tests.deliveries.pages.test_subscription import EVIL, HTMX, address, page, signed_in
from tests.factories import make_project, make_subscription

pytestmark = pytest.mark.django_db


@pytest.fixture
def no_waiting() -> Iterator[None]:
    """No place is free, so the result is asked for later."""
    with ExitStack() as stack:
        for _ in range(PLACES):
            stack.enter_context(place())
        yield


def accept(delivery: Delivery) -> None:
    """What a worker does of a test that succeeds."""
    Attempt.objects.create(
        delivery=delivery,
        number=1,
        started_at=timezone.now(),
        outcome="succeeded",
        status_code=204,
        duration_ms=12,
        wire_format="standard",
        request_url="http://127.0.0.1:9/inbox",
        request_headers="Host: 127.0.0.1:9",
        response_headers=b"HTTP/1.1 204 No Content",
        response_body=EVIL.encode(),
    )
    Delivery.objects.filter(id=delivery.id).update(
        status="succeeded",
        next_attempt_at=None,
        attempt_count=1,
        last_outcome="succeeded",
        last_status_code=204,
    )


def test_the_form_begins_with_the_formats_own_test() -> None:
    shown = page(make_subscription(wire_format="phrase"))

    assert "test:event" in shown
    assert "This is a test" in shown


def test_another_types_example_is_shown_with_its_numbers_as_written() -> None:
    subscription = make_subscription()
    EventType.objects.create(
        project=subscription.project, name="order.paid", example='{"total": 1.50, "e": 1E400}'
    )
    client = signed_in(subscription.project)

    piece = client.get(
        address(subscription, "/test?event_type=order.paid"), headers=HTMX
    ).content.decode()
    whole = client.get(address(subscription, "/test?event_type=order.paid")).content.decode()

    assert "&quot;total&quot;: 1.50,\n  &quot;e&quot;: 1E400" in piece
    assert '<option value="order.paid">' in piece
    assert 'name="event_type" value="order.paid"' in piece
    assert "<html" not in piece
    assert "1E400" in whole
    assert "<html" in whole


def test_an_example_that_is_broken_is_said_at_its_field() -> None:
    subscription = make_subscription()
    EventType.objects.create(project=subscription.project, name="order.paid", example="{")

    shown = signed_in(subscription.project).get(
        address(subscription, "/test?event_type=order.paid"), headers=HTMX
    )

    assert "Its example" in shown.content.decode()


@pytest.mark.usefixtures("no_waiting")
def test_what_was_edited_is_sent_as_written() -> None:
    subscription = make_subscription(is_active=False, event_types=["other.*"])

    response = signed_in(subscription.project).post(
        address(subscription, "/test"), {"event_type": "order.paid", "data": '{"a":\r\n 1.10}'}
    )

    event, delivery = Event.objects.get(), Delivery.objects.get()
    assert (event.type, event.data, event.is_test) == ("order.paid", '{"a":1.10}', True)
    assert delivery.subscription_id == subscription.id
    assert response.status_code == 302
    assert response["Location"].endswith(f"/deliveries/{to_public('dlv', delivery.id)}")


@pytest.mark.parametrize(
    ("event_type", "data", "name", "sentence"),
    [
        ("test.event", "{", "test-data", "not"),
        ("test.event", "", "test-data", ""),
        ("test.event", '{"a": 1, "a": 2}', "test-data", "twice"),
        ("test.event", '{"a": "' + "x" * 262_144 + '"}', "test-data", "bytes"),
        ("order.*", "{}", "test-event-type", "is not an event type"),
        ("", "{}", "test-event-type", "is not an event type"),
        ("strict.one", '{"total": "no number"}', "test-data", "/total"),
    ],
)
@pytest.mark.parametrize("headers", [{}, HTMX])
def test_what_is_refused_is_said_at_the_field_and_nothing_is_sent(
    event_type: str, data: str, name: str, sentence: str, headers: dict[str, str]
) -> None:
    subscription = make_subscription()
    EventType.objects.create(
        project=subscription.project,
        name="strict.one",
        schema='{"properties": {"total": {"type": "number"}}}',
    )

    response = signed_in(subscription.project).post(
        address(subscription, "/test"), {"event_type": event_type, "data": data}, headers=headers
    )

    shown = response.content.decode()
    error = shown.partition(f'id="{name}-error"')[2].partition("</section>")[0]
    assert response.status_code == 422
    assert sentence in error
    assert "alert" in error
    assert ("<html" in shown) == (not headers)
    assert not Event.objects.exists()


def test_data_that_the_format_cannot_carry_is_refused() -> None:
    subscription = make_subscription(wire_format="phrase")

    response = signed_in(subscription.project).post(
        address(subscription, "/test"), {"event_type": "test:event", "data": "[1]"}
    )

    assert response.status_code == 422
    assert "must be a JSON object" in response.content.decode()


def test_hostile_input_comes_back_escaped() -> None:
    subscription = make_subscription()

    shown = (
        signed_in(subscription.project)
        .post(address(subscription, "/test"), {"event_type": EVIL, "data": "</textarea>" + EVIL})
        .content.decode()
    )

    assert EVIL not in shown
    assert "&lt;/textarea&gt;" in shown


@pytest.mark.usefixtures("no_waiting")
def test_without_a_place_the_result_is_asked_for_by_itself() -> None:
    subscription = make_subscription()
    client = signed_in(subscription.project)
    form = {"event_type": "test.event", "data": "{}"}

    sent = client.post(address(subscription, "/test"), form, headers=HTMX).content.decode()
    delivery = Delivery.objects.get()
    result = address(subscription, f"/test/{to_public('dlv', delivery.id)}")
    early = client.get(result, headers=HTMX).content.decode()
    accept(delivery)
    late = client.get(result, headers=HTMX).content.decode()

    assert f'hx-get="{result}"' in sent
    assert f'hx-get="{result}"' in early
    assert f'hx-get="{result}"' not in late
    assert "127.0.0.1 accepted it." in late
    assert "204" in late
    assert EVIL not in late


@pytest.mark.django_db(transaction=True)
def test_the_result_appears_as_soon_as_it_is_there() -> None:
    subscription = make_subscription()
    client = signed_in(subscription.project)

    def work() -> None:
        try:
            while not (delivery := Delivery.objects.first()):
                time.sleep(0.02)
            accept(delivery)
        finally:
            connection.close()

    worker = threading.Thread(target=work)
    worker.start()
    started_at = time.monotonic()
    shown = client.post(
        address(subscription, "/test"), {"event_type": "test.event", "data": "{}"}, headers=HTMX
    ).content.decode()
    worker.join()

    assert time.monotonic() - started_at < 5
    assert "127.0.0.1 accepted it." in shown
    assert 'hx-trigger="load delay' not in shown


def test_only_the_subscriptions_own_tests_are_shown() -> None:
    subscription = make_subscription()
    foreign = add_delivery(make_subscription(project=subscription.project), timezone.now())
    real = add_delivery(subscription, timezone.now())
    client = signed_in(subscription.project)

    for delivery in (foreign, real):
        result = address(subscription, f"/test/{to_public('dlv', delivery.id)}")
        assert client.get(result, headers=HTMX).status_code == 404
    assert client.get(address(subscription, "/test/nonsense"), headers=HTMX).status_code == 404


def test_a_viewer_sends_no_test_and_a_stranger_finds_nothing() -> None:
    subscription = make_subscription()
    form = {"event_type": "test.event", "data": "{}"}

    viewer = signed_in(subscription.project, "viewer")
    assert viewer.post(address(subscription, "/test"), form).status_code == 403
    stranger = signed_in(make_project())
    assert stranger.post(address(subscription, "/test"), form).status_code == 404
    assert not Event.objects.exists()
    assert Subscription.objects.count() == 1


@pytest.mark.usefixtures("no_waiting")
def test_tests_have_a_pace_in_each_project(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(send_test, "PACE", RatePolicy(f"x-{uuid4()}", 2, 60 * MICROSECONDS))
    subscription, other = make_subscription(), make_subscription()
    client = signed_in(subscription.project)
    form = {"event_type": "order.paid", "data": '{"kept": 1}'}
    for _ in range(2):
        assert client.post(address(subscription, "/test"), form, headers=HTMX).status_code == 200

    refused = client.post(address(subscription, "/test"), form, headers=HTMX)

    assert refused.status_code == 429
    assert int(refused["Retry-After"]) in range(50, 61)
    assert "HX-Reswap" not in refused
    assert "Too many requests came at once. Try again in" in refused.content.decode()
    assert "&quot;kept&quot;: 1" in refused.content.decode()
    assert Event.objects.count() == 2
    assert (
        signed_in(other.project).post(address(other, "/test"), form, headers=HTMX).status_code
        == 200
    )


def test_data_far_beyond_a_payload_are_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    subscription = make_subscription()
    monkeypatch.setattr(new_test, "payload_from_json", None)  # a call would raise

    refused = signed_in(subscription.project).post(
        address(subscription, "/test"), {"event_type": "a.b", "data": " " * (512 * 1024 + 1)}
    )

    assert refused.status_code == 422
    assert "This text is too long." in refused.content.decode()
    assert not Event.objects.exists()
