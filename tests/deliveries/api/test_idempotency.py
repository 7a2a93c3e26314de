"""Requests that are repeated with one `Idempotency-Key`: one effect, one answer."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from deliveries.models import Delivery
from deliveries.upkeep.pruning import prune
from subscriptions.models import AuditEntry, IdempotentRequest, SigningSecret, Subscription
from subscriptions.secrets import encryption_rotation
from tests.api_client import ApiClient, errors_of
from tests.at_once import at_once
from tests.factories import make_project, make_subscription
from tests.rates import make_uncounted_project

URL = "https://receiver.example/inbox"
NEW: dict[str, Any] = {"url": URL, "event_types": ["*"]}
KEY = {"Idempotency-Key": "made-once"}


@pytest.fixture
def client(db: None) -> ApiClient:  # noqa: ARG001  # opens the database
    return ApiClient(make_project())


def test_a_repeated_creation_gets_the_first_answer_with_its_secret(client: ApiClient) -> None:
    first = client.post("subscriptions", NEW, headers=KEY)
    again = client.post("subscriptions", NEW, headers=KEY)

    assert (first.status_code, again.status_code) == (201, 201)
    assert again.json() == first.json()
    assert again.json()["secret"]
    assert again["Location"] == first["Location"]
    assert again["Idempotency-Replayed"] == "true"
    assert "Idempotency-Replayed" not in first
    assert Subscription.objects.count() == 1


def test_what_is_kept_of_an_answer_does_not_show_its_secret(client: ApiClient) -> None:
    secret = client.post("subscriptions", NEW, headers=KEY).json()["secret"]
    row = IdempotentRequest.objects.get()
    assert row.answer
    assert secret not in row.answer
    assert encryption_rotation.survey().looked_at >= 2  # the signing secret, and the answer


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("subscriptions", {**NEW, "description": "another"}),
        ("secret/rotate", NEW),
    ],
    ids=["other content", "another route"],
)
def test_a_key_with_other_content_is_a_conflict(
    client: ApiClient, path: str, body: dict[str, Any]
) -> None:
    assert client.post("subscriptions", NEW, headers=KEY).status_code == 201
    response = client.post(path, body, headers=KEY)
    assert errors_of(response, 409) == {"Idempotency-Key": "conflict"}
    assert Subscription.objects.count() == 1


def test_a_refused_request_keeps_no_key(client: ApiClient) -> None:
    refused = client.post("subscriptions", {**NEW, "url": "nonsense"}, headers=KEY)
    assert errors_of(refused, 400).keys() == {"url"}
    assert client.post("subscriptions", NEW, headers=KEY).status_code == 201


@pytest.mark.parametrize("key", ["", "k" * 256, "a\tb"], ids=["empty", "too long", "a tab"])
def test_a_key_that_is_none_is_refused(client: ApiClient, key: str) -> None:
    response = client.post("subscriptions", NEW, headers={"Idempotency-Key": key})
    assert errors_of(response, 400) == {"Idempotency-Key": "invalid"}
    assert not Subscription.objects.exists()


def test_two_projects_may_use_the_same_key(client: ApiClient) -> None:
    other = ApiClient(make_project())
    ids = [each.post("subscriptions", NEW, headers=KEY).json()["id"] for each in (client, other)]
    assert len(set(ids)) == 2


def test_a_secret_is_rotated_once(client: ApiClient) -> None:
    answers = [client.post("secret/rotate", {}, headers=KEY) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert answers[0].json() == answers[1].json()
    assert SigningSecret.objects.filter(project=client.project).count() == 1
    assert AuditEntry.objects.filter(action="secret.rotated").count() == 1


def test_a_test_is_sent_once_and_both_callers_hear_of_the_same_delivery(client: ApiClient) -> None:
    subscription = make_subscription(project=client.project)
    path = f"subscriptions/sub_{subscription.id.hex}/test"
    answers = [
        client.post(path, {}, headers={**KEY, "Prefer": prefer}) for prefer in ("", "wait=1")
    ]
    assert [answer.status_code for answer in answers] == [202, 202]
    assert answers[0].json() == answers[1].json()
    assert answers[1]["Preference-Applied"] == "wait=1"
    assert answers[1]["Idempotency-Replayed"] == "true"
    assert Delivery.objects.count() == 1


def test_a_delivery_is_sent_again_once(client: ApiClient) -> None:
    subscription = make_subscription(project=client.project)
    published = client.post("events", {"type": "a.b", "data": {}})
    (identifier,) = published.json()["deliveries"]
    Delivery.objects.update(status="failed", next_attempt_at=None)

    path = f"deliveries/{identifier}/redeliver"
    answers = [client.post(path, {}, headers=KEY) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [202, 202]
    assert answers[0].json() == answers[1].json()
    assert subscription.deliveries.get().status == "pending"


@pytest.mark.django_db(transaction=True)
def test_of_requests_at_once_one_has_an_effect() -> None:
    client = ApiClient(make_uncounted_project())
    answers = at_once(*[lambda: client.post("subscriptions", NEW, headers=KEY)] * 8)

    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json()["secret"] for answer in answers}) == 1
    assert sum("Idempotency-Replayed" not in answer for answer in answers) == 1
    assert Subscription.objects.count() == 1


@pytest.mark.parametrize(
    ("path", "body", "kind"),
    [
        ("subscriptions", NEW, "subscription"),
        ("secret/rotate", {}, "project"),
        ("keys", {"scopes": ["read"]}, "api_key"),
    ],
)
def test_who_sees_a_secret_by_repeating_is_written_down(
    client: ApiClient, path: str, body: dict[str, Any], kind: str
) -> None:
    revealed = AuditEntry.objects.filter(action="secret.revealed")
    first = client.post(path, body, headers=KEY)
    assert not revealed.exists()

    again = client.post(path, body, headers=KEY)

    assert again.json() == first.json()
    assert "no-store" in again["Cache-Control"]
    entry = revealed.get()
    assert (entry.project, entry.target_kind) == (client.project, kind)
    assert entry.actor_id == client.key.prefix


def test_repeating_what_shows_no_secret_is_not_written_down(client: ApiClient) -> None:
    client.post("secret/rotate", {})
    body = {**NEW, "uses_default_secret": True}
    answers = [client.post("subscriptions", body, headers=KEY) for _ in range(2)]
    assert [answer.json()["secret"] for answer in answers] == [None, None]
    assert not AuditEntry.objects.filter(action="secret.revealed").exists()


@pytest.mark.django_db(transaction=True)
def test_answers_are_forgotten_after_a_day_whatever_history_is_kept() -> None:
    client = ApiClient(make_project())
    client.post("subscriptions", NEW, headers=KEY)
    prune(now=timezone.now() + timedelta(hours=23))
    assert IdempotentRequest.objects.count() == 1
    prune(now=timezone.now() + timedelta(hours=24, seconds=1))
    assert IdempotentRequest.objects.count() == 0


@pytest.mark.django_db(transaction=True)
def test_a_key_that_is_older_than_a_day_is_new_and_once_again_only_once() -> None:
    client = ApiClient(make_uncounted_project())
    first = client.post("subscriptions", NEW, headers=KEY)
    yesterday = timezone.now() - timedelta(hours=24, seconds=1)
    IdempotentRequest.objects.update(created_at=yesterday, content_digest="of another request")

    answers = at_once(*[lambda: client.post("subscriptions", NEW, headers=KEY)] * 4)

    assert [answer.status_code for answer in answers] == [201] * 4
    (made,) = {answer.json()["id"] for answer in answers}
    assert made != first.json()["id"]
    assert Subscription.objects.count() == 2
    assert IdempotentRequest.objects.get().created_at > yesterday
