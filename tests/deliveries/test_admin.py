"""The admin's pages of history: what they show, what they never show, and redelivering."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from deliveries.models import Attempt, Delivery, Event, IdempotencyKey
from deliveries.publishing.ingest import publish
from deliveries.sending.transport import Outcome
from subscriptions import admin_base
from subscriptions.access.api_keys import make_key
from subscriptions.ids import first_id_of, to_public
from subscriptions.models import EventType, Member, Subscription
from subscriptions.secrets.secret_format import generate_secret
from tests.factories import make_subscription

pytestmark = pytest.mark.django_db

EVIL = '<script>alert("1")</script>\u202e{{7*7}}'


@pytest.fixture
def operator() -> Client:
    """Somebody who may do everything, logged in."""
    user = get_user_model().objects.create_superuser("operator", password="hashed anyway")
    client = Client()
    client.force_login(user)
    return client


def make_delivery(subscription: Subscription | None = None, **fields: Any) -> Delivery:
    """A finished delivery with one attempt."""
    subscription = subscription or make_subscription()
    published = publish(project=subscription.project, event_type="Task.update", data={"x": EVIL})
    defaults = {
        "status": Delivery.Status.SUCCEEDED,
        "next_attempt_at": None,
        "finished_at": timezone.now(),
        "attempt_count": 1,
        "last_outcome": Outcome.SUCCEEDED.value,
        "last_status_code": 200,
    }
    Delivery.objects.filter(id=published.delivery_ids[0]).update(**defaults | fields)
    delivery = Delivery.objects.get(id=published.delivery_ids[0])
    make_attempt(delivery)
    return delivery


def make_attempt(delivery: Delivery, **fields: Any) -> Attempt:
    """An attempt whose receiver answered something nasty."""
    defaults = {
        "number": 1,
        "started_at": timezone.now(),
        "outcome": Outcome.SUCCEEDED.value,
        "status_code": 200,
        "duration_ms": 12,
        "wire_format": "standard",
        "request_url": delivery.subscription.url,
        "request_headers": "Host: receiver.test\nContent-Type: application/json",
        "response_headers": b"HTTP/1.1 200 OK\r\nX-Evil: <b>bold</b>",
        "response_body": EVIL.encode() + b"\x00\xff",
    }
    return Attempt.objects.create(delivery=delivery, **defaults | fields)


def page_of(row: Any) -> str:
    """The address of a row's page."""
    return reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_change", args=[row.pk])


def list_of(model: Any) -> str:
    """The address of a model's list."""
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")


# ---- Every page ------------------------------------------------------------------------------


def test_every_model_has_its_pages_and_none_shows_a_secret(operator: Client) -> None:
    secret = generate_secret()
    delivery = make_delivery(make_subscription(secret=secret))
    subscription = delivery.subscription
    key, plain_key = make_key(subscription.project, name="for tests")
    stored_secret = subscription.signing_secrets.get()
    EventType.objects.create(project=subscription.project, name="Task.update")
    publish(project=subscription.project, event_type="a.b", data={}, idempotency_key="once")
    user = get_user_model().objects.get()
    Member.objects.create(project=subscription.project, user=user)
    forbidden = [secret, secret.removeprefix("whsec_"), stored_secret.ciphertext,
                 plain_key, key.digest, user.password]  # fmt: skip

    shown = 0
    for model, model_admin in admin.site._registry.items():
        rows = model._default_manager.all()[:3]
        paths = [list_of(model), *(page_of(row) for row in rows)]
        if model_admin.has_add_permission(operator.get("/admin/").wsgi_request):
            paths.append(list_of(model) + "add/")
        for path in paths:
            response = operator.get(path)
            assert response.status_code == 200, path
            page = response.content.decode()
            assert [text for text in forbidden if text in page] == [], path
            shown += 1
    assert shown > 25, "hardly any page was looked at"
    assert {Event, Delivery, Attempt, IdempotencyKey} <= set(admin.site._registry)


