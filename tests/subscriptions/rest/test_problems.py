"""Whatever goes wrong, the answer is a problem document of one shape."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.conf import LazySettings
from django.db import OperationalError, connection
from django.http import HttpRequest, HttpResponse
from django.test import Client
from django.urls import path

from dispatcher import error_pages
from dispatcher.urls import urlpatterns as product_urls
from subscriptions.models import Subscription
from tests.api_client import ApiClient, errors_of
from tests.factories import make_project

pytestmark = pytest.mark.django_db


def fail(_request: HttpRequest) -> HttpResponse:
    raise ZeroDivisionError("secret detail")


# A copy of the product's routes with one more, which has a mistake in it.
urlpatterns = [path("api/v1/mistake", fail), path("mistake", fail), *product_urls]
handler500 = error_pages.server_error


@pytest.fixture
def client_of_project() -> ApiClient:
    return ApiClient(make_project())


@pytest.mark.parametrize(
    "url", ["/api/", "/api/v1/nothing", "/api/v2/projects", "/api/v1/projects/x/subscriptions/"]
)
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_an_unknown_route_is_404(url: str, method: str) -> None:
    assert errors_of(Client(enforce_csrf_checks=True).generic(method, url), 404) == {}


@pytest.mark.parametrize("method", ["PUT", "DELETE", "OPTIONS", "TRACE", "NONSENSE"])
def test_a_method_that_a_route_does_not_have_is_405(
    client_of_project: ApiClient, method: str
) -> None:
    response = client_of_project.call(method, "subscriptions", {})

    errors_of(response, 405)
    assert response["Allow"] == "GET, HEAD, POST"


@pytest.mark.parametrize(
    ("content_type", "headers", "field"),
    [
        ("text/plain", {}, "Content-Type"),
        ("application/x-www-form-urlencoded", {}, "Content-Type"),
        ("multipart/form-data; boundary=x", {}, "Content-Type"),
        ("application/xml", {}, "Content-Type"),
        ("nonsense", {}, "Content-Type"),
        ("", {}, "Content-Type"),
        ("application/json; charset=utf-16", {}, "Content-Type"),
        ("application/json; charset=latin-1", {}, "Content-Type"),
        ("application/json", {"Content-Encoding": "gzip"}, "Content-Encoding"),
    ],
)
@pytest.mark.parametrize("route", ["subscriptions", "events"])
def test_a_body_that_is_not_plain_json_is_415(
    client_of_project: ApiClient,
    route: str,
    content_type: str,
    headers: dict[str, str],
    field: str,
) -> None:
    response = client_of_project.post(route, {"a": 1}, content_type=content_type, headers=headers)

    assert errors_of(response, 415) == {field: "unsupported"}


@pytest.mark.parametrize("charset", ["utf-8", "UTF-8", '"utf-8"', "us-ascii"])
def test_utf8_may_be_named(client_of_project: ApiClient, charset: str) -> None:
    response = client_of_project.post(
        "subscriptions",
        {"url": "https://receiver.example/", "event_types": ["*"]},
        content_type=f"application/json; charset={charset}",
    )

    assert response.status_code == 201


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"{", "not_json"),
        (b'{"url": "https://receiver.example/",}', "not_json"),
        (b'{"url": "a", "url": "b"}', "duplicate_key"),
        (b'{"description": "a\\u0000b"}', "nul_character"),
        (b'{"description": "\xff"}', "not_utf8"),
        (b"[]", "invalid"),
        (b'"text"', "invalid"),
        (b"null", "null"),
    ],
)
def test_a_body_that_is_no_json_object_is_400_and_changes_nothing(
    client_of_project: ApiClient, body: bytes, code: str
) -> None:
    assert errors_of(client_of_project.post("subscriptions", body), 400) == {"": code}
    assert not Subscription.objects.exists()


@pytest.mark.parametrize("route", ["subscriptions", "events"])
def test_a_body_over_the_limit_is_413_before_it_is_read(
    client_of_project: ApiClient, settings: LazySettings, route: str
) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 1000

    response = client_of_project.post(route, b" " * 1001)

    assert errors_of(response, 413) == {"": "too_large"}


def test_a_body_without_a_length_is_411_rather_than_read_as_empty(
    client_of_project: ApiClient,
) -> None:
    response = client_of_project.post("events", headers={"Transfer-Encoding": "chunked"})

    errors_of(response, 411)


def test_what_is_accepted_as_an_answer_does_not_matter(client_of_project: ApiClient) -> None:
    response = client_of_project.call("GET", "subscriptions", headers={"Accept": "text/html"})

    assert response.status_code == 200
    assert response["Content-Type"] == "application/json"


def test_an_unknown_host_is_400() -> None:
    errors_of(Client().get("/api/v1/projects/a/events", headers={"Host": "evil.example"}), 400)


@pytest.mark.urls(__name__)
def test_our_own_mistake_is_500_and_tells_nothing_of_it() -> None:
    client = Client(raise_request_exception=False)

    response = client.get("/api/v1/mistake")
    page = client.get("/mistake")

    errors_of(response, 500)
    assert b"secret detail" not in response.content
    assert page.status_code == 500
    assert page["Content-Type"].startswith("text/html")


@pytest.mark.parametrize(("method", "route"), [("GET", "subscriptions"), ("POST", "events")])
def test_a_database_that_is_away_is_503_with_a_time_to_come_back(
    client_of_project: ApiClient, method: str, route: str
) -> None:
    def refuse(*_: Any) -> Callable[..., Any]:
        raise OperationalError("connection to 10.0.0.7 refused")

    with connection.execute_wrapper(refuse):
        response = client_of_project.call(method, route, {"type": "a", "data": {}})

    errors_of(response, 503)
    assert int(response["Retry-After"]) > 0
    assert b"10.0.0.7" not in response.content
