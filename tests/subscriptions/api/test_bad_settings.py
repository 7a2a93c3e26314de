"""A subscription's settings that are not acceptable: the field is named, and nothing is stored."""

from __future__ import annotations

from typing import Any

import pytest

from subscriptions.models import SigningSecret, Subscription
from tests.api_client import ApiClient, errors_of
from tests.factories import make_project, make_subscription

pytestmark = pytest.mark.django_db

GOOD = {"url": "https://receiver.example/inbox", "event_types": ["*"]}

BAD = [
    # wrong types: nothing is taken for something else
    ("url", None, "null"),
    ("url", 5, "invalid"),
    ("url", ["https://receiver.example/"], "invalid"),
    ("url", "", "blank"),
    ("description", None, "null"),
    ("description", 5, "invalid"),
    ("description", "x" * 501, "max_length"),
    ("metadata", None, "null"),
    ("metadata", "a=b", "not_a_dict"),
    ("metadata", [["a", "b"]], "not_a_dict"),
    ("metadata.a", {"a": 1}, "invalid"),
    ("metadata.a", {"a": None}, "null"),
    ("metadata.a", {"a": {}, "b": "c"}, "invalid"),
    ("event_types", None, "null"),
    ("event_types", "*", "not_a_list"),
    ("event_types", {"*": 1}, "not_a_list"),
    ("event_types.0", [1], "invalid"),
    ("event_types.1", ["*", None], "null"),
    ("wire_format", None, "null"),
    ("wire_format", 1, "invalid"),
    ("signature_schemes", "standard", "not_a_list"),
    ("signature_schemes.0", [1], "invalid"),
    ("secret", 12345678, "invalid"),
    ("active", None, "null"),
    ("active", "true", "invalid"),
    ("active", 1, "invalid"),
    ("active", [], "invalid"),
    ("retry_schedule", 5, "invalid"),
    ("retry_schedule", {"0": 5}, "invalid"),
    ("retry_schedule", [1.5], "invalid"),
    ("retry_schedule", [True], "invalid"),
    ("retry_schedule", ["5"], "invalid"),
    ("custom_headers", ["X-A: b"], "not_a_dict"),
    ("custom_headers.X-A", {"X-A": 1}, "invalid"),
    ("custom_headers.X-A", {"X-A": None}, "null"),
    # values that mean nothing here
    ("url", "receiver.example", "scheme"),
    ("url", "ftp://receiver.example/", "scheme"),
    ("url", "https://", "ambiguous"),
    ("url", "https://user:pass@receiver.example/", "userinfo"),
    ("url", "https://receiver.example:22/", "port"),
    ("url", "https://receiver.example/" + "x" * 2048, "too_long"),
    ("url", "https://127.0.0.1/", "address"),
    ("url", "https://169.254.169.254/latest/meta-data/", "address"),
    ("url", "https://[::ffff:10.0.0.1]/", "address"),
    ("url", "https://2130706433/", "host"),
    ("url", "https://localhost/", "internal_name"),
    ("metadata.a", {"a": "x" * 501, "b": "c"}, "max_length"),
    ("metadata." + "x" * 40, {"x" * 41: "a"}, "max_length"),
    ("metadata.", {"": "a"}, "invalid"),
    ("metadata.a\nb", {"a\nb": "c"}, "invalid"),
    ("metadata", {f"n{n}": "x" for n in range(51)}, "invalid"),
    ("event_types", [], "invalid"),
    ("event_types", [""], "invalid"),
    ("event_types", ["Tas*"], "invalid"),
    ("event_types", ["*.update"], "invalid"),
    ("event_types", ["a"] * 101, "invalid"),
    ("event_types", ["x" * 129], "invalid"),
    ("wire_format", "soap", "invalid"),
    ("signature_schemes", [], "invalid"),
    ("signature_schemes", ["md5"], "invalid"),
    ("signature_schemes", ["phrase", "phrase-hex"], "invalid"),
    ("secret", "", "blank"),
    ("secret", "not-whsec-but-long-enough", "invalid"),
    ("secret", "whsec_c2hvcnQ=", "invalid"),
    ("retry_schedule", "sometimes", "invalid"),
    ("retry_schedule", [0], "invalid"),
    ("retry_schedule", [-5], "invalid"),
    ("retry_schedule", [10**30], "invalid"),
    ("retry_schedule", [1] * 21, "invalid"),
    ("custom_headers", {"Host": "evil.example"}, "invalid"),
    ("custom_headers", {"Content-Length": "0"}, "invalid"),
    ("custom_headers", {"webhook-signature": "v1,x"}, "invalid"),
    ("custom_headers", {"": "x"}, "invalid"),
    ("custom_headers", {"X-A": ""}, "invalid"),
    ("custom_headers", {"X-A": "x" * 1025}, "invalid"),
    ("custom_headers", {f"X-{n}": "x" for n in range(21)}, "invalid"),
    ("custom_headers", {"X-A": "1", "x-a": "2"}, "invalid"),
    # header injection
    ("url", "https://receiver.example/\r\nX-Evil: 1", "character"),
    ("url", "https://receiver.example/\n", "character"),
    ("url", " https://receiver.example/", "character"),
    ("url", "https://receiver.example\r\n.evil.example/", "character"),
    ("event_types", ["Task.update\r\nX-Evil: 1"], "invalid"),
    ("custom_headers", {"X-A": "1\r\nX-Evil: 1"}, "invalid"),
    ("custom_headers", {"X-A": "1\n 2"}, "invalid"),
    ("custom_headers", {"X-A\r\nX-Evil": "1"}, "invalid"),
    ("custom_headers", {"X-A: 1\nX-Evil": "1"}, "invalid"),
    ("custom_headers", {"X-Ü": "1"}, "invalid"),
    ("secret", "whsec_\r\nX-Evil: 1", "invalid"),
    # what only the service sets, and what nobody knows
    ("id", "sub_" + "0" * 32, "read_only"),
    ("failure_streak", 0, "read_only"),
    ("deactivated_at", None, "read_only"),
    ("created_at", "2026-01-01T00:00:00Z", "read_only"),
    ("secret_hint", "…", "read_only"),
    ("is_active", True, "unknown"),
    ("generation", 1, "unknown"),
    ("project", "other", "unknown"),
    ("", 1, "unknown"),
    ("__proto__", {}, "unknown"),
]
CASES = [(place.partition(".")[0], value, place, code) for place, value, code in BAD]


