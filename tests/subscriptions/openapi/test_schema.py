"""The API's description says of every operation what there is to know, as the code checks it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from drf_spectacular.generators import SchemaGenerator
from hypothesis import given
from hypothesis import strategies as st

from subscriptions.access.api_keys import ALL_SCOPES
from subscriptions.custom_headers import NAME_PATTERN, VALUE_PATTERN, check_custom_headers
from subscriptions.event_types import LIMIT_CHARACTERS, PATTERN, is_event_type
from subscriptions.matching import FILTER_PATTERN, check_filters
from subscriptions.openapi.schema import operation_name
from subscriptions.refusal import SettingRefused

NAMES = st.text("aB_1.:/-*", max_size=8) | st.builds(
    lambda part, end, count: (part * count)[:130] + end,
    st.sampled_from(["a", "ab.", "x-"]),
    st.sampled_from(["", "a", ".*", "*"]),
    st.integers(0, 130),
)


@pytest.fixture(scope="module")
def description() -> dict[str, Any]:
    made: dict[str, Any] = SchemaGenerator().get_schema(request=None, public=True)
    return made


def operations(description: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, methods in description["paths"].items():
        for method, told in methods.items():
            yield f"{method} {path}", told


@pytest.mark.parametrize(
    ("method", "path", "name"),
    [
        ("GET", "subscriptions", "list_subscriptions"),
        ("POST", "subscriptions", "create_subscription"),
        ("GET", "subscriptions/{subscription_id}", "get_subscription"),
        ("PATCH", "subscriptions/{subscription_id}", "update_subscription"),
        ("DELETE", "event-types/{name}", "delete_event_type"),
        ("POST", "subscriptions/{subscription_id}/secret/rotate", "rotate_subscription_secret"),
        ("POST", "secret/rotate", "rotate_project_secret"),
        ("GET", "secret", "get_project_secret"),
        ("POST", "deliveries/{delivery_id}/redeliver", "redeliver_delivery"),
        ("POST", "recoveries", "create_recovery"),
        ("POST", "recoveries/{recovery_id}/pause", "pause_recovery"),
        ("POST", "projects", "create_project"),
        ("GET", "projects/{project}", "get_project"),
    ],
)
def test_an_operation_s_name_comes_of_its_path(method: str, path: str, name: str) -> None:
    is_list = method == "GET" and path.endswith("s")
    assert operation_name(method, path.split("/"), is_list=is_list) == name


def test_what_is_not_a_page_is_not_called_a_list() -> None:
    path = ["subscriptions", "{subscription_id}", "stats"]
    assert operation_name("GET", path, is_list=False) == "get_subscription_stats"


def test_every_operation_says_what_it_does_and_which_scope_it_needs(
    description: dict[str, Any],
) -> None:
    tags = {tag["name"] for tag in description["tags"]}
    for name, told in operations(description):
        assert told["summary"], name
        assert set(told["tags"]) <= tags, f"{name}: a line in TAGS describes the tag"
        ((key,),) = [scheme.values() for scheme in told["security"]]
        assert set(key) <= {*ALL_SCOPES, "operate"}, name
        assert f"`{key[0]}`" in told["description"]
        for parameter in told.get("parameters", []):
            assert parameter.get("description"), (name, parameter["name"])


def test_every_member_is_described(description: dict[str, Any]) -> None:
    for name, schema in description["components"]["schemas"].items():
        assert schema["description"].endswith("."), name
        for member, about in schema.get("properties", {}).items():
            assert about.get("description"), (name, member)


def test_every_error_is_a_problem_document(description: dict[str, Any]) -> None:
    for name, told in operations(description):
        assert {"400", "401", "403", "429", "503"} <= set(told["responses"]), name
        assert ("404" in told["responses"]) == ("{" in name)
        for status, response in told["responses"].items():
            if status.startswith(("4", "5")):
                found = resolved(description, response)
                assert set(found["content"]) == {"application/problem+json"}
                assert "X-Request-Id" in found["headers"]
                assert ("Retry-After" in found["headers"]) == (status in {"429", "503"})


def resolved(description: dict[str, Any], response: dict[str, Any]) -> dict[str, Any]:
    if "$ref" not in response:
        return response
    found: dict[str, Any] = description["components"]["responses"][
        response["$ref"].rpartition("/")[2]
    ]
    return found


def test_bodies_refuse_unknown_members_and_answers_have_all_of_theirs(
    description: dict[str, Any],
) -> None:
    schemas = description["components"]["schemas"]
    bodies = {
        told["requestBody"]["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
        for _, told in operations(description)
        if "requestBody" in told
    }
    for name in bodies:
        assert schemas[name]["additionalProperties"] is False, name
    for name in ("Subscription", "Delivery", "Attempt", "Problem"):
        assert schemas[name]["required"] == sorted(schemas[name]["properties"]), name
    assert set(schemas["SubscriptionRequest"]["required"]) == {"url", "event_types"}
    assert "required" not in schemas["SubscriptionPatch"]
    assert "secret" not in schemas["SubscriptionPatch"]["properties"]


def test_ids_in_paths_have_their_pattern(description: dict[str, Any]) -> None:
    path = "/api/v1/projects/{project}/subscriptions/{subscription_id}"
    parameters = {row["name"]: row for row in description["paths"][path]["get"]["parameters"]}
    assert parameters["subscription_id"]["schema"]["pattern"] == "^sub_[0-9a-f]{32}$"


def test_what_may_be_null_has_null_among_its_types(description: dict[str, Any]) -> None:
    delivery = description["components"]["schemas"]["Delivery"]["properties"]
    assert delivery["finished_at"]["type"] == ["string", "null"]
    assert delivery["end_reason"]["enum"][-1] is None


# ---- Patterns are said twice: for us, and for clients -------------------------------------------


def fits(pattern: str, text: str) -> bool:
    return re.fullmatch(pattern.removesuffix("$"), text) is not None


@given(NAMES)
def test_the_patterns_of_event_types_and_filters_are_what_is_checked(name: str) -> None:
    is_short = len(name) <= LIMIT_CHARACTERS
    assert is_event_type(name) == (is_short and fits(PATTERN, name))
    try:
        check_filters([name])
    except SettingRefused:
        assert not (is_short and fits(FILTER_PATTERN, name))
    else:
        assert is_short
        assert fits(FILTER_PATTERN, name)


@given(st.text(max_size=6), st.text(max_size=6))
def test_the_patterns_of_custom_headers_are_what_is_checked(name: str, value: str) -> None:
    try:
        check_custom_headers({f"X-{name}": value})
    except SettingRefused:
        assert not (fits(NAME_PATTERN, f"X-{name}") and fits(VALUE_PATTERN, value))
    else:
        assert fits(NAME_PATTERN, f"X-{name}")
        assert fits(VALUE_PATTERN, value)
