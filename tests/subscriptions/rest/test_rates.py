"""How fast a key and a project may call the API, and what clients are told about it."""

from __future__ import annotations

import re

import pytest
from django.conf import LazySettings

from deliveries.models import Event
from subscriptions.rest import rate_store
from tests.api_client import ApiClient, errors_of
from tests.outages import dead_redis
from tests.rates import REFILL_SECONDS, make_uncounted_project, refill_slowly

pytestmark = pytest.mark.django_db

EVENT = {"type": "a.b", "data": {}}
ITEM = re.compile(r'"([\w-]+)";(\w)=(\d+);(\w)=(\d+)')


@pytest.fixture
def client() -> ApiClient:
    return ApiClient(make_uncounted_project())


def items(header: str) -> dict[str, dict[str, int]]:
    """Read a header as its draft has it."""
    return {
        found[1]: {found[2]: int(found[3]), found[4]: int(found[5])}
        for found in map(ITEM.fullmatch, header.split(", "))
        if found
    }


def test_publishing_is_limited_by_key_and_the_refusal_says_when_to_come_back(
    client: ApiClient, settings: LazySettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    refill_slowly(monkeypatch)
    settings.DISPATCHER_PUBLISH_RATE_PER_KEY = 1
    for _ in range(10):
        assert client.post("events", EVENT).status_code == 202

    refused = client.post("events", EVENT)

    assert errors_of(refused, 429) == {"": "rate_limited"}
    wait_seconds = int(refused["Retry-After"])
    assert 1 < wait_seconds <= REFILL_SECONDS
    assert items(refused["RateLimit"])["publish-per-key"] == {"r": 0, "t": 1}
    assert all(item["t"] <= wait_seconds for item in items(refused["RateLimit"]).values())
    assert "publish-per-key:" in refused.json()["detail"]
    assert Event.objects.count() == 10
    assert ApiClient(client.project).post("events", EVENT).status_code == 202
    assert client.get("subscriptions").status_code == 200


def test_publishing_is_limited_by_project_whatever_the_key(
    client: ApiClient, settings: LazySettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    refill_slowly(monkeypatch)
    settings.DISPATCHER_PUBLISH_RATE_PER_PROJECT = 1
    other = ApiClient(client.project)
    for number in range(10):
        assert (client, other)[number % 2].post("events", EVENT).status_code == 202
    assert errors_of(other.post("events", EVENT), 429) == {"": "rate_limited"}
    stranger = ApiClient(make_uncounted_project())
    assert stranger.post("events", EVENT).status_code == 202


def test_other_requests_are_limited_by_key(
    client: ApiClient, settings: LazySettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    refill_slowly(monkeypatch)
    settings.DISPATCHER_REQUEST_RATE_PER_KEY = 1
    for _ in range(5):
        assert client.get("subscriptions").status_code == 200
        assert client.delete("subscriptions/sub_0").status_code == 404
    for refused in (client.get("deliveries"), client.post("subscriptions", {})):
        assert errors_of(refused, 429) == {"": "rate_limited"}
    assert client.post("events", EVENT).status_code == 202


def test_every_answer_tells_the_policies_and_what_is_left(client: ApiClient) -> None:
    answer = client.post("events", EVENT)
    assert items(answer["RateLimit-Policy"]) == {
        "publish-per-key": {"q": 10_000, "w": 10},
        "publish-per-project": {"q": 20_000, "w": 10},
    }
    assert items(answer["RateLimit"]) == {
        "publish-per-key": {"r": 9999, "t": 10},
        "publish-per-project": {"r": 19_999, "t": 10},
    }
    for problem in (client.post("subscriptions", {}), client.get("subscriptions/sub_0")):
        assert problem.status_code in {400, 404}
        assert set(items(problem["RateLimit"])) == {"requests-per-key"}


def test_nothing_is_told_of_limits_that_are_switched_off(
    client: ApiClient, settings: LazySettings
) -> None:
    settings.DISPATCHER_REQUEST_RATE_PER_KEY = 0
    answer = client.get("subscriptions")
    assert answer.status_code == 200
    assert not answer.has_header("RateLimit")
    assert not answer.has_header("RateLimit-Policy")


def test_a_request_without_a_good_key_is_not_counted(
    client: ApiClient, settings: LazySettings
) -> None:
    settings.DISPATCHER_REQUEST_RATE_PER_KEY = 1
    for _ in range(12):
        answer = client.call(
            "GET", "subscriptions", headers={"Authorization": "Bearer whd_unknown"}
        )
        assert answer.status_code == 401
        assert not answer.has_header("RateLimit")
    assert client.get("subscriptions").status_code == 200


def test_nobody_is_refused_while_redis_is_away(client: ApiClient, settings: LazySettings) -> None:
    settings.DISPATCHER_PUBLISH_RATE_PER_KEY = 1
    with dead_redis(is_silent=False) as url:
        settings.DISPATCHER_RATE_REDIS_URL = url
        for _ in range(12):
            answer = client.post("events", EVENT)
            assert answer.status_code == 202
            assert not answer.has_header("RateLimit")


def test_rates_are_counted_where_all_processes_look(
    client: ApiClient, settings: LazySettings
) -> None:
    store = rate_store._store_at(settings.DISPATCHER_RATE_REDIS_URL)
    wanted = rate_store.MemoryStore if settings.DISPATCHER_EMBEDDED else rate_store.RedisStore
    assert isinstance(store, wanted)
    assert client.get("subscriptions").has_header("RateLimit")
