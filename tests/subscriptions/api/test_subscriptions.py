"""Subscriptions over REST: create, list, show, reveal the secret."""

from __future__ import annotations

from typing import Any

import pytest
from django.conf import LazySettings
from django.db import connection

from subscriptions.models import SigningSecret, Subscription
from subscriptions.retry_schedules import PRESETS
from subscriptions.secrets.secret_format import generate_secret, standard_key
from subscriptions.secrets.signing_secrets import reveal_newest
from tests.api_client import ApiClient, errors_of
from tests.factories import make_project, make_subscription

pytestmark = pytest.mark.django_db

URL = "https://receiver.example/inbox"


@pytest.fixture
def client_of_project() -> ApiClient:
    return ApiClient(make_project())


def create(client: ApiClient, **settings: Any) -> dict[str, Any]:
    response = client.post("subscriptions", {"url": URL, "event_types": ["*"]} | settings)
    assert response.status_code == 201, response.content
    created: dict[str, Any] = response.json()
    return created


def test_a_new_subscription_has_defaults_for_what_was_not_given(
    client_of_project: ApiClient,
) -> None:
    created = create(client_of_project, event_types=["Task.*"])

    subscription = Subscription.objects.get()
    secret = created.pop("secret")
    assert standard_key(secret)
    assert created == {
        "id": f"sub_{subscription.id.hex}",
        "url": URL,
        "description": "",
        "metadata": {},
        "event_types": ["Task.*"],
        "wire_format": "standard",
        "repsona_fields": False,
        "signature_schemes": ["standard"],
        "uses_default_secret": False,
        "secret_hint": f"…{secret[-4:]}",
        "active": True,
        "retry_schedule": [],
        "custom_headers": {},
        "failure_streak": 0,
        "deactivated_at": None,
        "deactivation_reason": None,
        "last_error": None,
        "last_error_at": None,
        "created_at": created["created_at"],
        "updated_at": created["updated_at"],
    }
    assert created["created_at"].endswith("Z")
    assert subscription.project == client_of_project.project


def test_everything_that_may_be_set_is_kept(client_of_project: ApiClient) -> None:
    settings = {
        "url": "https://receiver.example/a?b=c",
        "description": "Ü, with\nlines",
        "metadata": {"customer id": "4711", "ünlü": "", "note": "x" * 500},
        "event_types": ["Task.update", "jobs:*"],
        "wire_format": "repsona",
        "signature_schemes": ["repsona", "standard"],
        "secret": generate_secret(),
        "active": False,
        "retry_schedule": [5, 60],
        "custom_headers": {"X-Tenant": "blue"},
    }

    created = create(client_of_project, **settings)

    shown = settings | {"custom_headers": {"X-Tenant": "…"}}
    assert {name: created[name] for name in settings} == shown
    assert created["deactivation_reason"] == "by_hand"
    assert created["deactivated_at"] is not None


def test_the_answer_says_where_the_new_subscription_is(client_of_project: ApiClient) -> None:
    response = client_of_project.post("subscriptions", {"url": URL, "event_types": ["*"]})

    found = client_of_project.get(response["Location"])

    assert found.json()["id"] == response.json()["id"]


def test_a_url_is_kept_in_its_normal_form(client_of_project: ApiClient) -> None:
    created = create(client_of_project, url="HTTPS://Receiver.EXAMPLE:443/a/../b")

    assert created["url"] == "https://receiver.example/b"


@pytest.mark.parametrize(
    ("given", "kept"), [("standard", list(PRESETS["standard"])), (None, []), ([1, 2], [1, 2])]
)
def test_a_retry_schedule_is_a_list_of_seconds_or_a_presets_name(
    client_of_project: ApiClient, given: object, kept: list[int]
) -> None:
    assert create(client_of_project, retry_schedule=given)["retry_schedule"] == kept


