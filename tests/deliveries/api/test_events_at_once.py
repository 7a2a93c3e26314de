"""The quick way of an event answers as the ordinary way does, and only where all is clear."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.conf import LazySettings
from django.db import OperationalError, connection, transaction
from django.urls import reverse
from django.utils import timezone

from deliveries.models import Delivery, Event, IdempotencyKey
from deliveries.publishing.ingest import publish
from dispatcher.events_first import EVENTS
from subscriptions.access.api_keys import revoke
from subscriptions.models import ApiKey, EventType, Project
from tests.api_client import PROBLEM, ApiClient, OperatorClient, errors_of
from tests.at_once import at_once
from tests.factories import make_project, make_subscription
from tests.rates import refill_slowly

pytestmark = [pytest.mark.postgres, pytest.mark.django_db(transaction=True)]

BODY = {"type": "Task.update", "data": {"id": 1}}


@pytest.fixture
def api() -> ApiClient:
    """A client whose key and project this process remembers."""
    client = ApiClient(make_subscription().project)
    for _ in range(2):  # the first use of a key is written down, the second one remembers it
        client.post("events", BODY)
    Event.objects.all().delete()
    Delivery.objects.all().delete()
    return client


def by_the_ordinary_way(api: ApiClient, body: Any, **headers: str) -> Any:
    """In a transaction nothing is remembered."""
    with transaction.atomic():
        return api.post("events", body, headers=headers)


def test_a_known_key_s_event_costs_one_statement(
    api: ApiClient, django_assert_num_queries: Any
) -> None:
    with django_assert_num_queries(1):
        response = api.post("events", BODY)
    assert response.status_code == 202
    assert response.json()["id"] == f"evt_{Event.objects.get().id.hex}"
    assert response.json()["deliveries"] == [f"dlv_{Delivery.objects.get().id.hex}"]


def test_both_ways_answer_alike(api: ApiClient) -> None:
    quick = api.post("events", BODY, headers={"X-Request-Id": "one"})
    slow = by_the_ordinary_way(api, BODY, **{"X-Request-Id": "one"})
    assert quick.status_code == slow.status_code == 202
    assert quick.json().keys() == slow.json().keys()
    assert [*quick.json()["matched"][0]] == [*slow.json()["matched"][0]]
    # Two tokens less; and a time of whole seconds is shorter.
    apart = {"RateLimit", "Content-Length"}
    assert {name: value for name, value in quick.items() if name not in apart} == {
        name: value for name, value in slow.items() if name not in apart
    }
    assert quick["RateLimit"].count("r=") == slow["RateLimit"].count("r=") == 2
    assert [int(each["Content-Length"]) for each in (quick, slow)] == [
        len(quick.content),
        len(slow.content),
    ]


def test_the_quick_way_is_that_of_the_route() -> None:
    path = reverse("events", args=["a-b_C1"])
    assert EVENTS.findall(path) == ["a-b_C1"]
    assert EVENTS.fullmatch(f"{path}/batch") is None
    assert EVENTS.fullmatch(f"{path}\n") is None


def test_a_host_that_is_not_ours_stores_nothing(api: ApiClient) -> None:
    response = api.post("events", BODY, headers={"Host": "elsewhere.example"})
    assert response.status_code == 400
    assert response["Content-Type"] == PROBLEM
    assert not Event.objects.exists()


def test_an_event_over_plain_http_is_not_stored(api: ApiClient, settings: LazySettings) -> None:
    settings.DISPATCHER_HTTPS = True
    assert api.post("events", BODY).status_code == 403
    assert not Event.objects.exists()
    assert api.post("events", BODY, secure=True).status_code == 202


REFUSED: dict[str, tuple[Any, dict[str, str]]] = {
    "no JSON": (b"{", {}),
    "a list": ([], {}),
    "unknown member": (BODY | {"more": 1}, {}),
    "no data": ({"type": "a.b"}, {}),
    "no type": (BODY | {"type": 5}, {}),
    "a bad type": (BODY | {"type": "two words"}, {}),
    "NaN": (b'{"type": "a.b", "data": NaN}', {}),
    "twice": (b'{"type": "a.b", "data": {"a": 1, "a": 2}}', {}),
    "NUL": (b'{"type": "a.b", "data": "\\u0000"}', {}),
    "surrogate": (b'{"type": "a.b", "data": "\\ud800"}', {}),
    "too deep": (b'{"type": "a.b", "data": ' + b"[" * 101 + b"]" * 101 + b"}", {}),
    "too large": (BODY | {"data": "x" * 300_000}, {}),
    "a bad key": (BODY, {"Idempotency-Key": ""}),
    "encoded": (BODY, {"Content-Encoding": "gzip"}),
    "archived": (BODY | {"type": "Task.old"}, {}),
}


@pytest.mark.parametrize(("body", "headers"), REFUSED.values(), ids=REFUSED.keys())
def test_both_ways_refuse_alike_and_take_one_token(
    api: ApiClient, body: Any, headers: dict[str, str]
) -> None:
    EventType.objects.create(project=api.project, name="Task.old", is_archived=True)
    quick = api.post("events", body, headers=headers)
    slow = by_the_ordinary_way(api, body, **headers)
    assert 400 <= quick.status_code < 500
    assert (quick.status_code, quick.json()) == (slow.status_code, slow.json())
    assert remaining(quick) - remaining(slow) <= 1
    assert not Event.objects.exists()


def remaining(response: Any) -> int:
    return int(response["RateLimit"].split("r=")[1].split(";")[0])


def test_long_numbers_stay_as_they_are(api: ApiClient) -> None:
    data = b'{"n": 123456789012345678901234567890, "x": 1.10}'
    api.post("events", b'{"type": "a.b", "data": ' + data + b"}")
    assert Event.objects.get().data == '{"n":123456789012345678901234567890,"x":1.10}'


ENDINGS: dict[str, tuple[Callable[[ApiKey], Any], int]] = {
    "revoked": (revoke, 401),
    "expired": (
        lambda key: ApiKey.objects.filter(pk=key.pk).update(
            expires_at=timezone.now() - timedelta(seconds=1)
        ),
        401,
    ),
    "without the scope": (
        lambda key: ApiKey.objects.filter(pk=key.pk).update(scopes=["read"]),
        403,
    ),
    "moved": (
        lambda key: ApiKey.objects.filter(pk=key.pk).update(project=make_project()),
        404,
    ),
    "deleted": (lambda key: ApiKey.objects.filter(pk=key.pk).delete(), 401),
    "its project has another slug": (
        lambda key: Project.objects.filter(api_keys=key).update(slug="other"),
        404,
    ),
}


@pytest.mark.parametrize("is_project_read_anew", [False, True])
@pytest.mark.parametrize(("end", "status"), ENDINGS.values(), ids=ENDINGS.keys())
def test_a_key_that_another_connection_has_ended_stores_nothing_any_more(
    api: ApiClient, end: Callable[[ApiKey], Any], status: int, *, is_project_read_anew: bool
) -> None:
    at_once(lambda: end(api.key))
    if is_project_read_anew:
        for _ in range(2):
            publish(project=api.project, event_type="a.b", data=None)
    before = Event.objects.count()
    assert api.post("events", BODY).status_code == status
    assert api.post("events", BODY).status_code == status
    assert Event.objects.count() == before


def test_a_remembered_key_ends_by_the_clock(api: ApiClient) -> None:
    ApiKey.objects.filter(pk=api.key.pk).update(expires_at=timezone.now() + timedelta(seconds=2))
    statuses = [api.post("events", BODY).status_code]
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_sleep(2.1)")
    assert [*statuses, api.post("events", BODY).status_code] == [202, 401]


def test_a_key_revoked_while_its_event_is_read_stores_nothing(api: ApiClient) -> None:
    def revoke_first(execute: Any, sql: str, *rest: Any) -> Any:
        if "unchanged" in sql:
            at_once(lambda: revoke(api.key))
        return execute(sql, *rest)

    with connection.execute_wrapper(revoke_first):
        assert api.post("events", BODY).status_code == 401
    assert not Event.objects.exists()


def test_a_subscription_made_on_another_connection_gets_the_next_event(api: ApiClient) -> None:
    at_once(lambda: make_subscription(project=api.project))
    assert len(api.post("events", BODY).json()["deliveries"]) == 2
    assert len(api.post("events", BODY).json()["deliveries"]) == 2


def test_fifty_at_once_with_one_key_get_one_answer(api: ApiClient) -> None:
    headers = {"Idempotency-Key": "k"}
    responses = at_once(*[lambda: api.post("events", BODY, headers=headers)] * 50)
    assert {response.status_code for response in responses} == {202}
    assert len({response.content for response in responses}) == 1
    assert [response.get("Idempotency-Replayed") for response in responses].count(None) == 1
    assert Event.objects.count() == IdempotencyKey.objects.count() == Delivery.objects.count() == 1
    conflict = api.post("events", BODY | {"data": 2}, headers=headers)
    assert errors_of(conflict, 409) == {"Idempotency-Key": "conflict"}
    assert Event.objects.count() == 1


def test_too_fast_is_refused_with_one_token_a_request(
    api: ApiClient, settings: LazySettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    refill_slowly(monkeypatch)
    settings.DISPATCHER_PUBLISH_RATE_PER_KEY = 1  # ten at once
    statuses = [api.post("events", BODY).status_code for _ in range(12)]
    assert statuses == [202] * 10 + [429] * 2
    refusal = api.post("events", BODY)
    assert int(refusal["Retry-After"]) >= 1
    assert refusal.json()["errors"][0]["code"] == "rate_limited"


def test_an_operator_s_key_goes_the_ordinary_way(api: ApiClient) -> None:
    operator = OperatorClient(api.project)
    assert [operator.post("events", BODY).status_code for _ in range(3)] == [202] * 3
    assert Event.objects.count() == 3


def test_what_may_be_stored_is_not_tried_again(api: ApiClient) -> None:
    """The connection breaks after the commit: the client is told, and decides by its key."""

    def break_after(execute: Any, sql: str, *rest: Any) -> Any:
        result = execute(sql, *rest)
        if "unchanged" in sql:
            raise OperationalError("the connection is lost")
        return result

    with connection.execute_wrapper(break_after):
        response = api.post("events", BODY)
    assert response.status_code == 503
    assert response["Retry-After"]
    assert Event.objects.count() == Delivery.objects.count() == 1


def test_a_database_that_is_away_is_said_to_be_away(
    api: ApiClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection.close()
    with monkeypatch.context() as nowhere:
        nowhere.setitem(connection.settings_dict, "HOST", "/nowhere")
        response = api.post("events", BODY)
    assert (response.status_code, response["Retry-After"]) == (503, "5")
    assert errors_of(response, 503) == {}
    assert api.post("events", BODY).status_code == 202