@pytest.mark.parametrize("model", [Event, Delivery, Attempt, IdempotencyKey])
def test_history_cannot_be_written_by_hand(operator: Client, model: Any) -> None:
    publish(project=make_delivery().project, event_type="a.b", data={}, idempotency_key="once")
    row = model.objects.first()

    assert operator.get(list_of(model) + "add/").status_code == 403
    assert operator.post(page_of(row), {"status": "failed"}).status_code == 403
    assert operator.post(page_of(row) + "../delete/", {"post": "yes"}).status_code == 403
    operator.post(list_of(model), {"action": "delete_selected", "_selected_action": [row.pk]})
    assert model.objects.filter(pk=row.pk).exists()


@pytest.mark.parametrize("model", [Event, Delivery, Attempt])
def test_an_address_that_is_no_id_leads_nowhere(operator: Client, model: Any) -> None:
    response = operator.get(list_of(model) + "nonsense/change/")
    assert response.status_code == 302


def test_strangers_are_sent_to_the_login() -> None:
    delivery = make_delivery()
    response = Client().get(page_of(delivery))
    assert response.status_code == 302
    assert response["Location"].startswith("/admin/login/")


# ---- One delivery ----------------------------------------------------------------------------


def test_a_delivery_shows_its_requests_and_responses_as_text(operator: Client) -> None:
    delivery = make_delivery()
    make_attempt(delivery, number=2, outcome=Outcome.TIMEOUT.value, status_code=None,
                 error="No answer arrived within 5 seconds.", is_truncated=True)  # fmt: skip

    page = operator.get(page_of(delivery)).content.decode()

    assert "<script>alert" not in page
    assert "<b>bold" not in page
    assert "&lt;script&gt;alert(\\&quot;1\\&quot;)&lt;/script&gt;" in page, "the body sent"
    assert "X-Evil: &lt;b&gt;bold&lt;/b&gt;" in page
    assert "POST http://127.0.0.1:9/inbox\nHost: receiver.test" in page
    assert "No answer arrived within 5 seconds." in page
    assert to_public("dlv", delivery.id) in page
    assert "succeeded, status 200, 12 ms" in page


def test_a_delivery_whose_event_was_pruned_still_has_its_page(operator: Client) -> None:
    delivery = make_delivery()
    Event.objects.all().delete()

    page = operator.get(page_of(delivery)).content.decode()

    assert "the body is no longer known" in page


def test_many_attempts_cost_no_more_queries_than_one(operator: Client) -> None:
    one, many = make_delivery(), make_delivery()
    for number in range(2, 10):
        make_attempt(many, number=number)

    queries_of(operator, page_of(one))  # the first page fills Django's caches
    assert queries_of(operator, page_of(many)) == queries_of(operator, page_of(one))


def queries_of(client: Client, path: str) -> int:
    with CaptureQueriesContext(connection) as queries:
        assert client.get(path).status_code == 200
    return len(queries)


# ---- Lists -----------------------------------------------------------------------------------


def test_the_list_can_be_narrowed(operator: Client) -> None:
    good = make_delivery()
    bad = make_delivery(
        status=Delivery.Status.FAILED,
        last_outcome=Outcome.HTTP_ERROR.value,
        last_status_code=500,
    )
    old = make_delivery()
    old_id = first_id_of(timezone.now() - timedelta(hours=2))
    Delivery.objects.filter(id=old.id).update(id=old_id)

    def found(**query: str) -> set[Any]:
        response = operator.get(list_of(Delivery), query)
        return {row.pk for row in response.context["cl"].result_list}

    assert found() == {good.id, bad.id, old_id}
    assert found(status="failed") == {bad.id}
    assert found(outcome="http_error") == {bad.id}
    assert found(project=good.project.slug) == {good.id}
    assert found(project="no-such-project") == set()
    assert found(subscription=str(bad.subscription_id)) == {bad.id}
    assert found(time="hour") == {good.id, bad.id}
    assert found(time="day") == {good.id, bad.id, old_id}
    assert found(q=to_public("dlv", good.id)) == {good.id}
    assert found(q=to_public("evt", bad.event_id)) == {bad.id}
    assert found(q=str(bad.id)) == {bad.id}
    assert found(q="Task") == set()