@pytest.mark.parametrize("wire_format", ["standard", "repsona", "phrase", "stripe", "github"])
def test_a_wire_format_brings_its_signature_scheme(
    client_of_project: ApiClient, wire_format: str
) -> None:
    created = create(client_of_project, wire_format=wire_format)
    named = create(client_of_project, wire_format=wire_format, signature_schemes=None)

    assert created["signature_schemes"] == named["signature_schemes"] == [wire_format]


def test_any_text_may_be_the_secret_where_the_scheme_takes_it(
    client_of_project: ApiClient,
) -> None:
    created = create(client_of_project, wire_format="repsona", secret="correct horse")

    assert created["secret"] == "correct horse"
    assert reveal_newest(Subscription.objects.get()) == "correct horse"


def test_a_secret_is_stored_encrypted_and_answered_only_when_it_is_new(
    client_of_project: ApiClient,
) -> None:
    created = create(client_of_project)
    secret, path = created["secret"], f"subscriptions/{created['id']}"

    answers = [
        client_of_project.get(path),
        client_of_project.get("subscriptions"),
        client_of_project.patch(path, {"description": "new"}),
    ]

    assert all(answer.status_code == 200 for answer in answers)
    assert all(secret not in answer.content.decode() for answer in answers)
    assert secret not in SigningSecret.objects.get().ciphertext


def test_a_secret_that_cannot_be_decrypted_does_not_hide_the_subscription(
    client_of_project: ApiClient, settings: LazySettings
) -> None:
    created = create(client_of_project)
    settings.DISPATCHER_ENCRYPTION_KEYS = ("YW5vdGhlciBrZXkgb2YgdGhpcnR5LXR3byBieXRlcy4=",)

    shown = client_of_project.get(f"subscriptions/{created['id']}")
    revealed = client_of_project.get(f"subscriptions/{created['id']}/secret")

    assert shown.json()["secret_hint"] is None
    errors_of(revealed, 500)


def test_a_project_that_wants_https_refuses_http() -> None:
    client = ApiClient(make_project(is_https_only=True))

    response = client.post(
        "subscriptions", {"url": "http://receiver.example/", "event_types": ["*"]}
    )

    assert errors_of(response, 400) == {"url": "https_only"}


def test_the_list_is_newest_first_without_the_deleted(client_of_project: ApiClient) -> None:
    ids = [create(client_of_project)["id"] for _ in range(3)]
    make_subscription()  # of another project
    client_of_project.delete(f"subscriptions/{ids[1]}")

    listed = client_of_project.get("subscriptions").json()

    assert [row["id"] for row in listed["results"]] == [ids[2], ids[0]]
    assert listed["next"] is listed["previous"] is None


def test_a_list_costs_the_same_queries_however_long_it_is(
    client_of_project: ApiClient, django_assert_num_queries: Any
) -> None:
    for _ in range(5):
        create(client_of_project)
    client_of_project.get("subscriptions")  # the key's first use is written down

    of_time_limit = 4 if connection.vendor == "postgresql" else 0  # a transaction, and to set it
    # The key, subscriptions, their secrets, the default one.
    with django_assert_num_queries(4 + of_time_limit):
        listed = client_of_project.get("subscriptions").json()

    assert len(listed["results"]) == 5


@pytest.mark.parametrize(
    "public_id",
    [
        "sub_" + "0" * 32,
        "evt_" + "0" * 32,
        "sub_" + "0" * 31,
        "sub_" + "A" * 32,
        "0" * 32,
        "sub_01a1ffcf-9b6a-704c-a7c9-3f55f0041d02",
        "null",
        "%00",
        "..",
        "1 OR 1=1",
    ],
)
@pytest.mark.parametrize("rest", ["", "/secret"])
def test_an_id_that_is_none_of_the_projects_is_404(
    client_of_project: ApiClient, public_id: str, rest: str
) -> None:
    errors_of(client_of_project.get(f"subscriptions/{public_id}{rest}"), 404)
