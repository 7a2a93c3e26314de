"""The list of subscriptions: what it shows, finds and costs; and deleting one."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from deliveries.costly_requests import FIGURES, turn
from deliveries.pages import subscriptions as pages
from subscriptions.ids import to_public
from subscriptions.models import Project, Subscription
from tests.deliveries.history_rows import add_delivery, prepare_days
from tests.deliveries.pages.filling_in import member
from tests.factories import make_project, make_subscription

pytestmark = pytest.mark.django_db


@pytest.fixture
def project() -> Project:
    prepare_days(timezone.now() - timedelta(days=2))
    return make_project(slug="acme")


def shown(client: Client, address: str = "/projects/acme/subscriptions", **query: Any) -> str:
    response = client.get(address, query)
    assert response.status_code == 200
    return response.content.decode().replace("<wbr>", "")


def queries_of(client: Client) -> int:
    shown(client)
    with CaptureQueriesContext(connection) as queries:
        shown(client)
    return len(queries)


# ---- The list ----------------------------------------------------------------------------------


def test_a_subscription_is_shown_with_state_figures_and_last_delivery(project: Project) -> None:
    subscription = make_subscription(
        project=project, url="https://a.test/in", description="Billing", event_types=["Task.*"]
    )
    now = timezone.now()
    for _ in range(3):
        add_delivery(subscription, now - timedelta(hours=2))
    add_delivery(subscription, now - timedelta(hours=2), status="failed")
    add_delivery(subscription, now - timedelta(hours=2), status="failed", is_test=True)
    latest = add_delivery(subscription, now - timedelta(minutes=1), status="pending")

    page = shown(member(project, "viewer"))

    assert "https://a.test/in" in page
    assert "Billing" in page
    assert "Task.*" in page
    assert "3 succeeded, 1 failed" in page
    assert "75 %" in page
    assert f"{latest.created_at:%Y-%m-%dT%H:%M:%SZ}" in page
    assert f"/projects/acme/subscriptions/{to_public('sub', subscription.id)}" in page


def test_states_are_said_in_words_with_their_reason(project: Project) -> None:
    make_subscription(project=project, failure_streak=3)
    for reason in ("failures", "gone", "by_hand"):
        make_subscription(project=project, is_active=False, deactivation_reason=reason)

    page = shown(member(project, "viewer"))

    assert "3 deliveries failed in a row" in page
    assert "Too many deliveries failed in a row." in page
    assert "The receiver answered 410 Gone." in page
    assert "Paused by hand" in page


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"state": "active"}, {"on"}),
        ({"state": "deactivated"}, {"off"}),
        ({"state": "paused"}, {"paused"}),
        ({"q": "PAUS"}, {"paused"}),
        ({"q": "words of"}, {"on"}),
        ({"q": "o", "state": "deactivated"}, {"off"}),
        ({"q": "nowhere"}, set()),
        ({"state": "unheard-of"}, {"on", "off", "paused"}),
        ({"q": "a\0b"}, {"on", "off", "paused"}),
        ({"page": "of nonsense"}, {"on", "off", "paused"}),
    ],
)
def test_the_list_is_filtered(project: Project, query: dict[str, str], found: set[str]) -> None:
    reasons = {"on": "", "off": "failures", "paused": "by_hand"}
    for name, reason in reasons.items():
        make_subscription(
            project=project,
            url=f"https://x.test/{name}",
            description="Words of mine" if name == "on" else "",
            is_active=not reason,
            deactivation_reason=reason,
        )

    page = shown(member(project, "viewer"), **query)

    assert {name for name in reasons if f"https://x.test/{name}<" in page} == found
    assert ("No subscription fits" in page) == (not found)


def test_many_event_types_are_cut_short(project: Project) -> None:
    make_subscription(project=project, event_types=["a.a", "b.b", "c.c", "d.d", "e.e"])

    page = shown(member(project, "viewer"))

    assert ">+2</span>" in page
    assert ">d.d<" not in page


def test_hostile_text_is_shown_as_text(project: Project) -> None:
    script = "<script>alert(1)</script>"
    make_subscription(project=project, description=script)

    page = shown(member(project, "viewer"), q=script)

    assert script not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page


def test_the_empty_list_teaches_what_a_subscription_is(project: Project) -> None:
    as_editor, as_viewer = shown(member(project, "editor")), shown(member(project, "viewer"))

    assert "curl http://testserver/api/v1/projects/acme/subscriptions" in as_editor
    assert "/projects/acme/subscriptions/new" in as_editor
    assert "/projects/acme/subscriptions/new" not in as_viewer
    assert "An editor of this project can add one." in as_viewer


def test_deleted_and_foreign_subscriptions_are_not_listed(project: Project) -> None:
    make_subscription(url="https://foreign.test/")
    gone = make_subscription(project=project, url="https://gone.test/", is_active=False)
    Subscription.objects.filter(id=gone.id).update(deleted_at=timezone.now())

    page = shown(member(project, "viewer"))

    assert "foreign.test" not in page
    assert "gone.test" not in page


def test_the_list_costs_as_much_for_thirty_subscriptions_as_for_three(project: Project) -> None:
    client = member(project, "viewer")
    for _ in range(3):
        add_delivery(make_subscription(project=project), timezone.now())
    few = queries_of(client)
    for _ in range(27):
        add_delivery(make_subscription(project=project), timezone.now())

    assert queries_of(client) == few
    assert few == 8


def test_pages_hold_fifty_and_keep_the_filters(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "PAGE_SIZE", 2)
    for number in range(5):
        make_subscription(project=project, url=f"https://n.test/{number}")
    client = member(project, "viewer")

    second = shown(client, q="n.test", page=2)

    assert "https://n.test/2<" in second
    assert "https://n.test/4<" not in second
    assert "?q=n.test&amp;page=3" in second
    assert "?q=n.test&amp;page=1" in second


def test_while_the_project_reads_other_figures_the_list_comes_without(project: Project) -> None:
    make_subscription(project=project, url="https://a.test/in")
    client = member(project, "viewer")

    with turn(project, FIGURES):
        page = shown(client)

    assert "https://a.test/in" in page
    assert "being counted for somebody else" in page
    assert "<svg" not in page


@pytest.mark.usefixtures("project")
def test_who_is_not_signed_in_or_no_member_sees_nothing() -> None:
    stranger = member(make_project(slug="other"), "owner")

    assert Client().get("/projects/acme/subscriptions").status_code == 302
    assert stranger.get("/projects/acme/subscriptions").status_code == 404


# ---- Deleting ----------------------------------------------------------------------------------


def delete_page(subscription: Subscription) -> str:
    return f"/projects/acme/subscriptions/{to_public('sub', subscription.id)}/delete"


def test_deleting_asks_for_the_host_name(project: Project) -> None:
    subscription = make_subscription(project=project, url="https://hooks.acme.test:8443/in")
    client = member(project, "editor")

    assert "hooks.acme.test" in shown(client, delete_page(subscription))
    refused = client.post(delete_page(subscription), {"host": "acme.test"})
    assert refused.status_code == 422
    assert 'role="alert"' in refused.content.decode()
    subscription.refresh_from_db()
    assert subscription.deleted_at is None

    done = client.post(delete_page(subscription), {"host": " Hooks.Acme.TEST "})
    assert done.status_code == 302
    assert done["Location"] == "/projects/acme/subscriptions"
    assert "was deleted" in shown(client)
    subscription.refresh_from_db()
    assert subscription.deleted_at is not None
    assert client.get(delete_page(subscription)).status_code == 404


def test_deleting_takes_an_editor_of_this_project(project: Project) -> None:
    subscription = make_subscription(project=project)
    foreign = make_subscription()
    viewer, editor = member(project, "viewer"), member(project, "editor")

    refused = viewer.post(delete_page(subscription), {"host": "127.0.0.1"})
    assert refused.status_code == 403
    assert "editor" in refused.content.decode()
    assert editor.post(delete_page(foreign), {"host": "127.0.0.1"}).status_code == 404
    assert not Subscription.objects.exclude(deleted_at=None).exists()
