"""The check of a URL before it is saved: judged as saving and sending would, with nothing sent."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from ipaddress import ip_network

import pytest
from django.core.cache import cache
from pytest_django.fixtures import Settings

from deliveries.costly_requests import PLACES, place
from deliveries.sending.transport import BLOCKED_ADDRESS_ERROR
from subscriptions.models import Subscription
from tests.api_client import ApiClient, errors_of
from tests.dns_stub import NO_ADDRESS, Answer, DnsStub
from tests.factories import make_project

pytestmark = pytest.mark.django_db

PATH = "subscriptions/check-url"


@pytest.fixture
def names(settings: Settings) -> Iterator[DnsStub]:
    with DnsStub() as stub:
        settings.DISPATCHER_DNS_SERVERS = (stub.server,)
        yield stub


@pytest.fixture
def client() -> ApiClient:
    return ApiClient(make_project(is_https_only=True), ["manage"])


def check(client: ApiClient, url: str) -> dict[str, str | None]:
    response = client.post(PATH, {"url": url})
    assert response.status_code == 200, response.content
    found: dict[str, str | None] = response.json()
    return found


def test_a_name_that_leads_outside_is_allowed(client: ApiClient, names: DnsStub) -> None:
    names.set("good.example", Answer(("93.184.216.34", "2606:4700::1")))

    assert check(client, "HTTPS://good.EXAMPLE:443/a/../b") == {
        "verdict": "allowed",
        "message": "Requests to this URL may be sent.",
        "code": None,
        "url": "https://good.example/b",
    }
    assert not Subscription.objects.exists()


@pytest.mark.parametrize(
    "addresses",
    [
        ("127.0.0.1",),
        ("10.1.2.3",),
        ("169.254.169.254",),
        ("93.184.216.34", "192.168.0.1"),
        ("::1",),
        ("fd00:ec2::254",),
        ("64:ff9b::a00:1",),
    ],
)
def test_a_name_that_leads_inside_is_blocked_and_no_word_says_where(
    client: ApiClient, names: DnsStub, addresses: tuple[str, ...]
) -> None:
    names.set("inside.example", Answer(addresses))

    found = check(client, "https://inside.example/")

    assert found == {
        "verdict": "blocked_address",
        "message": BLOCKED_ADDRESS_ERROR,
        "code": None,
        "url": "https://inside.example/",
    }


def test_a_name_that_does_not_resolve_is_said_in_the_words_of_a_delivery(
    client: ApiClient, names: DnsStub
) -> None:
    names.set("empty.example", NO_ADDRESS)

    nowhere = check(client, "https://nowhere.example/")
    cache.clear()  # a second later
    empty = check(client, "https://empty.example/")

    assert (nowhere["verdict"], empty["verdict"]) == ("dns_failed", "dns_failed")
    assert nowhere["message"] == "The host name does not exist."
    assert empty["message"] == "The host name has no IPv4 or IPv6 address."


def test_where_our_own_resolver_is_away_it_cannot_be_told(
    client: ApiClient, names: DnsStub, settings: Settings
) -> None:
    settings.DISPATCHER_REQUEST_DEADLINE_SECONDS = 1.0
    names.is_dead = True

    began_at = time.monotonic()
    found = check(client, "https://some.example/")

    assert found["verdict"] == "unknown"
    assert time.monotonic() - began_at < 5


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("", "scheme"),
        ("receiver.example", "scheme"),
        ("http://good.example/", "https_only"),
        ("https://user@good.example/", "userinfo"),
        ("https://good.example:22/", "port"),
        ("https://127.0.0.1/", "address"),
        ("https://[::1]/", "address"),
        ("https://vault.internal/", "internal_name"),
        ("https://localhost/", "internal_name"),
        ("https://good.example/" + "x" * 2048, "too_long"),
    ],
)
def test_what_cannot_be_saved_is_refused_in_the_words_of_saving_and_not_looked_up(
    client: ApiClient, names: DnsStub, url: str, code: str
) -> None:
    found = check(client, url)

    assert (found["verdict"], found["code"], found["url"]) == ("refused", code, None)
    refused = client.post("subscriptions", {"url": url, "event_types": ["*"]}).json()
    if url:
        assert refused["errors"] == [{"field": "url", "code": code, "message": found["message"]}]
    assert names.queries == []


def test_nobody_is_contacted(settings: Settings) -> None:
    settings.DISPATCHER_ALLOWED_NETWORKS = (ip_network("127.0.0.0/8"),)
    client = ApiClient(make_project(is_https_only=False), ["manage"])
    with socket.create_server(("127.0.0.1", 0)) as receiver:
        found = check(client, f"http://127.0.0.1:{receiver.getsockname()[1]}/")

        assert found["verdict"] == "allowed"
        receiver.settimeout(0.1)
        with pytest.raises(TimeoutError):
            receiver.accept()


@pytest.mark.parametrize(
    ("body", "field", "code"),
    [
        ({}, "url", "required"),
        ({"url": None}, "url", "null"),
        ({"url": 5}, "url", "invalid"),
        ({"url": ["https://a.example/"]}, "url", "invalid"),
        ({"url": "https://a.example/", "send": True}, "send", "unknown"),
    ],
)
def test_what_is_no_url_at_all_is_an_error(
    client: ApiClient, body: dict[str, object], field: str, code: str
) -> None:
    assert errors_of(client.post(PATH, body), 400) == {field: code}


def test_a_process_makes_few_checks_at_once(client: ApiClient, names: DnsStub) -> None:
    names.set("good.example", Answer(("93.184.216.34",)))
    with ExitStack() as places:
        taken = [places.enter_context(place()) for _ in range(PLACES)]
        assert all(taken)
        busy = client.post(PATH, {"url": "https://good.example/"})

    assert errors_of(busy, 429) == {"": "busy"}
    assert check(client, "https://good.example/")["verdict"] == "allowed"


def test_a_project_has_one_name_looked_up_in_a_second(client: ApiClient, names: DnsStub) -> None:
    names.set("good.example", Answer(("93.184.216.34",)))
    check(client, "https://good.example/")

    at_once = client.post(PATH, {"url": "https://vault.corp.example/"})

    assert errors_of(at_once, 429) == {"": "busy"}
    assert int(at_once["Retry-After"]) >= 1
    assert {name for name, *_ in names.queries} == {"good.example"}
    assert check(client, "https://127.0.0.1/")["verdict"] == "refused", "which needs no look-up"
    other = ApiClient(make_project(), ["manage"])
    assert check(other, "https://good.example/")["verdict"] == "allowed"


def test_it_needs_the_scope_manage_and_the_project_s_own_key(client: ApiClient) -> None:
    body = {"url": "https://127.0.0.1/"}

    errors_of(ApiClient(client.project, ["read", "publish"]).post(PATH, body), 403)
    foreign = f"/api/v1/projects/{client.project.slug}/{PATH}"
    errors_of(ApiClient(make_project()).post(foreign, body), 404)
