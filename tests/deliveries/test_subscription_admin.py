"""The admin's page of subscriptions: its form, tests with their results, on, off and delete."""

from __future__ import annotations

import re
from ipaddress import ip_network
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth import get_user_model
from django.test import Client
from django.urls import reverse
from pytest_django.fixtures import Settings

from deliveries import admin_tests
from deliveries.models import Delivery
from deliveries.publishing.ingest import publish
from subscriptions.access.api_keys import authenticate
from subscriptions.models import ApiKey, Project, Subscription
from subscriptions.secrets.secret_format import generate_secret
from subscriptions.secrets.signing_secrets import reveal_newest
from tests.factories import make_project, make_subscription
from tests.hostile_receiver import HostileReceiver
from tests.workers import sending

LIST = "/admin/subscriptions/subscription/"
SUBMITTED = {"_form_submitted": "on"}

pytestmark = pytest.mark.django_db


@pytest.fixture
def operator(settings: Settings) -> Client:
    """Somebody who may do everything, logged in; receivers on loopback may be subscribed."""
    settings.DISPATCHER_ALLOWED_NETWORKS = (ip_network("127.0.0.0/8"),)
    user = get_user_model().objects.create_superuser("operator", password="hashed anyway")
    client = Client()
    client.force_login(user)
    return client


def page_of(subscription: Subscription, action: str = "change") -> str:
    return f"{LIST}{subscription.id}/{action}/"


def filled_in(project: Project | None = None, **fields: Any) -> dict[str, Any]:
    """The form as a customer's operator fills it in."""
    return {
        "project": project.pk if project else "",
        "url": "http://127.0.0.1:8080/in",
        "description": "Billing",
        "event_types": "Task.*\r\n\r\norder.paid",
        "wire_format": "standard",
        "signature_schemes": [],
        "custom_headers": "X-Team: billing",
        "retry_schedule": "5, 300",
        "signing_secrets-TOTAL_FORMS": 0,
        "signing_secrets-INITIAL_FORMS": 0,
        **fields,
    }


# ---- The form ----------------------------------------------------------------------------------


def test_a_new_subscription_gets_a_secret_that_is_shown_once(operator: Client) -> None:
    page = operator.post(f"{LIST}add/", filled_in(make_project()), follow=True).content.decode()

    subscription = Subscription.objects.get()
    secret = reveal_newest(subscription)
    assert secret in page
    assert secret not in operator.get(LIST).content.decode()
    assert secret not in operator.get(page_of(subscription)).content.decode()
    assert subscription.event_types == ["Task.*", "order.paid"]
    assert subscription.signature_schemes == ["standard"]
    assert subscription.custom_headers == {"X-Team": "billing"}
    assert subscription.retry_schedule == [5, 300]
    entry = LogEntry.objects.get()
    assert entry.object_id == str(subscription.pk)
    assert secret not in entry.get_change_message()


def test_a_secret_that_was_given_is_not_shown_again(operator: Client) -> None:
    secret = generate_secret()
    form = filled_in(make_project(), secret=secret)
    page = operator.post(f"{LIST}add/", form, follow=True).content.decode()
    assert reveal_newest(Subscription.objects.get()) == secret
    assert secret not in page


@pytest.mark.parametrize(
    ("field", "value", "sentence"),
    [
        ("url", "http://169.254.169.254/", "may not be contacted"),
        ("url", "ftp://example.com/", "must begin with"),
        ("event_types", "Tas*", "neither an event type"),
        ("event_types", " \n ", "required"),
        ("wire_format", "morse", "not one of the available choices"),
        ("signature_schemes", ["phrase", "phrase-hex"], "same header"),
        ("custom_headers", "webhook-id: 1", "reserved"),
        ("custom_headers", "no colon", "Name: value"),
        ("custom_headers", "X-A: 1\nX-A: 2", "Write each header once"),
        ("metadata", "{", "valid JSON"),
        ("metadata", "[1]", "object of names"),
        ("metadata", '{"a": 1}', "A value is a text"),
        ("retry_schedule", "soon", "not a retry schedule"),
        ("retry_schedule", "0", "1 to 604800"),
        ("secret", "whsec_short", "whsec_"),
    ],
)
def test_the_form_refuses_what_the_api_refuses_and_names_the_field(
    operator: Client, field: str, value: Any, sentence: str
) -> None:
    response = operator.post(f"{LIST}add/", filled_in(make_project(), **{field: value}))

    assert response.status_code == 200
    errors = response.context["adminform"].form.errors
    assert list(errors) == [field]
    assert sentence in str(errors[field])
    assert not Subscription.objects.exists()


def test_all_that_is_wrong_is_said_at_once(operator: Client) -> None:
    form = filled_in(make_project(), url="ftp://x/", event_types="Tas*", custom_headers="no colon")
    response = operator.post(f"{LIST}add/", form)
    errors = response.context["adminform"].form.errors
    assert sorted(errors) == ["custom_headers", "event_types", "url"]
    assert [len(errors[name]) for name in errors] == [1, 1, 1]


