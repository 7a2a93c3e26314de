"""Looking at events over REST: lists, one with its data, and why each subscription got it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from deliveries.lifecycle.switching_off import delete
from deliveries.models import Delivery, Event
from deliveries.publishing.ingest import publish, publish_test
from subscriptions.deactivation import deactivate
from subscriptions.models import Subscription
from tests.api_client import ApiClient, errors_of
from tests.factories import make_project, make_subscription

pytestmark = pytest.mark.django_db

EXACT = '{"z":123456789012345678901234567890,"a":1.10,"e":1E+2,"u":"\\u00fc"}'


@pytest.fixture
def api() -> ApiClient:
    return ApiClient(make_project())


def put(api: ApiClient, event_type: str = "Task.update", data: Any = None, **rest: Any) -> str:
    published = publish(project=api.project, event_type=event_type, data=data or {}, **rest)
    return f"evt_{published.id.hex}"


def ids_of(response: Any) -> list[str]:
    assert response.status_code == 200, response.content
    return [row["id"] for row in response.json()["results"]]


# ---- Lists ----------------------------------------------------------------------------------


def test_events_are_listed_newest_first_without_their_data(api: ApiClient) -> None:
    make_subscription(project=api.project)
    put(make_api := ApiClient(make_project()))
    made = [put(api, idempotency_key="k"), put(api, "Task.create"), put(api, "Note.create")]

    response = api.get("events", {"limit": 2})

    assert ids_of(response) == made[:0:-1]
    assert ids_of(api.follow(response.json()["next"])) == made[:1]
    row = api.get("events").json()["results"][-1]
    assert set(row) == {"id", "type", "created_at", "test", "idempotency_key", "matched_count"}
    assert (row["test"], row["idempotency_key"], row["matched_count"]) == (False, "k", 1)
    assert made[0] not in ids_of(make_api.get("events"))


def test_every_filter_keeps_what_it_asks_for(api: ApiClient) -> None:
    old = put(api, "Task.create", idempotency_key="k1")
    Event.objects.update(created_at=timezone.now() - timedelta(minutes=10))
    new = put(api, "Note.create", idempotency_key="k2")
    published = publish_test(make_subscription(project=api.project))
    test = f"evt_{published.id.hex}"
    since = (timezone.now() - timedelta(minutes=5)).isoformat()

    assert ids_of(api.get("events", {"type": "Task.create"})) == [old]
    assert ids_of(api.get("events", {"type": "Task.gone"})) == []
    assert ids_of(api.get("events", {"idempotency_key": "k2"})) == [new]
    assert ids_of(api.get("events", {"idempotency_key": "k3"})) == []
    assert ids_of(api.get("events", {"test": "true"})) == [test]
    assert ids_of(api.get("events", {"test": "false"})) == [new, old]
    assert ids_of(api.get("events", {"since": since})) == [test, new]
    assert ids_of(api.get("events", {"until": since})) == [old]
    assert ids_of(ApiClient(make_project()).get("events", {"idempotency_key": "k1"})) == []


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"type": "a b"}, "type"),
        ({"type": ""}, "type"),
        ({"idempotency_key": "x" * 256}, "idempotency_key"),
        ({"test": "1"}, "test"),
        ({"since": "yesterday"}, "since"),
        ({"since": "2026-02-01T00:00:00Z", "until": "2026-01-01T00:00:00Z"}, "until"),
        ({"limit": 101}, "limit"),
        ({"cursor": "x"}, "cursor"),
        ({"status": "failed"}, "status"),
    ],
)
def test_a_wrong_filter_is_400(api: ApiClient, query: dict[str, Any], field: str) -> None:
    assert list(errors_of(api.get("events", query), 400)) == [field]


# ---- One event ------------------------------------------------------------------------------


def test_an_event_is_shown_as_it_was_given_with_its_deliveries(api: ApiClient) -> None:
    subscription = make_subscription(project=api.project)
    body = f'{{"type": "Task.update", "data": {EXACT}}}'.encode()
    published = api.post("events", body).json()

    response = api.get(f"events/{published['id']}")

    assert f'"data":{EXACT}' in response.content.decode()
    answer = response.json()
    assert answer["matched_count"] == 1
    (delivery,) = answer["deliveries"]
    assert delivery["id"] == published["deliveries"][0]
    assert delivery["subscription"] == f"sub_{subscription.id.hex}"
    assert delivery["status"] == "pending"


@pytest.mark.parametrize("path", ["events/{}", "events/{}/matches"])
@pytest.mark.parametrize("identifier", ["evt_" + "0" * 32, "evt_x", "dlv_" + "0" * 32, "%00", "é"])
def test_what_is_not_there_is_404(api: ApiClient, path: str, identifier: str) -> None:
    assert api.get(path.format(identifier)).status_code == 404


@pytest.mark.parametrize("path", ["events/{}", "events/{}/matches"])
def test_another_projects_event_is_not_there(api: ApiClient, path: str) -> None:
    assert ApiClient(make_project()).get(path.format(put(api))).status_code == 404
    assert ApiClient(api.project, ["publish"]).get(path.format(put(api))).status_code == 403


# ---- Why each subscription got it, or did not -----------------------------------------------


def matches_of(api: ApiClient, event: str) -> dict[str, dict[str, Any]]:
    response = api.get(f"events/{event}/matches")
    assert response.status_code == 200, response.content
    return {row["subscription"]: row for row in response.json()["results"]}


def key_of(subscription: Subscription) -> str:
    return f"sub_{subscription.id.hex}"


def test_each_subscription_is_told_why(api: ApiClient) -> None:
    wanted = make_subscription(project=api.project, event_types=["Note.*", "Task.*"])
    other = make_subscription(project=api.project, event_types=["Note.*"])
    inactive = make_subscription(project=api.project)
    deactivate(inactive)
    deleted = make_subscription(project=api.project)
    delete(deleted)
    make_subscription()
    event = put(api)
    later = make_subscription(project=api.project)

    found = matches_of(api, event)

    assert {key: row["reason"] for key, row in found.items()} == {
        key_of(wanted): "delivered",
        key_of(other): "type_not_matched",
        key_of(inactive): "inactive",
        key_of(deleted): "deleted",
        key_of(later): "created_later",
    }
    assert all(row["certain"] for row in found.values())
    assert next(iter(found)) == key_of(later)
    shown = found[key_of(wanted)]
    assert shown["filter"] == "Task.*"
    assert shown["status"] == "pending"
    assert shown["delivery"] == f"dlv_{Delivery.objects.get().id.hex}"
    inactive.refresh_from_db()
    since = inactive.deactivated_at
    assert since is not None
    assert found[key_of(inactive)]["since"] == since.isoformat().replace("+00:00", "Z")


def test_settings_that_were_changed_since_are_said_to_be(api: ApiClient) -> None:
    narrowed = make_subscription(project=api.project, event_types=["Note.*"])
    widened = make_subscription(project=api.project, event_types=["Note.*"])
    phrase = make_subscription(project=api.project, event_types=["Note.*"], wire_format="phrase")
    event = put(api, data=[1])
    for row, fields in (
        (narrowed, {"event_types": ["Job.*"]}),
        (widened, {"event_types": ["*"]}),
        (phrase, {"event_types": ["*"]}),
    ):
        Subscription.objects.filter(id=row.id).update(**fields, updated_at=timezone.now())

    found = matches_of(api, event)

    assert {key: row["reason"] for key, row in found.items()} == {
        key_of(narrowed): "type_not_matched",
        key_of(widened): "changed_since",
        key_of(phrase): "needs_object",
    }
    assert not any(row["certain"] for row in found.values())
    assert "changed after the event" in found[key_of(widened)]["explanation"]


@pytest.mark.django_db(transaction=True)  # it cancels once the switch is committed
def test_what_was_switched_off_after_it_got_the_event_is_still_delivered(api: ApiClient) -> None:
    subscription = make_subscription(project=api.project)
    event = put(api)
    delete(subscription)

    assert matches_of(api, event)[key_of(subscription)]["reason"] == "delivered"
    assert matches_of(api, event)[key_of(subscription)]["status"] == "cancelled"


def test_a_test_goes_to_one_subscription_only(api: ApiClient) -> None:
    tested, other = (make_subscription(project=api.project) for _ in range(2))
    published = publish_test(tested)

    found = matches_of(api, f"evt_{published.id.hex}")

    assert found[key_of(tested)]["reason"] == "delivered"
    assert found[key_of(other)]["reason"] == "test"


def test_matches_are_paged(api: ApiClient) -> None:
    made = [key_of(make_subscription(project=api.project)) for _ in range(5)]
    event = put(api)

    first = api.get(f"events/{event}/matches", {"limit": 3}).json()
    second = api.follow(first["next"]).json()

    shown = [row["subscription"] for row in first["results"] + second["results"]]
    assert shown == made[::-1]
    assert list(errors_of(api.get(f"events/{event}/matches", {"reason": "x"}), 400)) == ["reason"]


def test_a_subscription_of_the_event_s_own_millisecond_was_there_before_it(api: ApiClient) -> None:
    earlier = make_subscription(project=api.project, event_types=["Note.*"])
    event = put(api)
    moment = Event.objects.get().created_at + timedelta(microseconds=900)
    Subscription.objects.filter(id=earlier.id).update(created_at=moment, updated_at=moment)

    shown = matches_of(api, event)[key_of(earlier)]

    assert (shown["reason"], shown["certain"]) == ("type_not_matched", True)
