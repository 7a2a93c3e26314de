"""Changing and deleting subscriptions over REST, and what becomes of the deliveries that wait."""

from __future__ import annotations

from typing import Any

import pytest
from django.utils import timezone

from deliveries.models import Delivery
from deliveries.publishing.ingest import publish, publish_test
from subscriptions.models import Subscription
from subscriptions.secrets.signing_secrets import reveal_newest
from tests.api_client import ApiClient, errors_of
from tests.factories import make_project, make_subscription

pytestmark = pytest.mark.django_db

Status = Delivery.Status


@pytest.fixture
def subscription() -> Subscription:
    return make_subscription()


@pytest.fixture
def client_of_project(subscription: Subscription) -> ApiClient:
    return ApiClient(subscription.project)


def path_of(subscription: Subscription) -> str:
    return f"subscriptions/sub_{subscription.id.hex}"


def patch(client: ApiClient, subscription: Subscription, **settings: Any) -> dict[str, Any]:
    response = client.patch(path_of(subscription), settings)
    assert response.status_code == 200, response.content
    subscription.refresh_from_db()
    changed: dict[str, Any] = response.json()
    return changed


def publish_one(subscription: Subscription) -> Delivery:
    published = publish(project=subscription.project, event_type="Task.update", data={})
    return Delivery.objects.get(id=published.delivery_ids[0])


# ---- Changing -------------------------------------------------------------------------------


def test_only_what_is_given_changes(
    client_of_project: ApiClient, subscription: Subscription
) -> None:
    before = client_of_project.get(path_of(subscription)).json()

    changed = patch(client_of_project, subscription, description="new", retry_schedule=[5])

    assert {name for name in before if before[name] != changed[name]} == {
        "description",
        "retry_schedule",
        "updated_at",
    }
    assert client_of_project.get(path_of(subscription)).json() == changed


@pytest.mark.parametrize("body", [{}, {"description": "", "event_types": ["*"]}])
def test_a_change_to_what_is_there_already_is_none(
    client_of_project: ApiClient, subscription: Subscription, body: dict[str, Any]
) -> None:
    before = client_of_project.get(path_of(subscription)).json()

    assert patch(client_of_project, subscription, **body) == before


def test_another_url_begins_a_new_generation_with_a_streak_of_zero(
    client_of_project: ApiClient, subscription: Subscription
) -> None:
    Subscription.objects.update(failure_streak=7)

    changed = patch(client_of_project, subscription, url="https://other.example/")

    assert changed["url"] == "https://other.example/"
    assert changed["failure_streak"] == 0
    assert subscription.generation == 2


def test_the_same_url_in_another_spelling_is_no_change(client_of_project: ApiClient) -> None:
    subscription = make_subscription(
        project=client_of_project.project, url="https://receiver.example/b", failure_streak=7
    )

    patch(client_of_project, subscription, url="HTTPS://RECEIVER.example:443/a/../b")

    assert subscription.generation == 1
    assert subscription.failure_streak == 7


def test_signature_schemes_follow_the_wire_format_unless_others_were_chosen(
    client_of_project: ApiClient, subscription: Subscription
) -> None:
    followed = patch(client_of_project, subscription, wire_format="repsona")
    assert followed["signature_schemes"] == ["repsona"]

    patch(client_of_project, subscription, signature_schemes=["repsona", "standard"])
    kept = patch(client_of_project, subscription, wire_format="phrase")
    assert kept["signature_schemes"] == ["repsona", "standard"]

    default = patch(client_of_project, subscription, signature_schemes=None)
    assert default["signature_schemes"] == ["phrase"]


def test_a_scheme_that_the_secret_does_not_suit_is_refused(client_of_project: ApiClient) -> None:
    subscription = make_subscription(
        project=client_of_project.project, wire_format="repsona", secret="correct horse"
    )

    by_name = client_of_project.patch(path_of(subscription), {"signature_schemes": ["standard"]})
    by_format = client_of_project.patch(path_of(subscription), {"wire_format": "standard"})

    assert errors_of(by_name, 400) == {"signature_schemes": "unsuitable"}
    assert errors_of(by_format, 400) == {"signature_schemes": "unsuitable"}
    subscription.refresh_from_db()
    assert subscription.wire_format == "repsona"


def test_the_secret_cannot_be_changed(
    client_of_project: ApiClient, subscription: Subscription
) -> None:
    before = reveal_newest(subscription)

    response = client_of_project.patch(
        path_of(subscription), {"secret": "whsec_" + "A" * 43 + "=", "description": "new"}
    )

    assert errors_of(response, 400) == {"secret": "not_changeable"}
    subscription.refresh_from_db()
    assert reveal_newest(subscription) == before
    assert subscription.description == ""


# ---- Switching off and on -------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)  # it cancels once the switch is committed
def test_switching_off_cancels_what_waits_and_says_why(
    client_of_project: ApiClient, subscription: Subscription
) -> None:
    waiting, sending = publish_one(subscription), publish_one(subscription)
    Delivery.objects.filter(id=sending.id).update(status=Status.SENDING)
    test_id = publish_test(subscription).delivery_ids[0]
    other = publish_one(make_subscription())

    changed = patch(client_of_project, subscription, active=False)

    assert changed["active"] is False
    assert changed["deactivation_reason"] == "by_hand"
    assert changed["deactivated_at"] is not None
    waiting.refresh_from_db()
    assert (waiting.status, waiting.end_reason) == (Status.CANCELLED, "deactivated")
    assert waiting.finished_at is not None
    assert Delivery.objects.get(id=sending.id).status == Status.SENDING
    assert Delivery.objects.get(id=test_id).status == Status.PENDING
    assert Delivery.objects.get(id=other.id).status == Status.PENDING