def test_a_filter_offers_the_subscriptions_of_the_chosen_project(operator: Client) -> None:
    chosen, other = make_delivery(), make_delivery(make_subscription(url="http://127.0.0.1:9/b"))
    query = {"project": chosen.project.slug}
    page = operator.get(list_of(Delivery), query).content.decode()
    assert f"subscription={chosen.subscription_id}" in page
    assert f"subscription={other.subscription_id}" not in page


def test_no_list_counts_or_sorts_the_whole_table(
    operator: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admin_base, "COUNT_LIMIT", 2)
    delivery = make_delivery()
    make_delivery(delivery.subscription)
    make_delivery(delivery.subscription)
    for model in (Event, Delivery, Attempt):
        monkeypatch.setattr(admin.site._registry[model], "list_per_page", 1)
        with CaptureQueriesContext(connection) as queries:
            response = operator.get(list_of(model), {"o": "2"})
        assert response.context["cl"].result_count == 2
        statements = [query["sql"] for query in queries if model._meta.db_table in query["sql"]]
        assert statements, "nothing was asked"
        for statement in statements:
            assert "LIMIT" in statement, statement
            order = statement.rpartition("ORDER BY")[2].strip()
            assert order.startswith(f'"{model._meta.db_table}"."id" DESC'), statement


# ---- Redelivering ----------------------------------------------------------------------------


def redeliver_page(delivery: Delivery) -> str:
    return page_of(delivery).replace("/change/", "/redeliver/")


def test_redelivering_asks_first_and_then_makes_it_due(operator: Client) -> None:
    delivery = make_delivery()

    dialog = operator.get(redeliver_page(delivery))
    delivery.refresh_from_db()
    assert dialog.status_code == 200
    assert delivery.status == Delivery.Status.SUCCEEDED, "a link must not change anything"

    answer = operator.post(redeliver_page(delivery), {"_form_submitted": "on"})
    delivery.refresh_from_db()
    assert delivery.status == Delivery.Status.PENDING
    assert answer["HX-Redirect"] == page_of(delivery)
    assert "It is due now" in operator.get(page_of(delivery)).content.decode()


def test_redelivering_several_says_which_could_not_be(operator: Client) -> None:
    good = make_delivery()
    inactive = make_delivery(make_subscription())
    Subscription.objects.filter(id=inactive.subscription_id).update(
        is_active=False, deactivated_at=timezone.now()
    )

    page = operator.post(
        list_of(Delivery),
        {"action": "redeliver_selected", "_selected_action": [good.pk, inactive.pk]},
        follow=True,
    ).content.decode()

    assert "1 of 2 deliveries are due now." in page
    assert "1 not: The subscription is inactive" in page
    assert Delivery.objects.get(id=good.id).status == Delivery.Status.PENDING
    assert Delivery.objects.get(id=inactive.id).status == Delivery.Status.SUCCEEDED


def test_who_may_only_look_cannot_redeliver() -> None:
    delivery = make_delivery()
    viewer = get_user_model().objects.create_user("viewer", is_staff=True)
    viewer.user_permissions.add(Permission.objects.get(codename="view_delivery"))
    client = Client()
    client.force_login(viewer)

    assert client.get(page_of(delivery)).status_code == 200
    assert client.post(redeliver_page(delivery), {"_form_submitted": "on"}).status_code == 403
    client.post(
        list_of(Delivery), {"action": "redeliver_selected", "_selected_action": delivery.pk}
    )
    assert Delivery.objects.get(id=delivery.id).status == Delivery.Status.SUCCEEDED


def test_every_action_refuses_a_forged_request(operator: Client) -> None:
    delivery = make_delivery()
    forger = Client(enforce_csrf_checks=True)
    forger.cookies = operator.cookies
    answer = forger.post(redeliver_page(delivery), {"_form_submitted": "on"})
    assert answer.status_code == 403
