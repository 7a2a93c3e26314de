"""What the catalogue asks of events: known, in use, and with data that fits."""

from __future__ import annotations

import json
from typing import Any

import pytest

from deliveries.models import Event
from deliveries.publishing.ingest import EventRefused, NewEvent, publish, publish_each, publish_many
from subscriptions.catalogue import json_schema
from subscriptions.catalogue.entries import create_event_type
from subscriptions.models import EventType, Project
from subscriptions.payload import payload_from_python
from tests.api_client import ApiClient, errors_of
from tests.factories import make_project, make_subscription

pytestmark = pytest.mark.django_db

SCHEMA = {
    "type": "object",
    "required": ["task"],
    "properties": {"task": {"properties": {"id": {"type": "integer", "maximum": 10**30}}}},
}


@pytest.fixture
def api() -> ApiClient:
    return ApiClient(make_project())


def add(project: Project, name: str = "Task.update", **settings: Any) -> EventType:
    for member in ("schema", "example"):
        if member in settings:
            settings[member] = payload_from_python(settings[member])
    return create_event_type(project, {"name": name, **settings})  # type: ignore[typeddict-item]


def post(api: ApiClient, data: Any, **headers: str) -> Any:
    return api.post("events", {"type": "Task.update", "data": data}, headers=headers)


def test_data_that_fits_is_taken(api: ApiClient) -> None:
    add(api.project, schema=SCHEMA)
    assert post(api, {"task": {"id": 10**30}}).status_code == 202


@pytest.mark.parametrize(
    ("data", "errors"),
    [
        ({}, {"data": "schema"}),
        ([], {"data": "schema"}),
        (None, {"data": "schema"}),
        ({"task": {"id": "x"}}, {"data/task/id": "schema"}),
        ({"task": {"id": 1.5}}, {"data/task/id": "schema"}),
        ({"task": {"id": 10**30 + 1}}, {"data/task/id": "schema"}),
    ],
)
def test_data_that_does_not_fit_is_422_with_the_place(
    api: ApiClient, data: Any, errors: dict[str, str]
) -> None:
    add(api.project, schema=SCHEMA)

    assert errors_of(post(api, data), 422) == errors
    assert not Event.objects.exists()


def test_twenty_errors_are_told_and_no_more(api: ApiClient) -> None:
    add(api.project, schema={"items": {"type": "integer"}})
    assert len(errors_of(post(api, ["x"] * 100), 422)) == json_schema.LIMIT_ERRORS


def test_another_projects_schema_is_no_matter(api: ApiClient) -> None:
    add(make_project(), schema=SCHEMA)
    assert post(api, {}).status_code == 202


def test_an_archived_type_is_422_and_may_come_back(api: ApiClient) -> None:
    add(api.project, is_archived=True)

    assert errors_of(post(api, {}), 422) == {"type": "archived"}
    api.patch("event-types/Task.update", {"archived": False})
    assert post(api, {}).status_code == 202


def test_a_changed_schema_holds_at_once(api: ApiClient) -> None:
    add(api.project)
    assert post(api, {}).status_code == 202

    api.patch("event-types/Task.update", {"schema": SCHEMA})
    assert post(api, {}).status_code == 422
    api.patch("event-types/Task.update", {"schema": {"required": ["a"]}})
    assert post(api, {"a": 1}).status_code == 202
    api.patch("event-types/Task.update", {"schema": None})
    assert post(api, {}).status_code == 202


def test_a_repeated_event_is_answered_though_its_schema_changed(api: ApiClient) -> None:
    add(api.project)
    key = {"Idempotency-Key": "order-17"}
    first = post(api, {}, **key)
    api.patch("event-types/Task.update", {"schema": SCHEMA})

    again = post(api, {}, **key)

    assert (again.status_code, again.json()) == (202, first.json())
    assert post(api, {"other": 1}, **key).status_code == 409


def test_a_schema_that_takes_too_long_refuses_the_event_and_nothing_else(api: ApiClient) -> None:
    endless = {"properties": {"n": {"anyOf": [{"$ref": "#"}, {"$ref": "#"}]}}, "required": ["z"]}
    add(api.project, schema=endless)

    response = post(api, json.loads('{"n":' * 60 + "1" + "}" * 60))

    assert errors_of(response, 422) == {"data": "schema_too_costly"}
    assert post(api, {"z": 1}).status_code == 202


