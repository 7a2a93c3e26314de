"""Publishing in batches over REST: a result for each event, one transaction for all."""

from __future__ import annotations

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import pytest
from django.conf import LazySettings, settings
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from deliveries.api.event_serializers import BATCH_LIMIT_EVENTS
from deliveries.models import Delivery, Event, IdempotencyKey
from subscriptions.catalogue.entries import create_event_type
from subscriptions.models import IdempotentRequest, Project
from subscriptions.payload import payload_from_python
from tests.api_client import ApiClient, errors_of
from tests.factories import make_project, make_subscription

pytestmark = pytest.mark.django_db


@pytest.fixture
def api() -> ApiClient:
    return ApiClient(make_project())


def event(number: int = 1, **members: Any) -> dict[str, Any]:
    return {"type": "Task.update", "data": {"id": number}, **members}


def post(api: ApiClient, events: Any) -> Any:
    return api.post("events/batch", {"events": events})


def statuses_of(response: Any) -> list[str]:
    assert response.status_code == 200, response.content
    return [result["status"] for result in response.json()["results"]]


def errors_in(result: dict[str, Any]) -> tuple[int, dict[str, str]]:
    error = result["error"]
    assert set(error) == {"type", "title", "status", "detail", "errors"}
    return error["status"], {each["field"]: each["code"] for each in error["errors"]}


def test_every_event_is_stored_with_its_deliveries_in_order(api: ApiClient) -> None:
    make_subscription(project=api.project, event_types=["Task.*"])
    make_subscription(project=api.project, event_types=["Note.*"])

    answer = post(api, [event(1), event(2), event(3, type="jobs:start")]).json()

    assert (answer["accepted"], answer["repeated"], answer["refused"]) == (3, 0, 0)
    stored = {f"evt_{row.id.hex}": row for row in Event.objects.all()}
    shown = [result["event"] for result in answer["results"]]
    assert [json.loads(stored[each["id"]].data) for each in shown] == [
        {"id": 1},
        {"id": 2},
        {"id": 3},
    ]
    assert [each["matched_count"] for each in shown] == [1, 1, 0]
    assert shown[0].keys() == {"id", "type", "created_at", "matched_count"}
    assert all(result["error"] is None for result in answer["results"])
    assert Delivery.objects.count() == 2


def test_data_is_kept_as_it_was_written(api: ApiClient) -> None:
    data = '{"z":123456789012345678901234567890,"a":1.10,"e":1E+2,"u":"\\u00fc"}'
    api.post("events/batch", f'{{"events": [{{"type": "a", "data": {data} }}] }}'.encode())
    assert Event.objects.get().data == data


def test_good_events_are_stored_though_others_are_refused(api: ApiClient) -> None:
    create_event_type(
        api.project,
        {"name": "Task.create", "schema": payload_from_python({"required": ["task"]})},
    )
    create_event_type(api.project, {"name": "Task.gone", "is_archived": True})
    make_subscription(project=api.project, event_types=["flat:*"], wire_format="phrase")
    refused: list[tuple[Any, int, dict[str, str]]] = [
        (5, 400, {"": "not_an_object"}),
        ([], 400, {"": "not_an_object"}),
        ({"data": 1}, 400, {"type": "required"}),
        ({"type": "a"}, 400, {"data": "required"}),
        (event(color="red"), 400, {"color": "unknown"}),
        (event(type=5), 400, {"type": "invalid"}),
        (event(type="a b"), 400, {"type": "invalid"}),
        (event(idempotency_key=None), 400, {"idempotency_key": "invalid"}),
        (event(idempotency_key=""), 400, {"idempotency_key": "invalid"}),
        (event(idempotency_key="x" * 256), 400, {"idempotency_key": "invalid"}),
        (event(data="x" * 300_000), 413, {"data": "too_large"}),
        (event(data=json.loads("[" * 101 + "]" * 101)), 400, {"data": "too_deep"}),
        (event(type="Task.create"), 422, {"data": "schema"}),
        (event(type="Task.gone"), 422, {"type": "archived"}),
        ({"type": "flat:create", "data": [1]}, 422, {"data": "not_an_object"}),
    ]

    answer = post(api, [event(1), *(entry for entry, _, _ in refused), event(2)]).json()

    assert (answer["accepted"], answer["refused"]) == (2, len(refused))
    assert [errors_in(result) for result in answer["results"][1:-1]] == [
        (status, errors) for _, status, errors in refused
    ]
    assert all(result["event"] is None for result in answer["results"][1:-1])
    assert Event.objects.count() == 2


