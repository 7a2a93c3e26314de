"""The catalogue over REST: what can be said of an event type, what is refused, who may."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection

from subscriptions.catalogue import entries as event_catalogue
from subscriptions.models import AuditEntry, EventType
from tests.api_client import ApiClient, errors_of
from tests.factories import make_project

pytestmark = pytest.mark.django_db

SCHEMA = {
    "type": "object",
    "required": ["task"],
    "properties": {"task": {"properties": {"id": {"type": "integer"}}}},
}
EXACT = '{"z":123456789012345678901234567890,"a":1.10,"e":1E+2,"u":"\\u00fc"}'


@pytest.fixture
def api() -> ApiClient:
    return ApiClient(make_project())


def test_an_event_type_is_added_and_shown(api: ApiClient) -> None:
    body = {
        "name": "Task.update",
        "description": "A task was changed.",
        "example": {"task": {"id": 1}},
        "schema": SCHEMA,
    }

    created = api.post("event-types", body)

    assert created.status_code == 201
    assert created["Location"] == f"/api/v1/projects/{api.project.slug}/event-types/Task.update"
    shown = api.get(created["Location"])
    assert shown.json() == created.json()
    assert shown["ETag"] == created["ETag"]
    answer = shown.json()
    assert {name: answer[name] for name in body} == body
    assert answer["archived"] is False
    assert answer["created_at"].endswith("Z")


def test_only_the_name_is_needed(api: ApiClient) -> None:
    answer = api.post("event-types", {"name": "Task.update"}).json()
    assert (answer["description"], answer["example"], answer["schema"]) == ("", None, None)


@pytest.mark.parametrize("name", ["Task.update", "jobs:locale:complete", "a/b/c", "a-b_c", "A"])
def test_a_name_with_separators_is_a_path(api: ApiClient, name: str) -> None:
    location = api.post("event-types", {"name": name}).headers["Location"]

    assert api.get(location).json()["name"] == name
    assert api.get(f"event-types/{name}").json()["name"] == name
    encoded = name.replace("/", "%2F").replace(":", "%3A").replace(".", "%2E")
    assert api.get(f"event-types/{encoded}").json()["name"] == name
    assert api.patch(f"event-types/{encoded}", {"archived": True}).json()["archived"] is True
    assert api.delete(f"event-types/{name}").status_code == 204
    assert errors_of(api.get(f"event-types/{name}"), 404) == {}


def test_example_and_schema_are_kept_as_they_are_written(api: ApiClient) -> None:
    schema = '{"properties":{"z":{"maximum":123456789012345678901234567890.50}}}'
    body = f'{{"name":"a", "example": {EXACT}, "schema": {schema}}}'.encode()

    created = api.post("event-types", body)

    for answer in (created, api.get("event-types/a"), api.get("event-types")):
        assert f'"example":{EXACT},"schema":{schema}' in answer.content.decode()


def test_a_repeated_creation_answers_the_same_to_the_digit(api: ApiClient) -> None:
    body, key = f'{{"name":"a","example":{EXACT}}}'.encode(), {"Idempotency-Key": "k"}

    first = api.post("event-types", body, headers=key)
    again = api.post("event-types", body, headers=key)

    assert again.content == first.content
    assert again.status_code == 201
    assert again["Idempotency-Replayed"] == "true"
    assert EventType.objects.count() == 1


def test_a_patch_changes_what_is_given(api: ApiClient) -> None:
    api.post("event-types", {"name": "a", "description": "x", "example": {"task": 1}})

    answer = api.patch("event-types/a", {"description": "y", "archived": True}).json()

    assert (answer["description"], answer["archived"]) == ("y", True)
    assert answer["example"] == {"task": 1}
    assert api.patch("event-types/a", {"example": None}).json()["example"] is None


def test_a_patch_without_a_body_changes_nothing(api: ApiClient) -> None:
    before = api.post("event-types", {"name": "a", "description": "said"}).json()
    answer = api.patch("event-types/a", None)
    assert (answer.status_code, answer.json()) == (200, before)


def test_a_change_of_what_another_has_changed_is_412(api: ApiClient) -> None:
    tag = api.post("event-types", {"name": "a"})["ETag"]
    api.patch("event-types/a", {"description": "theirs"})

    late = api.call("PATCH", "event-types/a", {"description": "x"}, headers={"If-Match": tag})

    assert late.status_code == 412
    assert api.get("event-types/a").json()["description"] == "theirs"


def test_a_name_that_is_there_is_409(api: ApiClient) -> None:
    api.post("event-types", {"name": "a"})

    assert errors_of(api.post("event-types", {"name": "a"}), 409) == {"name": "exists"}
    assert ApiClient(make_project()).post("event-types", {"name": "a"}).status_code == 201


def test_a_name_stays(api: ApiClient) -> None:
    api.post("event-types", {"name": "a"})
    response = api.patch("event-types/a", {"name": "b"})
    assert errors_of(response, 400) == {"name": "not_changeable"}


def test_an_example_that_does_not_fit_is_named_with_its_place(api: ApiClient) -> None:
    body = {"name": "a", "schema": SCHEMA, "example": {"task": {"id": "one"}}}

    assert errors_of(api.post("event-types", body), 400) == {"example/task/id": "schema"}
    assert not EventType.objects.exists()


def test_neither_example_nor_schema_can_be_changed_to_what_does_not_fit(api: ApiClient) -> None:
    api.post("event-types", {"name": "a", "schema": SCHEMA, "example": {"task": {"id": 1}}})

    by_example = api.patch("event-types/a", {"example": {"task": {"id": 1.5}}})
    by_schema = api.patch("event-types/a", {"schema": {"type": "array"}})

    assert errors_of(by_example, 400) == {"example/task/id": "schema"}
    assert errors_of(by_schema, 400) == {"schema": "example"}
    both = api.patch("event-types/a", {"schema": {"type": "array"}, "example": []})
    assert both.status_code == 200


def test_a_schema_that_takes_too_long_for_its_example_is_refused(api: ApiClient) -> None:
    schema = {"properties": {"n": {"anyOf": [{"$ref": "#"}, {"$ref": "#"}]}}, "required": ["z"]}
    example = json.loads('{"n":' * 60 + "1" + "}" * 60)

    response = api.post("event-types", {"name": "a", "schema": schema, "example": example})

    assert errors_of(response, 400) == {"schema": "too_costly"}


@pytest.mark.parametrize(
    ("body", "field", "code"),
    [
        (b"", "", "not_json"),
        (b"[]", "", "not_an_object"),
        (b'{"name": "a", "name": "b"}', "", "duplicate_key"),
        (b'{"name": "a",}', "", "not_json"),
        (b'{"name": "a", "description": "\xff"}', "", "not_utf8"),
        ({}, "name", "required"),
        ({"name": None}, "name", "null"),
        ({"name": 5}, "name", "invalid"),
        ({"name": ["a"]}, "name", "invalid"),
        ({"name": ""}, "name", "blank"),
        ({"name": "a b"}, "name", "invalid"),
        ({"name": "a*"}, "name", "invalid"),
        ({"name": "a" * 129}, "name", "max_length"),
        ({"name": "import"}, "name", "reserved"),
        ({"name": "a", "description": "x" * 1001}, "description", "max_length"),
        ({"name": "a", "description": 5}, "description", "invalid"),
        ({"name": "a", "description": None}, "description", "null"),
        (b'{"name": "a", "description": "\\u0000"}', "description", "nul_character"),
        ({"name": "a", "archived": "yes"}, "archived", "invalid"),
        ({"name": "a", "archived": None}, "archived", "null"),
        ({"name": "a", "schema": 5}, "schema", "not_an_object"),
        ({"name": "a", "schema": "{}"}, "schema", "not_an_object"),
        ({"name": "a", "schema": []}, "schema", "not_an_object"),
        ({"name": "a", "schema": {"type": "objekt"}}, "schema", "invalid"),
        ({"name": "a", "schema": {"$ref": "https://example.com/x"}}, "schema", "invalid"),
        ({"name": "a", "schema": {"pattern": "(?=x)"}}, "schema", "invalid"),
        ({"name": "a", "schema": {"title": "x" * 33_000}}, "schema", "too_large"),
        ({"name": "a", "example": "x" * 300_000}, "example", "too_large"),
        (b'{"name": "a", "example": ' + b"[" * 101 + b"]" * 101 + b"}", "example", "too_deep"),
        (b'{"name": "a", "example": NaN}', "example", "not_a_number"),
        (b'{"name": "a", "example": {"x": 1, "x": 2}}', "", "duplicate_key"),
        (b'{"name": "a", "schema": ' + b'{"not":' * 99 + b"{}" + b"}" * 99 + b"}", "schema", None),
        ({"name": "a", "color": "red"}, "color", "unknown"),
        ({"name": "a", "created_at": "2026-01-01T00:00:00Z"}, "created_at", "read_only"),
    ],
)  # fmt: skip
def test_bad_input_is_400_and_nothing_is_stored(
    api: ApiClient, body: Any, field: str, code: str | None
) -> None:
    errors = errors_of(api.post("event-types", body), 400)

    assert list(errors) == [field]
    assert code is None or errors[field] == code
    assert not EventType.objects.exists()


@pytest.mark.parametrize(
    "query", [{"limit": 0}, {"archived": "yes"}, {"name": "a"}, {"cursor": "x"}]
)
def test_a_wrong_filter_is_400(api: ApiClient, query: dict[str, Any]) -> None:
    assert list(errors_of(api.get("event-types", query), 400)) == list(query)


def test_the_list_is_paged_and_filtered(api: ApiClient) -> None:
    for number in range(5):
        api.post("event-types", {"name": f"t{number}", "archived": number == 3})

    first = api.get("event-types", {"limit": 2}).json()
    second = api.follow(first["next"]).json()

    assert [row["name"] for row in first["results"] + second["results"]] == ["t4", "t3", "t2", "t1"]
    archived = api.get("event-types", {"archived": "true"}).json()["results"]
    assert [row["name"] for row in archived] == ["t3"]
    assert len(api.get("event-types", {"archived": "false"}).json()["results"]) == 4


@pytest.mark.parametrize("name", ["nothing", "a//b", "a/", "%00", "é", "x" * 500])
def test_what_is_not_there_is_404(api: ApiClient, name: str) -> None:
    assert api.get(f"event-types/{name}").status_code == 404


def test_what_belongs_to_another_project_is_not_there(api: ApiClient) -> None:
    other = ApiClient(make_project())
    other.post("event-types", {"name": "a"})

    assert api.get("event-types/a").status_code == 404
    assert api.patch("event-types/a", {"archived": True}).status_code == 404
    assert api.delete("event-types/a").status_code == 404
    assert api.get("event-types").json()["results"] == []
    assert api.get(f"/api/v1/projects/{other.project.slug}/event-types").status_code == 404
    assert EventType.objects.get().is_archived is False


def test_scopes_decide_who_reads_and_who_changes(api: ApiClient) -> None:
    reader = ApiClient(api.project, ["read"])
    api.post("event-types", {"name": "a"})

    assert reader.get("event-types").status_code == 200
    assert reader.get("event-types/a").status_code == 200
    for method, path in (
        ("POST", "event-types"),
        ("PATCH", "event-types/a"),
        ("DELETE", "event-types/a"),
        ("POST", "event-types/import"),
    ):
        assert reader.call(method, path, {}).status_code == 403
    assert ApiClient(api.project, ["publish"]).get("event-types").status_code == 403


def test_changes_are_in_the_audit_log(api: ApiClient) -> None:
    api.post("event-types", {"name": "a", "schema": SCHEMA})
    api.patch("event-types/a", {"archived": True})
    api.patch("event-types/a", {"archived": True})  # changes nothing
    api.delete("event-types/a")

    entries = AuditEntry.objects.order_by("id")
    assert [(entry.action, entry.target_id) for entry in entries if "type" in entry.action] == [
        ("event_type.created", "a"),
        ("event_type.changed", "a"),
        ("event_type.deleted", "a"),
    ]
    changed = entries.get(action="event_type.changed")
    assert (changed.before, changed.after) == ({"archived": False}, {"archived": True})


def test_a_project_has_so_many_event_types_and_no_more(
    api: ApiClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_catalogue, "LIMIT_TYPES", 1)
    api.post("event-types", {"name": "a"})
    assert errors_of(api.post("event-types", {"name": "b"}), 400) == {"": "limit_reached"}


def test_what_was_stored_past_the_rules_does_not_break_an_answer(api: ApiClient) -> None:
    row = EventType.objects.create(project=api.project, name="a", example="{bad", schema="NaN")

    shown = api.get("event-types/a").json()
    assert (shown["example"], shown["schema"]) == (None, None)
    changed = api.patch("event-types/a", {"schema": SCHEMA})
    assert errors_of(changed, 400) == {"example": "not_json"}
    assert api.patch("event-types/a", {"example": None, "schema": SCHEMA}).status_code == 200
    row.refresh_from_db()
    assert (row.example, json.loads(row.schema)) == ("", SCHEMA)


def test_what_was_deleted_is_in_the_audit_log_as_it_was_last(api: ApiClient) -> None:
    api.post("event-types", {"name": "a", "description": "Old"})
    read_before = EventType.objects.get()
    api.patch("event-types/a", {"description": "New"})

    assert event_catalogue.delete_event_type(read_before)

    entry = AuditEntry.objects.get(action="event_type.deleted")
    assert entry.before is not None
    assert entry.before["description"] == "New"
    assert not event_catalogue.delete_event_type(read_before)


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_of_creations_at_once_one_is_stored() -> None:
    api = ApiClient(make_project())

    def create(_number: int) -> int:
        try:
            return int(api.post("event-types", {"name": "a"}).status_code)
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        statuses = sorted(pool.map(create, range(4)))

    assert statuses == [201, 409, 409, 409]
    assert EventType.objects.count() == 1
