"""Taking events in: matched, stored whole or not at all, once per idempotency key."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import connection, transaction
from django.utils import timezone

from deliveries.models import Delivery, Event, IdempotencyKey
from deliveries.publishing.ingest import (
    EventRefused,
    IdempotencyConflict,
    NewEvent,
    Published,
    publish,
    publish_many,
    publish_test,
)
from subscriptions.models import EventType
from subscriptions.payload import payload_from_json
from tests.factories import make_project, make_subscription


def assert_nothing_stored() -> None:
    assert not Event.objects.exists()
    assert not Delivery.objects.exists()
    assert not IdempotencyKey.objects.exists()


@pytest.mark.django_db
def test_an_event_gets_one_delivery_per_matching_active_subscription() -> None:
    project = make_project()
    exact = make_subscription(project=project, event_types=["Task.update"])
    prefix = make_subscription(project=project, event_types=["Note.*", "Task.*"])
    make_subscription(project=project, event_types=["Note.update"])
    make_subscription(project=project, is_active=False)
    make_subscription()  # another project's

    published = publish(project=project, event_type="Task.update", data={"id": 2})

    rows = Delivery.objects.filter(event_id=published.id)
    assert {row.subscription_id for row in rows} == {exact.id, prefix.id}
    assert {row.id for row in rows} == set(published.delivery_ids)
    assert {row.status for row in rows} == {"pending"}
    assert all(row.next_attempt_at and row.next_attempt_at <= timezone.now() for row in rows)
    event = Event.objects.get()
    assert (event.data, event.matched_count) == ('{"id":2}', 2)


@pytest.mark.django_db
def test_payloads_are_stored_as_text_untouched() -> None:
    text = '{"z":1,"a":123456789012345678901234567890,"名前":"タスク","x":1.10}'
    publish(project=make_project(), event_type="a.b", data=payload_from_json(text))
    assert Event.objects.get().data == text


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("event_type", "data", "field"),
    [
        ("", {}, "type"),
        ("two words", {}, "type"),
        ("a.b\r\nX-Injected: 1", {}, "type"),
        ("a.b", {"when": object()}, "data"),
        ("a.b", {"n": float("nan")}, "data"),
        ("a.b", {"text": "\x00"}, "data"),
        ("a.b", {"text": "\ud800"}, "data"),
        ("a.b", {"text": "x" * 300_000}, "data"),
    ],
)
def test_a_bad_event_names_its_field_and_stores_nothing(
    event_type: str, data: object, field: str
) -> None:
    project = make_subscription().project
    with pytest.raises(EventRefused) as refusal:
        publish(project=project, event_type=event_type, data=data, idempotency_key="k")
    assert refusal.value.field == field
    assert_nothing_stored()


@pytest.mark.django_db
def test_one_bad_event_of_many_stores_none() -> None:
    project = make_subscription().project
    with pytest.raises(EventRefused):
        publish_many(project=project, events=[NewEvent("a.b", 1), NewEvent("a b", 2)])
    assert_nothing_stored()


@pytest.mark.django_db
def test_a_strict_catalogue_refuses_unknown_types() -> None:
    project = make_project(is_catalogue_strict=True)
    EventType.objects.create(project=project, name="Task.update")
    publish(project=project, event_type="Task.update", data={})
    with pytest.raises(EventRefused, match=r"Task\.delete"):
        publish(project=project, event_type="Task.delete", data={})


@pytest.mark.django_db
def test_a_format_that_needs_an_object_refuses_other_data() -> None:
    project = make_subscription(wire_format="phrase", event_types=["a.*"]).project
    with pytest.raises(EventRefused) as refusal:
        publish(project=project, event_type="a.b", data=[1])
    assert refusal.value.field == "data"
    assert_nothing_stored()
    publish(project=project, event_type="c.d", data=[1])  # nobody minds


@pytest.mark.django_db
def test_many_events_are_stored_in_order_across_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deliveries.publishing.ingest.BATCH_EVENTS", 3)
    subscription = make_subscription()
    events = [NewEvent("a.b", {"n": n}) for n in range(8)]
    published = publish_many(project=subscription.project, events=events)
    stored = Event.objects.in_bulk([event.id for event in published])
    assert [stored[event.id].data for event in published] == [f'{{"n":{n}}}' for n in range(8)]
    assert Delivery.objects.count() == 8


@pytest.mark.django_db
def test_the_same_key_with_the_same_content_is_the_same_event() -> None:
    project = make_subscription().project
    first = publish(project=project, event_type="a.b", data={"n": 1}, idempotency_key="k")
    make_subscription(project=project)
    again = publish(project=project, event_type="a.b", data={"n": 1}, idempotency_key="k")
    assert (again.id, again.created_at) == (first.id, first.created_at)
    assert again.delivery_ids == first.delivery_ids
    assert (first.is_repeat, again.is_repeat) == (False, True)
    assert Event.objects.count() == 1


@pytest.mark.django_db
@pytest.mark.parametrize("other", [("a.b", {"n": 2}), ("a.c", {"n": 1})])
def test_the_same_key_with_other_content_is_a_conflict(other: tuple[str, object]) -> None:
    project = make_subscription().project
    publish(project=project, event_type="a.b", data={"n": 1}, idempotency_key="k")
    with pytest.raises(IdempotencyConflict):
        publish(project=project, event_type=other[0], data=other[1], idempotency_key="k")
    assert Event.objects.count() == 1


@pytest.mark.django_db
def test_keys_of_different_projects_do_not_meet() -> None:
    one, other = make_project(), make_project()
    publish(project=one, event_type="a.b", data=1, idempotency_key="k")
    publish(project=other, event_type="a.b", data=2, idempotency_key="k")
    assert Event.objects.count() == 2


@pytest.mark.django_db
def test_a_key_repeated_within_a_batch_is_one_event() -> None:
    project = make_subscription().project
    events = [NewEvent("a.b", 1, "k"), NewEvent("a.b", 1, "k"), NewEvent("a.b", 1)]
    published = publish_many(project=project, events=events)
    assert published[0].id == published[1].id != published[2].id
    assert Event.objects.count() == 2


@pytest.mark.django_db
@pytest.mark.parametrize("key", ["", "x" * 256, "a\nb", "\x00"])
def test_a_malformed_key_is_refused(key: str) -> None:
    with pytest.raises(EventRefused) as refusal:
        publish(project=make_project(), event_type="a.b", data=1, idempotency_key=key)
    assert refusal.value.field == "Idempotency-Key"


@pytest.mark.django_db(transaction=True)
def test_fifty_threads_with_one_key_make_one_event() -> None:
    project = make_subscription().project
    published: list[Published] = []
    errors: list[BaseException] = []

    def publish_once() -> None:
        try:
            published.append(
                publish(project=project, event_type="a.b", data={"n": 1}, idempotency_key="k")
            )
        except BaseException as error:
            errors.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=publish_once) for _ in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert not errors
    assert len({(event.id, event.delivery_ids) for event in published}) == 1
    assert (Event.objects.count(), Delivery.objects.count()) == (1, 1)


@pytest.mark.django_db(transaction=True)
def test_what_a_callers_transaction_rolls_back_was_never_published(
    wake_ups: list[datetime],
) -> None:
    project = make_subscription().project

    class ChangedMyMind(Exception):
        pass

    def publish_and_change_my_mind() -> None:
        with transaction.atomic():
            publish(project=project, event_type="a.b", data={}, idempotency_key="k")
            raise ChangedMyMind

    with pytest.raises(ChangedMyMind):
        publish_and_change_my_mind()
    assert_nothing_stored()
    assert wake_ups == []


@pytest.mark.django_db(transaction=True)
def test_a_worker_is_woken_when_the_callers_transaction_commits(wake_ups: list[datetime]) -> None:
    project = make_subscription().project
    with transaction.atomic():
        publish(project=project, event_type="a.b", data={})
        publish(project=project, event_type="a.b", data={})
        assert wake_ups == []
    assert wake_ups


@pytest.mark.django_db(transaction=True)
def test_nobody_is_woken_for_an_event_that_nobody_wants(wake_ups: list[datetime]) -> None:
    publish(project=make_project(), event_type="a.b", data={})
    assert wake_ups == []


@pytest.fixture
def wake_ups(monkeypatch: pytest.MonkeyPatch) -> list[datetime]:
    """When a worker was to be woken."""
    sent: list[datetime] = []
    monkeypatch.setattr("deliveries.wake._waker.wake", lambda: sent.append(datetime.now(UTC)))
    return sent


# ---- Tests ----------------------------------------------------------------------------------


@pytest.mark.django_db
def test_a_test_goes_to_its_subscription_whatever_its_filter_and_state() -> None:
    subscription = make_subscription(event_types=["Task.*"], is_active=False)
    make_subscription(project=subscription.project)
    published = publish_test(subscription)
    row = Delivery.objects.get()
    assert (row.subscription_id, row.is_test) == (subscription.id, True)
    assert (published.type, Event.objects.get().matched_count) == ("test.event", 1)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("wire_format", "event_type"), [("phrase", "test:event"), ("repsona", "Test.event")]
)
def test_a_tests_type_is_the_formats_own(wire_format: str, event_type: str) -> None:
    assert publish_test(make_subscription(wire_format=wire_format)).type == event_type


@pytest.mark.django_db
def test_a_test_of_a_type_sends_the_catalogues_example() -> None:
    subscription = make_subscription()
    example = '{ "id": 1.50 }'
    EventType.objects.create(project=subscription.project, name="Task.update", example=example)
    publish_test(subscription, event_type="Task.update")
    assert Event.objects.get().data == '{"id":1.50}'


@pytest.mark.django_db
@pytest.mark.parametrize("data", [0, False, "", [], {}])
def test_a_tests_own_data_may_be_any_json(data: Any) -> None:
    publish_test(make_subscription(), data=data)
    assert Event.objects.get().data in ("0", "false", '""', "[]", "{}")