@pytest.mark.parametrize(("field", "value", "place", "code"), CASES)
def test_creating_names_the_field_and_stores_nothing(
    field: str, value: object, place: str, code: str
) -> None:
    client = ApiClient(make_project())

    response = client.post("subscriptions", GOOD | {field: value})

    assert errors_of(response, 400) == {place: code}
    assert not Subscription.objects.exists()
    assert not SigningSecret.objects.exists()


@pytest.mark.parametrize(
    ("field", "value", "place", "code"), [case for case in CASES if case[0] != "secret"]
)
def test_changing_names_the_field_and_changes_nothing(
    field: str, value: object, place: str, code: str
) -> None:
    subscription = make_subscription()
    before = Subscription.objects.values().get()

    response = ApiClient(subscription.project).patch(
        f"subscriptions/sub_{subscription.id.hex}", {"description": "other", field: value}
    )

    assert errors_of(response, 400) == {place: code}
    assert Subscription.objects.values().get() == before


@pytest.mark.parametrize("missing", ["url", "event_types"])
def test_what_must_be_given_is_missed(missing: str) -> None:
    body = {name: value for name, value in GOOD.items() if name != missing}

    response = ApiClient(make_project()).post("subscriptions", body)

    assert errors_of(response, 400) == {missing: "required"}


def test_an_empty_body_misses_everything() -> None:
    response = ApiClient(make_project()).post("subscriptions")

    assert errors_of(response, 400) == {"url": "required", "event_types": "required"}


def test_all_that_is_wrong_is_told_at_once() -> None:
    client = ApiClient(make_project())
    kinds: dict[str, Any] = {"url": 1, "active": "no", "secret_hint": "x", "nonsense": 1}
    values: dict[str, Any] = {"url": "x", "event_types": [], "retry_schedule": "x"}

    assert errors_of(client.post("subscriptions", GOOD | kinds), 400) == {
        "url": "invalid",
        "active": "invalid",
        "secret_hint": "read_only",
        "nonsense": "unknown",
    }
    assert errors_of(client.post("subscriptions", values), 400) == {
        "url": "scheme",
        "event_types": "invalid",
        "retry_schedule": "invalid",
    }


def test_a_refused_secret_or_header_value_is_not_repeated() -> None:
    client = ApiClient(make_project())

    secret = client.post("subscriptions", GOOD | {"secret": "hush-hush-hush"})
    header = client.post("subscriptions", GOOD | {"custom_headers": {"X-A": "hush\n"}})

    assert b"hush" not in secret.content
    assert b"hush" not in header.content