def test_switching_off_what_is_off_keeps_the_reason_and_the_time(
    client_of_project: ApiClient,
) -> None:
    subscription = make_subscription(
        project=client_of_project.project, is_active=False, deactivation_reason="failures"
    )
    since = subscription.deactivated_at

    changed = patch(client_of_project, subscription, active=False)

    assert changed["deactivation_reason"] == "failures"
    assert subscription.deactivated_at == since


def test_switching_on_resets_the_streak_and_begins_a_new_generation(
    client_of_project: ApiClient,
) -> None:
    subscription = make_subscription(
        project=client_of_project.project,
        is_active=False,
        deactivation_reason="failures",
        failure_streak=10,
        last_error="The server answered 500.",
        last_error_at=timezone.now(),
    )

    changed = patch(client_of_project, subscription, active=True)

    assert changed["active"] is True
    assert changed["failure_streak"] == 0
    assert changed["deactivated_at"] is changed["deactivation_reason"] is None
    assert changed["last_error"] == "The server answered 500."
    assert subscription.generation == 2


def test_switching_on_what_is_on_changes_nothing(
    client_of_project: ApiClient, subscription: Subscription
) -> None:
    Subscription.objects.update(failure_streak=3)
    before = client_of_project.get(path_of(subscription)).json()

    assert patch(client_of_project, subscription, active=True) == before
    assert subscription.generation == 1


def test_a_refused_change_switches_nothing_off(
    client_of_project: ApiClient, subscription: Subscription
) -> None:
    delivery = publish_one(subscription)

    errors_of(client_of_project.patch(path_of(subscription), {"active": False, "url": "x"}), 400)

    subscription.refresh_from_db()
    delivery.refresh_from_db()
    assert subscription.is_active
    assert delivery.status == Status.PENDING


# ---- Deleting -------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)  # it cancels once the switch is committed
def test_deleting_hides_the_subscription_and_keeps_its_history(
    client_of_project: ApiClient, subscription: Subscription
) -> None:
    delivery = publish_one(subscription)

    response = client_of_project.delete(path_of(subscription))

    assert response.status_code == 204
    assert response.content == b""
    subscription.refresh_from_db()
    assert not subscription.is_active
    assert subscription.deleted_at is not None
    assert subscription.deactivated_at is not None
    delivery.refresh_from_db()
    assert (delivery.status, delivery.end_reason) == (Status.CANCELLED, "deleted")
    history = client_of_project.get(
        "deliveries", {"subscription": f"sub_{subscription.id.hex}"}
    ).json()
    assert [row["id"] for row in history["results"]] == [f"dlv_{delivery.id.hex}"]


@pytest.mark.parametrize(
    ("method", "rest"),
    [("GET", ""), ("PATCH", ""), ("DELETE", ""), ("GET", "/secret"), ("POST", "/test")],
)
def test_what_is_deleted_is_404(
    client_of_project: ApiClient, subscription: Subscription, method: str, rest: str
) -> None:
    client_of_project.delete(path_of(subscription))

    errors_of(client_of_project.call(method, path_of(subscription) + rest, {}), 404)


def test_a_deleted_subscription_keeps_the_time_of_its_deactivation(
    client_of_project: ApiClient,
) -> None:
    subscription = make_subscription(project=client_of_project.project, is_active=False)
    since = subscription.deactivated_at

    client_of_project.delete(path_of(subscription))

    subscription.refresh_from_db()
    assert subscription.deactivated_at == since


# ---- Tenants --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "subscriptions/{sub}"),
        ("PATCH", "subscriptions/{sub}"),
        ("DELETE", "subscriptions/{sub}"),
        ("GET", "subscriptions/{sub}/secret"),
        ("POST", "subscriptions/{sub}/test"),
        ("GET", "deliveries/{dlv}"),
        ("POST", "deliveries/{dlv}/redeliver"),
        ("GET", "deliveries?subscription={sub}"),
    ],
)
def test_what_another_project_has_is_404_and_untouched(
    subscription: Subscription, method: str, path: str
) -> None:
    delivery = publish_one(subscription)
    Delivery.objects.update(status=Status.FAILED, next_attempt_at=None)
    ids = {"sub": f"sub_{subscription.id.hex}", "dlv": f"dlv_{delivery.id.hex}"}
    before = list(Subscription.objects.values()), list(Delivery.objects.values())

    stranger = ApiClient(make_project())
    by_own_project = stranger.call(method, path.format(**ids), {"description": "mine"})
    foreign = f"/api/v1/projects/{subscription.project.slug}/{path.format(**ids)}"
    by_foreign_project = stranger.call(method, foreign, {"description": "mine"})

    errors_of(by_own_project, 404)
    errors_of(by_foreign_project, 404)
    assert (list(Subscription.objects.values()), list(Delivery.objects.values())) == before


@pytest.mark.parametrize(
    ("method", "route"),
    [
        ("POST", "events"),
        ("GET", "subscriptions"),
        ("POST", "subscriptions"),
        ("GET", "deliveries"),
    ],
)
def test_another_project_cannot_be_told_from_one_that_does_not_exist(
    subscription: Subscription, method: str, route: str
) -> None:
    stranger = ApiClient(make_project())
    body = {"type": "Task.update", "data": {}, "url": "https://a.example", "event_types": ["*"]}

    foreign = stranger.call(method, f"/api/v1/projects/{subscription.project.slug}/{route}", body)
    unknown = stranger.call(method, f"/api/v1/projects/nobody/{route}", body)

    errors_of(foreign, 404)
    assert foreign.json() == unknown.json()
    assert Subscription.objects.count() == 1
    assert not Delivery.objects.exists()
