"""Two clients change one subscription: `If-Match` keeps the second from overwriting the first."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from deliveries.models import Delivery
from deliveries.publishing.ingest import publish
from subscriptions import deactivation
from subscriptions.models import Subscription
from tests.api_client import ApiClient, errors_of
from tests.at_once import at_once
from tests.factories import make_project, make_subscription
from tests.rates import make_uncounted_project


@pytest.fixture
def client(db: None) -> ApiClient:  # noqa: ARG001  # opens the database
    return ApiClient(make_project())


@pytest.fixture
def path(client: ApiClient) -> str:
    return path_of(make_subscription(project=client.project))


def path_of(subscription: Subscription) -> str:
    return f"subscriptions/sub_{subscription.id.hex}"


def change(client: ApiClient, path: str, tag: str, **settings: Any) -> Any:
    return client.call("PATCH", path, settings, headers={"If-Match": tag})


def test_a_change_of_what_was_read_is_made_and_has_a_new_tag(client: ApiClient, path: str) -> None:
    tag = client.get(path)["ETag"]
    changed = change(client, path, tag, description="mine")
    assert changed.status_code == 200
    assert changed["ETag"] != tag
    assert changed["ETag"] == client.get(path)["ETag"]


def test_a_change_of_something_else_is_refused_and_changes_nothing(
    client: ApiClient, path: str
) -> None:
    tag = client.get(path)["ETag"]
    change(client, path, tag, description="mine")

    refused = change(client, path, tag, description="yours")

    assert errors_of(refused, 412) == {}
    assert refused["ETag"] == client.get(path)["ETag"]
    assert client.get(path).json()["description"] == "mine"
    assert client.call("DELETE", path, headers={"If-Match": tag}).status_code == 412
    assert change(client, path, refused["ETag"], description="yours").status_code == 200


def test_one_of_several_tags_is_enough_and_a_star_is_any(client: ApiClient, path: str) -> None:
    tag = client.get(path)["ETag"]
    assert change(client, path, f'"other", {tag}', description="a").status_code == 200
    assert change(client, path, "*", description="b").status_code == 200


def test_health_does_not_change_the_tag_and_deactivation_does(client: ApiClient, path: str) -> None:
    tag = client.get(path)["ETag"]
    Subscription.objects.update(failure_streak=3, last_error="timed out")
    assert client.get(path)["ETag"] == tag
    deactivation.deactivate(Subscription.objects.get())
    assert client.get(path)["ETag"] != tag


@pytest.mark.django_db(transaction=True)
def test_of_changes_at_once_with_one_tag_one_is_made() -> None:
    client = ApiClient(make_uncounted_project())
    path = path_of(make_subscription(project=client.project))
    tag = client.get(path)["ETag"]
    answers = at_once(
        *[partial(change, client, path, tag, description=f"by {number}") for number in range(6)]
    )

    statuses = sorted(answer.status_code for answer in answers)
    assert statuses == [200] + [412] * 5


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("method", "body"), [("PATCH", {"active": False}), ("DELETE", None)])
def test_switching_off_what_was_read_cancels_what_waits(method: str, body: Any) -> None:
    client = ApiClient(make_uncounted_project())
    path = path_of(make_subscription(project=client.project))
    publish(project=client.project, event_type="a", data={})

    done = client.call(method, path, body, headers={"If-Match": client.get(path)["ETag"]})

    assert done.status_code in (200, 204)
    assert Delivery.objects.get().status == "cancelled"
