"""What a link of the portal lets a visitor do, and no more."""

from __future__ import annotations

import logging
from io import StringIO
from types import SimpleNamespace
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.test import Client

from deliveries import costly_requests
from deliveries.costly_requests import FIGURES, turn
from deliveries.history import filters
from deliveries.models import Delivery
from deliveries.pages.histogram import HISTOGRAM
from deliveries.pages.overview import Overview
from deliveries.publishing.ingest import publish
from dispatcher import portal_messages
from subscriptions.access.portal import read_token
from subscriptions.access.request_context import LineFormatter, RequestIdFilter
from subscriptions.ids import to_public
from subscriptions.models import AuditEntry, EventType, Member, Project, Subscription
from tests.deliveries.recoveries.samples import ask
from tests.dispatcher.portal_links import below, link_of
from tests.factories import make_project, make_subscription
from tests.tenants.routes import page_paths

pytestmark = pytest.mark.django_db


@pytest.fixture
def project() -> Project:
    return make_project()


def test_a_member_who_opens_a_link_is_its_visitor_and_no_more(project: Project) -> None:
    owner = User.objects.create_user("owner")
    Member.objects.create(project=project, user=owner, role=Member.Role.OWNER)
    client = Client()
    client.force_login(owner)
    assert client.get(f"/projects/{project.slug}/members").status_code == 200
    link = link_of(project)
    assert client.get(below(link, f"/projects/{project.slug}/members")).status_code == 403
    page = client.get(below(link, f"/projects/{project.slug}/")).content.decode()
    assert "owner" not in page
    assert "Members" not in page
    assert client.get("/projects").status_code == 302  # and is signed in still


def test_a_form_needs_no_cookie_and_elsewhere_it_does(project: Project) -> None:
    client = Client(enforce_csrf_checks=True)
    link = link_of(project, "editor")
    path = f"/projects/{project.slug}/event-types"
    assert client.post(below(link, path), {"name": "a.b"}).status_code == 404  # the provider's
    client.force_login(User.objects.create_superuser("operator"))
    assert client.post(path, {"name": "a.b"}).status_code == 403
    assert not EventType.objects.exists()


def test_outside_of_the_project_there_is_nothing(project: Project) -> None:
    link = link_of(project, "editor")
    other = make_project()
    for path in (
        f"/projects/{other.slug}/", f"/projects/{project.slug}-x/", "/projects", "/admin/", "/",
        "/sign-in", "/api/v1/openapi.json", f"/api/v1/projects/{project.slug}", "/demo/inbox/",
        f"/portal/{link.token}/projects/{project.slug}/", "//projects/", "/healthz",
    ):  # fmt: skip
        response = Client().get(below(link, path))
        expected = 302 if path == "/" else 404
        assert response.status_code == expected, path


def ids_of(project: Project, subscription: Subscription) -> dict[str, str]:
    data = {"secret": f"of {subscription.description}"}
    published = publish(
        project=project,
        event_type="Task.update",
        data=data,
        idempotency_key=f"order-{subscription.description}",
    )
    delivery = Delivery.objects.get(id=published.delivery_ids[0], subscription=subscription)
    Delivery.objects.filter(id=delivery.id).update(status="failed", next_attempt_at=None)
    return {
        "project": project.slug,
        "subscription": to_public("sub", subscription.id),
        "delivery": to_public("dlv", delivery.id),
        "event": to_public("evt", delivery.event_id),
        "recovery": to_public("rcv", ask(project, kind="missed", subscription=subscription).id),
        "key": "key_" + "0" * 32,
        "name": "Task.update",
        "number": "1",
        "change": "pause",
    }


def test_a_visitor_reaches_nothing_of_other_subscriptions(project: Project) -> None:
    """Every page, with its own ids and with those of what it must not see."""
    shown = make_subscription(project=project, description="SHOWN", url="https://shown.test/in")
    own = ids_of(project, shown)  # the event went to this subscription only
    hidden = make_subscription(project=project, description="HIDDEN", url="https://hidden.test/in")
    Subscription.objects.filter(pk=shown.pk).update(event_types=["Other.type"])
    secret = ids_of(project, hidden)
    link = link_of(project, "editor", subscription_ids=[shown.id])
    names = ("subscription", "delivery", "event", "recovery")
    marks = ("HIDDEN", "hidden.test", *(secret[name] for name in names))
    queries = (
        "",
        f"?subscription={secret['subscription']}",
        f"?event={secret['event']}",
        f"?search={secret['event']}",
        f"?search={secret['delivery']}",
        "?search=order-HIDDEN",
        "?search=order-",
    )

    wrong, arrived = [], 0
    for path in [f"{path}{query}" for path in page_paths(own) for query in queries]:
        query = path.partition("?")[2].partition("=")[2]
        response = Client(raise_request_exception=False).get(below(link, path))
        arrived += response.status_code == 200
        text = b"".join(response).decode(errors="replace")
        # What the visitor typed is in the form, and in the addresses that keep the filters.
        told = [mark for mark in marks if mark in text and mark not in query]
        wrong += [f"{path} tells {mark}" for mark in told]
        if response.status_code >= 500:
            wrong.append(f"{path}: {response.status_code}")
    foreign_recovery = own | {"recovery": secret["recovery"]}
    for path in {*page_paths(secret), *page_paths(foreign_recovery)}:
        if any(secret[name] in path for name in names):
            for method in ("get", "post"):
                response = getattr(Client(raise_request_exception=False), method)(below(link, path))
                if response.status_code not in {404, 405, 403}:
                    wrong.append(f"{method} {path}: {response.status_code}")
    assert wrong == []
    assert arrived > 8 * len(queries)


