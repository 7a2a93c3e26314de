"""The filters of the list of subscriptions: by state, by URL, by the events that they want."""

from __future__ import annotations

from typing import Any

import pytest

from subscriptions.models import Subscription
from tests.api_client import ApiClient, errors_of
from tests.factories import make_project, make_subscription

pytestmark = pytest.mark.django_db


@pytest.fixture
def client_of_project() -> ApiClient:
    return ApiClient(make_project())


def make(client: ApiClient, **fields: Any) -> Subscription:
    return make_subscription(project=client.project, **fields)


def found(client: ApiClient, **filters: Any) -> set[str]:
    response = client.get("subscriptions", filters)
    assert response.status_code == 200, response.content
    return {row["url"] for row in response.json()["results"]}


def test_by_state(client_of_project: ApiClient) -> None:
    on = make(client_of_project, url="https://on.example/")
    off = make(client_of_project, url="https://off.example/", is_active=False)

    assert found(client_of_project, active="true") == {on.url}
    assert found(client_of_project, active="false") == {off.url}


def test_by_a_part_of_the_url_whatever_its_case(client_of_project: ApiClient) -> None:
    billing = make(client_of_project, url="https://a.example/Billing?x=100%25_a")
    make(client_of_project, url="https://a.example/other")

    assert found(client_of_project, url="/billing") == {billing.url}
    assert found(client_of_project, url="%25_") == {billing.url}
    assert found(client_of_project, url="_") == {billing.url}
    assert found(client_of_project, url="nowhere") == set()


def test_by_an_event_type_that_their_filters_want(client_of_project: ApiClient) -> None:
    exact = make(client_of_project, url="https://exact.example/", event_types=["Task.update"])
    prefix = make(client_of_project, url="https://prefix.example/", event_types=["a", "Task.*"])
    everything = make(client_of_project, url="https://all.example/", is_active=False)
    make(client_of_project, url="https://other.example/", event_types=["Task.update.x"])
    make_subscription()

    wanted = {exact.url, prefix.url, everything.url}
    assert found(client_of_project, event_type="Task.update") == wanted
    assert found(client_of_project, event_type="Task.update", active="false") == {everything.url}
    assert found(client_of_project, event_type="Job.update") == {everything.url}


def test_filters_go_on_from_page_to_page(client_of_project: ApiClient) -> None:
    for number in range(4):
        make(client_of_project, url=f"https://{number}.example/", event_types=[f"t{number % 2}"])

    first = client_of_project.get("subscriptions", {"event_type": "t1", "limit": 1}).json()
    second = client_of_project.follow(first["next"]).json()

    urls = [row["url"] for page in (first, second) for row in page["results"]]
    assert urls == ["https://3.example/", "https://1.example/"]
    assert second["next"] is None


@pytest.mark.parametrize(
    ("filters", "field", "code"),
    [
        ({"active": "yes"}, "active", "invalid_choice"),
        ({"active": ""}, "active", "invalid_choice"),
        ({"active": "True"}, "active", "invalid_choice"),
        ({"url": ""}, "url", "blank"),
        ({"url": "x" * 2049}, "url", "max_length"),
        ({"url": "a\0"}, "url", "null_characters_not_allowed"),
        ({"event_type": "Task.*"}, "event_type", "invalid"),
        ({"event_type": "x" * 129}, "event_type", "invalid"),
        ({"event_type": ""}, "event_type", "blank"),
        ({"state": "on"}, "state", "unknown"),
    ],
)
def test_what_is_no_filter_is_refused(
    client_of_project: ApiClient, filters: dict[str, str], field: str, code: str
) -> None:
    assert errors_of(client_of_project.get("subscriptions", filters), 400) == {field: code}