def test_an_unknown_type_is_refused_by_a_strict_catalogue() -> None:
    api = ApiClient(make_project(is_catalogue_strict=True))
    create_event_type(api.project, {"name": "Task.update"})

    answer = post(api, [event(type="a"), event()])

    assert statuses_of(answer) == ["refused", "accepted"]


# ---- Idempotency ----------------------------------------------------------------------------


def test_a_repeated_batch_answers_the_same_and_stores_nothing(api: ApiClient) -> None:
    make_subscription(project=api.project)
    batch = [event(number, idempotency_key=f"k{number}") for number in range(3)]
    first = post(api, batch).json()

    again = post(api, [*batch, event(9)]).json()

    assert [result["status"] for result in again["results"]] == [*["repeated"] * 3, "accepted"]
    assert [r["event"] for r in again["results"][:3]] == [r["event"] for r in first["results"]]
    assert Event.objects.count() == Delivery.objects.count() == 4


def test_one_key_twice_in_a_batch_is_one_event_or_a_conflict(api: ApiClient) -> None:
    batch = [
        event(1, idempotency_key="k"),
        event(1, idempotency_key="k"),
        event(2, idempotency_key="k"),
    ]

    response = post(api, batch)

    assert statuses_of(response) == ["accepted", "repeated", "refused"]
    first, second, third = response.json()["results"]
    assert first["event"] == second["event"]
    assert errors_in(third) == (409, {"idempotency_key": "conflict"})
    assert Event.objects.count() == 1


def test_a_refused_event_leaves_its_key_free(api: ApiClient) -> None:
    create_event_type(api.project, {"name": "Task.update", "is_archived": True})
    assert statuses_of(post(api, [event(1, idempotency_key="k")])) == ["refused"]
    assert not IdempotencyKey.objects.exists()

    api.patch("event-types/Task.update", {"archived": False})
    assert statuses_of(post(api, [event(2, idempotency_key="k")])) == ["accepted"]


def test_keys_of_single_events_and_batches_are_the_same(api: ApiClient) -> None:
    api.post("events", event(1), headers={"Idempotency-Key": "k"})
    assert statuses_of(post(api, [event(1, idempotency_key="k")])) == ["repeated"]


def test_a_batch_that_is_repeated_with_its_own_key_is_one(api: ApiClient) -> None:
    make_subscription(project=api.project)
    batch = {"events": [event(1), event(2), event(type="a b")]}
    headers = {"Idempotency-Key": "batch-1"}

    first, again = (api.post("events/batch", batch, headers=headers) for _ in range(2))

    assert statuses_of(first) == ["accepted", "accepted", "refused"]
    assert again.json() == first.json()
    assert again["Idempotency-Replayed"] == "true"
    assert Event.objects.count() == Delivery.objects.count() == 2
    other = api.post("events/batch", {"events": [event(3)]}, headers=headers)
    assert errors_of(other, 409) == {"Idempotency-Key": "conflict"}


def test_a_long_batch_may_have_a_key_too(api: ApiClient, settings: LazySettings) -> None:
    batch = {"events": [event(n, data="x" * 2000) for n in range(BATCH_LIMIT_EVENTS)]}
    assert len(json.dumps(batch)) > settings.DATA_UPLOAD_MAX_MEMORY_SIZE
    headers = {"Idempotency-Key": "long"}

    answers = [api.post("events/batch", batch, headers=headers).json() for _ in range(2)]

    assert answers[0]["accepted"] == BATCH_LIMIT_EVENTS
    assert answers[0] == answers[1]
    assert Event.objects.count() == BATCH_LIMIT_EVENTS


