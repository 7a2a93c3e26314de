"""Keys that are not good are limited by the client's address; a good key is not, wherever it is."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any
from uuid import uuid4

import pytest
from django.conf import LazySettings
from django.test import Client

from subscriptions.access.api_keys import revoke
from subscriptions.access.client_address import client_of
from subscriptions.rest.rate_store import Limit, take
from subscriptions.rest.rates import FAILED_KEYS_PER_ADDRESS
from tests.api_client import ApiClient, errors_of
from tests.outages import dead_redis
from tests.rates import make_uncounted_project

pytestmark = pytest.mark.django_db

BURST = 100
MINUTE = 60  # tokens that come back in one: no test takes so long
BAD = "Bearer whd_" + "x" * 43


@pytest.fixture
def client() -> ApiClient:
    return ApiClient(make_uncounted_project())


def an_address() -> str:
    """An address that nobody else in the suite has."""
    return str(ip_address(uuid4().int))


def ask(client: ApiClient, address: str, authorization: str | None = None) -> Any:
    """Send a request from an address; with the client's own key if no other is given."""
    return Client().get(
        f"/api/v1/projects/{client.project.slug}/subscriptions",
        REMOTE_ADDR=address,
        headers={"Authorization": authorization or f"Bearer {client.plain_key}"},
    )


def exhaust(address: str, tokens: int = BURST + MINUTE) -> None:
    """Take what so many bad keys would."""
    take([Limit(FAILED_KEYS_PER_ADDRESS, client_of(ip_address(address)))], tokens=tokens)


def test_after_a_hundred_bad_keys_an_address_is_told_to_wait(client: ApiClient) -> None:
    address = an_address()
    for _ in range(BURST):
        assert ask(client, address, BAD).status_code == 401
    later = [ask(client, address, BAD) for _ in range(MINUTE)]  # one comes back each second

    refused = next(answer for answer in later if answer.status_code != 401)
    assert errors_of(refused, 429) == {"": "rate_limited"}
    assert refused["Retry-After"] == "1"
    assert ask(client, an_address(), BAD).status_code == 401


def test_a_good_key_from_the_same_address_still_works(client: ApiClient) -> None:
    address = an_address()
    exhaust(address)
    assert ask(client, address, BAD).status_code == 429
    assert ask(client, address).status_code == 200
    other = ApiClient(client.project, ["publish"])
    assert ask(client, address, f"Bearer {other.plain_key}").status_code == 403


def test_a_key_that_was_revoked_counts_as_bad(client: ApiClient) -> None:
    address = an_address()
    exhaust(address)
    revoke(client.key)
    assert ask(client, address).status_code == 429


def test_good_keys_and_requests_without_one_take_nothing(client: ApiClient) -> None:
    address = an_address()
    exhaust(address, BURST - 1)
    for _ in range(20):
        assert ask(client, address).status_code == 200
        assert ask(client, address, "Basic YTpi").status_code == 401
    assert ask(client, address, BAD).status_code == 401


def test_a_network_of_ipv6_is_one_client(client: ApiClient) -> None:
    network = int(uuid4()) >> 64 << 64
    exhaust(str(ip_address(network + 1)))
    assert ask(client, str(ip_address(network + 2**63 + 1)), BAD).status_code == 429
    assert ask(client, str(ip_address(network ^ 1 << 64)), BAD).status_code == 401


def test_while_redis_is_away_bad_keys_are_just_refused(
    client: ApiClient, settings: LazySettings
) -> None:
    with dead_redis(is_silent=False) as url:
        settings.DISPATCHER_RATE_REDIS_URL = url
        exhaust("192.0.2.1")
        for _ in range(5):
            assert ask(client, "192.0.2.1", BAD).status_code == 401
        assert ask(client, "192.0.2.1").status_code == 200