def test_a_search_tells_nothing_of_what_others_were_sent(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither by how many keys begin so, nor by how many got an event."""
    monkeypatch.setattr(filters, "EVENTS_SEARCHED", 1)
    monkeypatch.setattr(filters, "DELIVERIES_SEARCHED", 1)
    shown = make_subscription(project=project, event_types=["Own.*"])
    link = link_of(project, subscription_ids=[shown.id])
    publish(project=project, event_type="Own.event", data={}, idempotency_key="own-1")
    for _ in range(2):
        make_subscription(project=project, event_types=["Task.*"])
    for number in range(3):
        key = f"other-{number}"
        publish(project=project, event_type="Task.update", data={}, idempotency_key=key)
    delivery = to_public("dlv", Delivery.objects.get(subscription=shown).id)

    def searched(text: str) -> tuple[int, str, bool]:
        path = below(link, f"/projects/{project.slug}/deliveries?search={text}")
        response = Client().get(path)
        page = response.content.decode().replace(text, "")
        return response.status_code, page, delivery in page

    nothing = searched("nothing")
    assert nothing[0] == 200
    assert not nothing[2]
    for text in ("other-", "other-1", "own-"):
        assert searched(text) == nothing
    assert searched("own-1")[2]


def test_a_visitor_s_figures_do_not_wait_for_the_project_s(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When others look at figures is none of the visitor's business, nor theirs when they do."""
    stopped = SimpleNamespace(monotonic=lambda: 0.0)  # no turn takes so long that a rest follows
    monkeypatch.setattr(costly_requests, "time", stopped)
    shown = make_subscription(project=project)
    publish(project=project, event_type="Task.update", data={})
    link = link_of(project, subscription_ids=[shown.id])
    figures = f"/subscriptions/{to_public('sub', shown.id)}/figures"
    with turn(project, FIGURES), turn(project, HISTOGRAM):
        overview, histogram, list_of_them, one = (
            Client().get(below(link_of(project, subscription_ids=[shown.id]), path))
            for path in (
                f"/projects/{project.slug}{section}"
                for section in ("/", "/deliveries", "/subscriptions", figures)
            )
        )
    assert "Load the page again in" not in overview.content.decode()
    assert overview.context["stats"].total.deliveries == 1
    assert histogram.context["histogram"] is not None
    assert list_of_them.context["day"] is not None
    assert "wait_seconds" not in one.context
    with turn(project, FIGURES, owner=link.id):
        again = Client().get(below(link, f"/projects/{project.slug}/"))
        whole = Client().get(below(link_of(project), f"/projects/{project.slug}/"))
    assert "busy_seconds" in again.context
    assert "busy_seconds" not in whole.context


def test_a_failure_below_a_link_is_logged_without_its_token(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_arguments: Any) -> None:
        raise RuntimeError

    monkeypatch.setattr(Overview, "context", fail)
    written = StringIO()
    handler = logging.StreamHandler(written)
    logs: Any = settings.LOGGING
    formatter = logs["formatters"]["line"]
    handler.setFormatter(LineFormatter(formatter["format"], style="{"))
    handler.addFilter(RequestIdFilter())
    logging.getLogger().addHandler(handler)
    try:
        link = link_of(project)
        path = below(link, f"/projects/{project.slug}/")
        assert Client(raise_request_exception=False).get(path).status_code == 500
    finally:
        logging.getLogger().removeHandler(handler)
    assert f"Internal Server Error: /portal/…/projects/{project.slug}/" in written.getvalue()
    assert link.token not in written.getvalue()
    assert formatter["class"].endswith(LineFormatter.__qualname__)


def test_while_the_cache_hangs_one_page_waits_for_it_and_the_next_does_not(
    project: Project, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    asked = []

    def hang(*_arguments: Any) -> None:
        asked.append(1)
        raise OSError

    monkeypatch.setattr(portal_messages, "cache", SimpleNamespace(get=hang, set=hang, delete=hang))
    link = link_of(project, "editor")
    subscription = to_public("sub", make_subscription(project=project).id)
    path = below(link, f"/projects/{project.slug}/subscriptions/{subscription}/deactivate")
    assert [Client().post(path).status_code for _ in range(3)] == [302] * 3
    assert Client().get(below(link, f"/projects/{project.slug}/event-types")).status_code == 200
    assert len(asked) == 1
    assert caplog.text.count("cache unreachable, portals") == 1


def test_an_owner_s_page_is_for_no_link(project: Project) -> None:
    for role in ("viewer", "editor"):
        link = link_of(project, role)
        for section in ("members", "keys", "audit-log"):
            path = below(link, f"/projects/{project.slug}/{section}")
            assert Client().get(path).status_code == 403
            assert Client().post(path, {"user": "x", "role": "owner"}).status_code in {403, 405}


def test_what_a_visitor_does_is_written_down_as_the_link_s(project: Project) -> None:
    subscription = make_subscription(project=project)
    link = link_of(project, "editor")
    public = to_public("sub", subscription.id)
    path = below(link, f"/projects/{project.slug}/subscriptions/{public}/deactivate")
    done = Client().post(path)
    assert done.status_code in {200, 302, 303}
    entry = AuditEntry.objects.get(action="subscription.deactivated")
    assert (entry.actor_kind, entry.actor_id) == ("portal", link.id)
    assert not done.cookies


def test_a_grant_says_what_the_link_was_made_for(project: Project) -> None:
    subscription = make_subscription(project=project)
    grant = read_token(link_of(project, "editor", subscription_ids=[subscription.id]).token)
    assert (grant.project_id, grant.role) == (project.pk, Member.Role.EDITOR)
    assert grant.subscription_ids == (subscription.id,)