def test_plain_http_is_refused_where_the_project_says_so(operator: Client) -> None:
    response = operator.post(f"{LIST}add/", filled_in(make_project(is_https_only=True)))
    assert "https://" in str(response.context["adminform"].form.errors["url"])


def test_changing_the_url_begins_a_new_generation_and_keeps_the_rest(operator: Client) -> None:
    operator.post(f"{LIST}add/", filled_in(make_project()))
    subscription = Subscription.objects.get()

    form = filled_in(url="http://127.0.0.1:8080/other", signature_schemes=["standard"])
    response = operator.post(page_of(subscription), form)

    assert response.status_code == 302
    changed = Subscription.objects.get()
    assert changed.url == "http://127.0.0.1:8080/other"
    assert changed.generation == 2
    assert changed.retry_schedule == [5, 300]
    assert changed.signing_secrets.count() == 1


def test_metadata_are_written_as_json_and_go_when_the_field_is_emptied(operator: Client) -> None:
    operator.post(f"{LIST}add/", filled_in(make_project(), metadata='{"customer": "4711"}'))
    subscription = Subscription.objects.get()
    assert subscription.metadata == {"customer": "4711"}

    operator.post(page_of(subscription), filled_in(metadata=""))

    assert Subscription.objects.get().metadata == {}


def test_saving_what_is_shown_changes_nothing(operator: Client) -> None:
    operator.post(f"{LIST}add/", filled_in(make_project(), retry_schedule="standard"))
    before = Subscription.objects.values().get()

    form = operator.get(page_of(Subscription.objects.get())).context["adminform"].form
    shown = {name: form[name].value() for name in form.fields if form[name].value() is not None}
    operator.post(page_of(Subscription.objects.get()), filled_in(**shown))

    after = Subscription.objects.values().get()
    assert shown["retry_schedule"] == "standard"
    assert {**after, "updated_at": None} == {**before, "updated_at": None}


# ---- Tests -------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_a_test_is_sent_and_its_result_shown(operator: Client) -> None:
    with HostileReceiver() as receiver, sending():
        good = make_subscription(url=receiver.origin + "/ok")
        answer = operator.post(page_of(good, "send-test"), SUBMITTED)
        page = operator.get(answer["HX-Redirect"]).content.decode()

    delivery = Delivery.objects.get()
    assert delivery.is_test
    assert re.search(r"/ok: succeeded, status 200, \d+ ms", page)
    assert reverse("admin:deliveries_delivery_change", args=[delivery.id]) in page


@pytest.mark.django_db(transaction=True)
def test_several_tests_are_sent_at_once_whatever_the_state(operator: Client) -> None:
    with HostileReceiver() as receiver, sending():
        failing = make_subscription(url=receiver.origin + "/server-error")
        inactive = make_subscription(url=receiver.origin + "/ok", is_active=False)
        blocked = make_subscription(url="http://192.0.2.1/")
        rows = [failing.pk, inactive.pk, blocked.pk]
        page = operator.post(
            LIST,
            {"action": "send_test_to_selected", "_selected_action": rows},
            follow=True,
        ).content.decode()

    assert re.search(r"/server-error: http_error, status 500, \d+ ms", page)
    assert re.search(r"/ok: succeeded, status 200", page)
    assert re.search(r"192.0.2.1/: blocked_address, \d+ ms: .*may not be contacted\.", page)
    failing.refresh_from_db()
    assert failing.failure_streak == 0, "tests do not count"


def test_a_test_that_nobody_sends_is_not_waited_for_long(
    operator: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admin_tests, "WAIT_SECONDS", 0.1)
    subscription = make_subscription()
    operator.post(page_of(subscription, "send-test"), SUBMITTED)
    page = operator.get(LIST).content.decode()
    assert "not finished yet" in page
    assert reverse("admin:deliveries_delivery_change", args=[Delivery.objects.get().id]) in page


def test_a_test_may_have_another_type_if_it_is_one(
    operator: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admin_tests, "WAIT_SECONDS", 0.1)
    subscription = make_subscription()
    operator.post(page_of(subscription, "send-test"), SUBMITTED | {"event_type": "order.paid"})
    operator.post(page_of(subscription, "send-test"), SUBMITTED | {"event_type": "not a type"})
    assert [delivery.event_type for delivery in Delivery.objects.all()] == ["order.paid"]
    assert "is not an event type" in operator.get(LIST).content.decode()


# ---- On, off, delete ---------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)  # it cancels once the switch is committed
def test_deactivating_cancels_what_waits_and_activating_begins_anew(operator: Client) -> None:
    subscription = make_subscription()
    publish(project=subscription.project, event_type="a.b", data={})

    operator.post(page_of(subscription, "deactivate"), SUBMITTED)
    subscription.refresh_from_db()
    assert not subscription.is_active
    assert Delivery.objects.get().status == Delivery.Status.CANCELLED

    operator.post(page_of(subscription, "activate"), SUBMITTED)
    subscription.refresh_from_db()
    assert subscription.is_active
    assert subscription.generation == 2
    messages = [entry.get_change_message() for entry in LogEntry.objects.order_by("id")]
    assert messages == ["Deactivated.", "Activated."]


