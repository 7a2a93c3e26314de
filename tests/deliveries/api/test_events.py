"""Publishing over REST: what is stored, what is answered, and what is refused."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from celery import current_app
from django.conf import LazySettings
from django.db import connection

from deliveries import wake
from deliveries.models import Delivery, Event, IdempotencyKey
from subscriptions.models import EventType
from tests.api_client import ApiClient, errors_of
from tests.factories import make_project, make_subscription
from tests.outages import dead_redis
from tests.workers import eventually

pytestmark = pytest.mark.django_db


@pytest.fixture
def client_of_project() -> ApiClient:
    return ApiClient(make_project())


def publish(client: ApiClient, body: Any, key: str | None = None) -> Any:
    return client.post("events", body, headers={} if key is None else {"Idempotency-Key": key})


def test_an_event_is_stored_with_a_delivery_for_each_match(client_of_project: ApiClient) -> None:
    project = client_of_project.project
    wanted = [make_subscription(project=project, event_types=["Task.*"]) for _ in range(2)]
    make_subscription(project=project, event_types=["Note.*"])
    make_subscription(project=project, is_active=False)
    make_subscription()

    response = publish(client_of_project, {"type": "Task.update", "data": {"id": 1}})

    assert response.status_code == 202
    answer = response.json()
    event = Event.objects.get()
    assert answer["id"] == f"evt_{event.id.hex}"
    assert answer["type"] == event.type == "Task.update"
    assert answer["created_at"].endswith("Z")
    assert event.project == project
    deliveries = Delivery.objects.filter(event_id=event.id).order_by("id")
    assert {delivery.subscription_id for delivery in deliveries} == {row.id for row in wanted}
    assert answer["deliveries"] == [f"dlv_{delivery.id.hex}" for delivery in deliveries]


def test_an_event_that_nobody_wants_is_stored_too(client_of_project: ApiClient) -> None:
    response = publish(client_of_project, {"type": "Task.update", "data": None})

    assert response.status_code == 202
    assert response.json()["deliveries"] == []
    assert Event.objects.get().data == "null"


def test_data_is_kept_as_it_was_written(client_of_project: ApiClient) -> None:
    data = '{"z":123456789012345678901234567890,"a":1.10,"e":1E+2,"u":"\\u00fc","n":{"b":0,"a":-0}}'

    publish(client_of_project, f'{{ "data" : {data} , "type": "Task.update" }}'.encode())

    assert Event.objects.get().data == data


# ---- Idempotency ----------------------------------------------------------------------------


def test_the_same_key_with_the_same_content_gives_the_same_answer_and_stores_nothing(
    client_of_project: ApiClient,
) -> None:
    make_subscription(project=client_of_project.project)
    first = publish(client_of_project, {"type": "Task.update", "data": {"a": 1}}, "order-17")

    again = publish(client_of_project, b'{"data": {"a":1}, "type":"Task.update"}', "order-17")

    assert again.status_code == first.status_code == 202
    assert again.json() == first.json()
    assert again["Idempotency-Replayed"] == "true"
    assert "Idempotency-Replayed" not in first
    assert Event.objects.count() == Delivery.objects.count() == 1


@pytest.mark.parametrize(
    "other",
    [{"type": "Task.create", "data": {"a": 1}}, {"type": "Task.update", "data": {"a": 2}}],
)
def test_the_same_key_with_other_content_is_409_and_stores_nothing(
    client_of_project: ApiClient, other: dict[str, Any]
) -> None:
    publish(client_of_project, {"type": "Task.update", "data": {"a": 1}}, "order-17")

    response = publish(client_of_project, other, "order-17")

    assert errors_of(response, 409) == {"Idempotency-Key": "conflict"}
    assert Event.objects.count() == 1


def test_keys_are_a_projects_own(client_of_project: ApiClient) -> None:
    body = {"type": "Task.update", "data": {}}
    first = publish(client_of_project, body, "order-17")

    second = publish(ApiClient(make_project()), body, "order-17")

    assert second.json()["id"] != first.json()["id"]
    assert Event.objects.count() == 2


@pytest.mark.parametrize("key", ["", "x" * 256, "a\tb", "a\x7fb"])
def test_a_key_that_is_none_is_refused(client_of_project: ApiClient, key: str) -> None:
    response = publish(client_of_project, {"type": "Task.update", "data": {}}, key)

    assert errors_of(response, 400) == {"Idempotency-Key": "invalid"}
    assert not Event.objects.exists()


# ---- Bad input ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "field", "code"),
    [
        (b"", "", "not_json"),
        (b"{", "", "not_json"),
        (b'{"type": "a", "data": {},}', "", "not_json"),
        (b'{"type": "a", "data": [1,]}', "", "not_json"),
        (b'{"type": "a", "data": NaN}', "data", "not_a_number"),
        (b'{"type": NaN, "data": 1}', "type", "not_a_number"),
        (b'{"type": "a", "data": [1, {"x": -Infinity}]}', "data", "not_a_number"),
        (b'{"type": "a", "data": {}} x', "", "not_json"),
        (b'{"type": "a", "type": "b", "data": 1}', "", "duplicate_key"),
        (b'{"type": "a", "data": {"x": 1, "x": 2}}', "", "duplicate_key"),
        (b'{"type": "a", "data": "\xff"}', "", "not_utf8"),
        ('{"type": "a", "data": 1}'.encode("utf-16"), "", None),
        (b'{"type": "a", "data": "\\u0000"}', "data", "nul_character"),
        (b'{"type": "a", "data": "\\ud800"}', "data", "lone_surrogate"),
        (b'{"type": "\\udc00", "data": 1}', "type", "lone_surrogate"),
        (b'{"type": "a", "data": ' + b"[" * 101 + b"]" * 101 + b"}", "data", "too_deep"),
        (b'{"type": "a", "data": ' + b"[" * 200_000 + b"]" * 200_000 + b"}", "data", None),
        (b"[]", "", "not_an_object"),
        (b'"text"', "", "not_an_object"),
        (b"null", "", "not_an_object"),
        (b'{"data": {}}', "type", "required"),
        (b'{"type": "a"}', "data", "required"),
        (b'{"type": "a", "data": {}, "user": 1}', "user", "unknown"),
        (b'{"type": "a", "data": {}, "": 1}', "", "unknown"),
        (b'{"type": null, "data": {}}', "type", "invalid"),
        (b'{"type": 5, "data": {}}', "type", "invalid"),
        (b'{"type": ["a"], "data": {}}', "type", "invalid"),
        (b'{"type": "", "data": {}}', "type", "invalid"),
        (b'{"type": "a b", "data": {}}', "type", "invalid"),
        (b'{"type": "Task.*", "data": {}}', "type", "invalid"),
        (b'{"type": "a\\r\\nX-Evil: 1", "data": {}}', "type", "invalid"),
        (b'{"type": "a\\u0000", "data": {}}', "type", "invalid"),
        ('{"type": "Täsk", "data": {}}'.encode(), "type", "invalid"),
        (b'{"type": "' + b"a" * 129 + b'", "data": {}}', "type", "invalid"),
    ],
)
def test_a_malformed_event_is_400_and_nothing_is_stored(
    client_of_project: ApiClient, body: bytes, field: str, code: str | None
) -> None:
    make_subscription(project=client_of_project.project)

    errors = errors_of(publish(client_of_project, body, "key"), 400)

    assert set(errors) == {field}
    assert code in {None, errors[field]}
    assert not Event.objects.exists()
    assert not Delivery.objects.exists()
    assert not IdempotencyKey.objects.exists()


def test_every_wrong_member_is_named(client_of_project: ApiClient) -> None:
    response = publish(client_of_project, {"typ": "Task.update", "payload": {}})

    assert errors_of(response, 400) == {
        "typ": "unknown",
        "payload": "unknown",
        "type": "required",
        "data": "required",
    }


def test_a_payload_over_the_limit_is_413_and_nothing_is_stored(
    client_of_project: ApiClient, settings: LazySettings
) -> None:
    settings.DISPATCHER_PAYLOAD_LIMIT_BYTES = 100
    largest = "x" * 98  # and its quotes

    accepted = publish(client_of_project, {"type": "Task.update", "data": largest})
    refused = publish(client_of_project, {"type": "Task.update", "data": largest + "x"})

    assert accepted.status_code == 202
    assert errors_of(refused, 413) == {"data": "too_large"}
    assert Event.objects.count() == 1


def test_white_space_does_not_count_towards_the_limit(client_of_project: ApiClient) -> None:
    data = {"x": ["y"] * 60_000}  # 240 kB when compact

    response = publish(
        client_of_project, json.dumps({"type": "Task.update", "data": data}, indent=1).encode()
    )

    assert response.status_code == 202


def test_a_type_that_a_strict_catalogue_does_not_have_is_422() -> None:
    client = ApiClient(make_project(is_catalogue_strict=True))
    EventType.objects.create(project=client.project, name="Task.update")

    known = publish(client, {"type": "Task.update", "data": {}})
    unknown = publish(client, {"type": "Task.delete", "data": {}}, "key")

    assert known.status_code == 202
    assert errors_of(unknown, 422) == {"type": "unknown"}
    assert Event.objects.count() == 1
    assert not IdempotencyKey.objects.exists()


@pytest.mark.parametrize("data", [[1], "text", 5, None, True])
def test_data_that_a_matching_format_cannot_carry_is_422(
    client_of_project: ApiClient, data: object
) -> None:
    project = client_of_project.project
    make_subscription(project=project)
    make_subscription(project=project, wire_format="phrase", event_types=["jobs:*"])

    refused = publish(client_of_project, {"type": "jobs:start", "data": data}, "key")
    accepted = publish(client_of_project, {"type": "tasks:start", "data": data})

    assert errors_of(refused, 422) == {"data": "not_an_object"}
    assert accepted.status_code == 202
    assert Event.objects.count() == Delivery.objects.count() == 1
    assert not IdempotencyKey.objects.exists()


@pytest.fixture(params=[False, True], ids=["closed", "silent"])
def dead_redis_url(request: pytest.FixtureRequest) -> Iterator[str]:
    with dead_redis(is_silent=request.param) as url:
        yield url


@pytest.mark.django_db(transaction=True)  # workers are woken on commit
def test_an_event_is_stored_and_accepted_soon_while_the_broker_is_away(
    client_of_project: ApiClient,
    dead_redis_url: str,
    settings: LazySettings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(current_app.conf, "broker_url", dead_redis_url)
    cache = settings.CACHES["default"] | {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": dead_redis_url,
        "OPTIONS": {"socket_timeout": 0.2, "socket_connect_timeout": 0.2},
    }
    settings.CACHES = {"default": cache}
    make_subscription(project=client_of_project.project)
    began_at = time.monotonic()

    response = publish(client_of_project, {"type": "Task.update", "data": {}})

    assert time.monotonic() - began_at < 3.0  # without limits it waits for 40 s
    assert response.status_code == 202
    eventually(lambda: wake.breaker.is_tripped)
    assert Delivery.objects.get().status == Delivery.Status.PENDING


def test_publishing_takes_few_queries(
    client_of_project: ApiClient, django_assert_num_queries: Any
) -> None:
    for _ in range(3):
        make_subscription(project=client_of_project.project)
    body = {"type": "Task.update", "data": {}}
    publish(client_of_project, body)  # the key's first use is written down

    # The key; the catalogue; a transaction's two ends; the subscriptions; event and its deliveries,
    # which SQLite takes one after the other. In the test's own transaction nothing is remembered.
    with django_assert_num_queries(6 if connection.vendor == "postgresql" else 7):
        publish(client_of_project, body)