@pytest.mark.parametrize("schema", ['{"pattern":"(?=a)"}', "{bad", '{"multipleOf":NaN}', "[]"])
def test_a_schema_that_was_stored_past_the_rules_refuses_events(
    api: ApiClient, schema: str
) -> None:
    EventType.objects.create(project=api.project, name="Task.update", schema=schema)
    assert errors_of(post(api, {}), 422) == {"data": "schema_too_costly"}


def test_the_work_of_many_events_is_bounded_together(monkeypatch: pytest.MonkeyPatch) -> None:
    project = make_project()
    add(project, schema={"items": {"type": "integer"}})
    monkeypatch.setattr("deliveries.publishing.catalogue_checks.STEPS_PER_BATCH", 300)

    results = publish_each(
        project=project, events=[NewEvent("Task.update", [1] * 10) for _ in range(10)]
    )

    refused = [result for result in results if isinstance(result, EventRefused)]
    assert {refusal.code for refusal in refused} == {"schema_too_costly"}
    assert 0 < len(refused) < 10


def test_compiling_is_work_of_the_batch_and_done_once(monkeypatch: pytest.MonkeyPatch) -> None:
    project = make_project()
    names = [f"type{number}" for number in range(10)]
    for name in names:
        add(project, name, schema={"properties": {f"p{n}": {"type": "array"} for n in range(20)}})
    monkeypatch.setattr("deliveries.publishing.catalogue_checks.STEPS_PER_BATCH", 3000)

    def taken() -> int:
        results = publish_each(project=project, events=[NewEvent(name, {}) for name in names])
        return sum(not isinstance(result, EventRefused) for result in results)

    first = taken()
    assert 0 < first < 10
    assert first < taken() <= 10  # what was compiled the first time is ready


def test_an_event_is_judged_alike_whether_its_schema_is_ready_or_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    project = make_project()
    add(project, schema={"items": {"type": "integer"}})
    monkeypatch.setattr("subscriptions.catalogue.entries.STEPS_PER_EVENT", 30)

    for _ in range(2):
        publish(project=project, event_type="Task.update", data=[1] * 10)
        with pytest.raises(EventRefused):
            publish(project=project, event_type="Task.update", data=[1] * 30)


def test_publishing_in_process_is_judged_likewise() -> None:
    project = make_project()
    add(project, schema=SCHEMA)
    good = NewEvent("Task.update", {"task": {"id": 1}})

    with pytest.raises(EventRefused) as refusal:
        publish(project=project, event_type="Task.update", data={"task": {"id": "x"}})
    assert [error.field for error in refusal.value.errors] == ["data/task/id"]
    with pytest.raises(EventRefused):
        publish_many(project=project, events=[good, NewEvent("Task.update", {})])
    assert not Event.objects.exists()
    publish_many(project=project, events=[good, good])
    assert Event.objects.count() == 2


# ---- Tests ----------------------------------------------------------------------------------


def send_test(api: ApiClient, **body: Any) -> Any:
    subscription = make_subscription(project=api.project)
    return api.post(f"subscriptions/sub_{subscription.id.hex}/test", body)


def test_a_test_sends_the_example_even_of_an_archived_type(api: ApiClient) -> None:
    add(api.project, schema=SCHEMA, example={"task": {"id": 7}}, is_archived=True)

    assert send_test(api, event_type="Task.update").status_code == 202
    assert Event.objects.get().data == '{"task":{"id":7}}'


def test_a_test_with_data_that_does_not_fit_is_refused_as_an_event_is(api: ApiClient) -> None:
    add(api.project, schema=SCHEMA)

    response = send_test(api, event_type="Task.update", data={"task": {"id": "x"}})

    assert errors_of(response, 422) == {"data/task/id": "schema"}


def test_a_test_of_a_type_without_an_example_is_not_held_back(api: ApiClient) -> None:
    add(api.project, schema=SCHEMA)
    assert send_test(api, event_type="Task.update").status_code == 202