def test_a_batch_that_was_refused_as_a_whole_keeps_no_key(
    api: ApiClient, settings: LazySettings
) -> None:
    settings.DISPATCHER_UNFINISHED_LIMIT = 1
    make_subscription(project=api.project)
    batch, headers = {"events": [event(1), event(2)]}, {"Idempotency-Key": "refused"}

    refused = api.post("events/batch", batch, headers=headers)

    assert errors_of(refused, 429) == {"": "backlog_full"}
    assert not IdempotentRequest.objects.exists()
    settings.DISPATCHER_UNFINISHED_LIMIT = 2  # of which none was used up
    assert statuses_of(api.post("events/batch", batch, headers=headers)) == ["accepted"] * 2


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_batches_at_once_with_the_same_keys_in_any_order_have_one_effect() -> None:
    api = ApiClient(make_project())
    make_subscription(project=api.project)
    batch = [event(number, idempotency_key=f"k{number:04}") for number in range(600)]

    def send(worker: int) -> dict[str, Any]:
        try:
            shift = worker * 150
            turned = batch[shift:] + batch[:shift]
            response = post(api, turned if worker % 2 else turned[::-1])
            assert response.status_code == 200, response.content
            answer: dict[str, Any] = response.json()
            return answer
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(send, range(4)))

    assert sum(answer["accepted"] for answer in answers) == len(batch)
    assert sum(answer["repeated"] for answer in answers) == 3 * len(batch)
    assert Event.objects.count() == Delivery.objects.count() == len(batch)
    ids = [{result["event"]["id"] for result in answer["results"]} for answer in answers]
    assert all(found == ids[0] for found in ids)


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_a_batch_takes_its_keys_by_their_order_so_that_none_waits_in_a_circle() -> None:
    api = ApiClient(make_project())
    answers: list[Any] = []

    def send() -> None:
        answers.append(post(api, [event(1, idempotency_key=key) for key in "cba"]))
        connection.close()

    sender = threading.Thread(target=send)
    with transaction.atomic():
        claim(api.project, "b")
        sender.start()
        wait_until_somebody_waits()
        claim(api.project, "c")  # which the batch must not have taken yet
    sender.join(30)

    assert statuses_of(answers[0]) == ["refused", "refused", "accepted"]


def claim(project: Project, key: str) -> None:
    IdempotencyKey.objects.create(project=project, key=key, content_digest="x", event_id=uuid4())


def wait_until_somebody_waits() -> None:
    give_up_at = time.monotonic() + 20
    with connection.cursor() as cursor:
        while time.monotonic() < give_up_at:
            cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
            if cursor.fetchone()[0]:
                return
            time.sleep(0.02)
    raise AssertionError("nobody waits")


# ---- A batch as a whole ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "field", "code"),
    [
        (b"", "", "not_json"),
        (b"[]", "", "not_an_object"),
        (b'{"events": [}', "", "not_json"),
        (b'{"events": [{"type": "a", "data": 1}],}', "", "not_json"),
        (b'{"events": [{"type": "a", "type": "b", "data": 1}]}', "", "duplicate_key"),
        (b'{"events": [{"type": "a", "data": "\xff"}]}', "", "not_utf8"),
        (b'{"events": [{"type": "a", "data": NaN}]}', "events", "not_a_number"),
        ({}, "events", "required"),
        ({"events": [event()], "x": 1}, "x", "unknown"),
        ({"events": None}, "events", "invalid"),
        ({"events": {}}, "events", "invalid"),
        ({"events": "a"}, "events", "invalid"),
        ({"events": []}, "events", "empty"),
        ({"events": [1] * (BATCH_LIMIT_EVENTS + 1)}, "events", "too_many"),
    ],
)
def test_a_malformed_batch_is_400_and_nothing_is_stored(
    api: ApiClient, body: Any, field: str, code: str
) -> None:
    assert errors_of(api.post("events/batch", body), 400) == {field: code}
    assert not Event.objects.exists()