@pytest.mark.django_db(transaction=True)  # it cancels once the switch is committed
def test_deleting_keeps_the_row_and_its_history(operator: Client) -> None:
    subscription = make_subscription()
    publish(project=subscription.project, event_type="a.b", data={})

    operator.post(page_of(subscription, "delete-softly"), SUBMITTED)

    subscription.refresh_from_db()
    assert subscription.deleted_at
    assert Delivery.objects.get().end_reason == Delivery.EndReason.DELETED
    assert rows_of(operator) == []
    assert rows_of(operator, state="deleted") == [subscription.pk]
    page = operator.get(page_of(subscription)).content.decode()
    assert "send-test" not in page
    assert 'name="_save"' not in page
    assert operator.post(page_of(subscription, "send-test"), SUBMITTED).status_code == 404


@pytest.mark.parametrize(
    ("action", "is_active", "is_deleted"),
    [
        ("activate_selected", [True, True], False),
        ("deactivate_selected", [False, False], False),
        ("delete_selected_softly", [False, False], True),
    ],
)
def test_several_are_switched_at_once(
    operator: Client, action: str, is_active: list[bool], is_deleted: bool
) -> None:
    rows = [make_subscription(), make_subscription(is_active=False)]
    selected = {"action": action, "_selected_action": [row.pk for row in rows]}

    page = operator.post(LIST, selected, follow=True).content.decode()

    for row in rows:
        row.refresh_from_db()
    assert [row.is_active for row in rows] == is_active
    assert all(bool(row.deleted_at) is is_deleted for row in rows)
    assert "of the selected subscriptions" in page


@pytest.mark.parametrize("action", ["send-test", "activate", "deactivate", "delete-softly"])
def test_following_a_link_changes_nothing(operator: Client, action: str) -> None:
    subscription = make_subscription(is_active=action != "activate")
    before = Subscription.objects.values().get()
    assert operator.get(page_of(subscription, action)).status_code == 200
    assert Subscription.objects.values().get() == before
    assert not Delivery.objects.exists()


def test_the_actions_offered_suit_the_state(operator: Client) -> None:
    active, inactive = make_subscription(), make_subscription(is_active=False)
    page = operator.get(page_of(active)).content.decode()
    assert "/deactivate/" in page
    assert "/activate/" not in page
    page = operator.get(page_of(inactive)).content.decode()
    assert "/activate/" in page
    assert "/deactivate/" not in page


@pytest.mark.parametrize("action", ["change", "send-test", "activate", "deliveries"])
def test_an_address_that_is_no_id_breaks_nothing(operator: Client, action: str) -> None:
    assert operator.get(f"{LIST}nonsense/{action}/").status_code in {200, 302}
    assert operator.post(f"{LIST}nonsense/{action}/", SUBMITTED).status_code in {302, 404}


def rows_of(client: Client, **query: str) -> list[Any]:
    return [row.pk for row in client.get(LIST, query).context["cl"].result_list]


def test_the_list_can_be_narrowed(operator: Client) -> None:
    active = make_subscription(url="http://127.0.0.1:9/a", wire_format="phrase")
    inactive = make_subscription(is_active=False)
    assert rows_of(operator, state="active") == [active.pk]
    assert rows_of(operator, state="inactive") == [inactive.pk]
    assert rows_of(operator, wire_format="phrase") == [active.pk]
    assert rows_of(operator, project=inactive.project.slug) == [inactive.pk]
    assert rows_of(operator, q=f"sub_{active.pk.hex}") == [active.pk]
    assert rows_of(operator, q=":9/a") == [active.pk]


# ---- API keys ----------------------------------------------------------------------------------


def test_a_new_api_key_is_shown_once_and_works(operator: Client) -> None:
    form = {"project": make_project().pk, "name": "CI", "scopes": ["publish"]}
    page = operator.post("/admin/subscriptions/apikey/add/", form, follow=True).content.decode()

    plain = re.search(r"whd_[\w-]{40,}", page)
    assert plain, "the key was not shown"
    key = authenticate(plain[0])
    assert key is not None
    assert (key.name, key.scopes) == ("CI", ["publish"])
    assert ApiKey.objects.count() == 1
    again = operator.get(f"/admin/subscriptions/apikey/{key.pk}/change/").content.decode()
    assert plain[0] not in again
    assert key.digest not in again


def test_a_revoked_key_stops_working_at_once(operator: Client) -> None:
    form = {"project": make_project().pk, "scopes": ["publish"]}
    page = operator.post("/admin/subscriptions/apikey/add/", form, follow=True).content.decode()
    plain = re.findall(r"whd_[\w-]{40,}", page)[0]

    selected = {"action": "revoke", "_selected_action": [ApiKey.objects.get().pk]}
    operator.post("/admin/subscriptions/apikey/", selected)

    assert authenticate(plain) is None
