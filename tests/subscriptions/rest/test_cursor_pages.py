"""Lists come in pages, newest first; cursors are good for the list they came from."""

from __future__ import annotations

from itertools import chain
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from subscriptions.models import Subscription
from tests.api_client import ApiClient, errors_of
from tests.factories import make_project, make_subscription

pytestmark = pytest.mark.django_db

COUNT = 7


@pytest.fixture
def client_of_project() -> ApiClient:
    project = make_project()
    for number in range(COUNT):
        make_subscription(project=project, description=str(number))
    return ApiClient(project)


def names(page: dict[str, Any]) -> list[int]:
    return [int(row["description"]) for row in page["results"]]


def cursor_in(link: str) -> str:
    return parse_qs(urlsplit(link).query)["cursor"][0]


@pytest.mark.parametrize("limit", [1, 2, 3, 6, 7, 8, 100])
def test_following_next_then_previous_shows_everything_once_each_way(
    client_of_project: ApiClient, limit: int
) -> None:
    pages = [client_of_project.get("subscriptions", {"limit": limit}).json()]
    while pages[-1]["next"]:
        pages.append(client_of_project.follow(pages[-1]["next"]).json())

    assert list(chain.from_iterable(map(names, pages))) == list(range(COUNT))[::-1]
    assert all(len(page["results"]) == limit for page in pages[:-1])

    back = [pages[-1]]
    while back[-1]["previous"]:
        back.append(client_of_project.follow(back[-1]["previous"]).json())

    assert list(chain.from_iterable(map(names, back[::-1]))) == list(range(COUNT))[::-1]
    assert back[-1]["results"] == pages[0]["results"]


def test_a_full_last_page_has_no_next(client_of_project: ApiClient) -> None:
    page = client_of_project.get("subscriptions", {"limit": COUNT}).json()

    assert page["next"] is page["previous"] is None


def test_the_default_is_fifty() -> None:
    project = make_project()
    for _ in range(51):
        make_subscription(project=project)

    page = ApiClient(project).get("subscriptions").json()

    assert len(page["results"]) == 50
    assert page["next"]


def test_what_is_added_meanwhile_neither_repeats_nor_hides_anything(
    client_of_project: ApiClient,
) -> None:
    first = client_of_project.get("subscriptions", {"limit": 3}).json()
    make_subscription(project=client_of_project.project, description="99")

    second = client_of_project.follow(first["next"]).json()

    assert names(second) == [3, 2, 1]


def test_a_page_whose_rows_are_gone_is_empty(client_of_project: ApiClient) -> None:
    first = client_of_project.get("subscriptions", {"limit": 3}).json()
    Subscription.objects.all().delete()

    assert client_of_project.follow(first["next"]).json() == {
        "results": [],
        "next": None,
        "previous": None,
    }


def test_links_keep_the_other_parameters(client_of_project: ApiClient) -> None:
    page = client_of_project.get("subscriptions", {"limit": 3}).json()

    assert parse_qs(urlsplit(page["next"]).query)["limit"] == ["3"]
    assert page["next"].startswith("http://testserver/api/v1/projects/")


@pytest.mark.parametrize("cursor", ["", "x", "..", "b.c", "0" * 5000, "ü", "bwGh.\n", "\0"])
def test_a_made_up_cursor_is_refused(client_of_project: ApiClient, cursor: str) -> None:
    errors = errors_of(client_of_project.get("subscriptions", {"cursor": cursor}), 400)

    assert list(errors) == ["cursor"]


def test_a_changed_cursor_is_refused(client_of_project: ApiClient) -> None:
    page = client_of_project.get("subscriptions", {"limit": 3}).json()
    cursor = cursor_in(page["next"])
    changed = ("A" if cursor[3] != "A" else "B").join([cursor[:3], cursor[4:]])

    response = client_of_project.get("subscriptions", {"cursor": changed})

    assert errors_of(response, 400) == {"cursor": "invalid"}


def test_a_cursor_of_another_project_or_list_is_refused(client_of_project: ApiClient) -> None:
    page = client_of_project.get("subscriptions", {"limit": 3}).json()
    cursor = {"cursor": cursor_in(page["next"])}

    elsewhere = ApiClient(make_project()).get("subscriptions", cursor)
    other_list = client_of_project.get("deliveries", cursor)

    assert errors_of(elsewhere, 400) == {"cursor": "invalid"}
    assert errors_of(other_list, 400) == {"cursor": "invalid"}


@pytest.mark.parametrize("limit", ["0", "-1", "101", "1e9", "9" * 400, "", "ten", "1.5", " ", "\0"])
def test_an_absurd_limit_is_refused(client_of_project: ApiClient, limit: str) -> None:
    errors = errors_of(client_of_project.get("subscriptions", {"limit": limit}), 400)

    assert list(errors) == ["limit"]


@pytest.mark.parametrize("route", ["subscriptions", "deliveries"])
def test_unknown_and_repeated_parameters_are_refused(
    client_of_project: ApiClient, route: str
) -> None:
    unknown = client_of_project.get(f"{route}?page=2&limit=5")
    repeated = client_of_project.get(f"{route}?limit=5&limit=6")

    assert errors_of(unknown, 400) == {"page": "unknown"}
    assert errors_of(repeated, 400) == {"limit": "repeated"}