def test_a_thousand_events_of_a_kilobyte_fit(api: ApiClient) -> None:
    make_subscription(project=api.project)
    batch = [event(n, data={"n": n, "text": "x" * 1000}) for n in range(BATCH_LIMIT_EVENTS)]

    assert set(statuses_of(post(api, batch))) == {"accepted"}
    assert Event.objects.count() == Delivery.objects.count() == BATCH_LIMIT_EVENTS


def test_only_batches_may_be_long(api: ApiClient) -> None:
    too_long = b" " * (settings.DATA_UPLOAD_MAX_MEMORY_SIZE + 1)

    assert api.post("events", too_long).status_code == 413
    assert api.post("events/batch", too_long).status_code == 400
    far_too_long = b" " * (settings.DISPATCHER_BATCH_LIMIT_BYTES + 1)
    assert api.post("events/batch", far_too_long).status_code == 413


def test_a_batch_of_too_many_deliveries_is_refused_before_anything_is_stored(
    api: ApiClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deliveries.publishing.ingest.DELIVERIES_AT_ONCE", 5)
    for _ in range(3):
        make_subscription(project=api.project, event_types=["Task.*"])
    few = [event(1, idempotency_key="k"), event(2, type="a")]

    too_many = post(api, [*few, event(3, type="Task.create")])

    assert errors_of(too_many, 400) == {"events": "too_many_deliveries"}
    assert not Event.objects.exists()
    assert not IdempotencyKey.objects.exists()
    assert statuses_of(post(api, few)) == ["accepted", "accepted"]
    assert Delivery.objects.count() == 3
    # What is there already is no matter, and one event alone is taken as by itself.
    assert statuses_of(post(api, [*few, event(4)])) == ["repeated", "accepted", "accepted"]
    monkeypatch.setattr("deliveries.publishing.ingest.DELIVERIES_AT_ONCE", 2)
    assert statuses_of(post(api, [event(5)])) == ["accepted"]


def test_events_of_many_deliveries_are_stored_a_few_at_a_time(
    api: ApiClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deliveries.publishing.ingest._BATCH_DELIVERIES", 4)
    for _ in range(3):
        make_subscription(project=api.project, event_types=["Task.*"])

    with CaptureQueriesContext(connection) as queries:
        post(api, [event(n) for n in range(4)])

    inserts = [q for q in queries if "INTO deliveries_delivery" in q["sql"].replace('"', "")]
    assert len(inserts) == 4
    assert Delivery.objects.count() == 12


def test_a_full_backlog_refuses_all_of_a_batch(api: ApiClient, settings: LazySettings) -> None:
    settings.DISPATCHER_UNFINISHED_LIMIT = 2
    make_subscription(project=api.project)

    response = post(api, [event(number, idempotency_key=f"k{number}") for number in range(3)])

    assert errors_of(response, 429) == {"": "backlog_full"}
    assert int(response["Retry-After"]) >= 1
    assert not Event.objects.exists()
    assert not IdempotencyKey.objects.exists()


def test_a_batch_takes_a_token_for_each_event(api: ApiClient, settings: LazySettings) -> None:
    settings.DISPATCHER_PUBLISH_RATE_PER_KEY = 2  # twenty at once

    first = post(api, [event()] * 15)
    second = post(api, [event()] * 15)

    assert "r=5;" in first["RateLimit"]
    assert errors_of(second, 429) == {"": "rate_limited"}
    assert Event.objects.count() == 15


def test_publishing_in_batches_needs_the_scope_to_publish(api: ApiClient) -> None:
    reader = ApiClient(api.project, ["read", "manage"])
    assert post(reader, [event()]).status_code == 403
    other = ApiClient(make_project())
    path = f"/api/v1/projects/{api.project.slug}/events/batch"
    assert other.post(path, {"events": [event()]}).status_code == 404
    assert not Event.objects.exists()
