"""Pages of event types: the catalogue with its usage, changes by editors, and the public page."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.core.cache import cache
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from deliveries import costly_requests
from deliveries.costly_requests import FIGURES
from subscriptions.access.portal import make_link
from subscriptions.models import AuditEntry, EventType, Project
from tests.deliveries.history_rows import add_event
from tests.factories import make_project, make_subscription
from tests.subscriptions.pages.people import signed_in

pytestmark = pytest.mark.django_db

EVIL = '<script>alert("1")</script>'


@pytest.fixture
def project() -> Project:
    return make_project()


@pytest.fixture
def editor(project: Project) -> Client:
    return signed_in(project, "editor")


def types_of(project: Project, rest: str = "") -> str:
    return f"/projects/{project.slug}/event-types{rest}"


def add_type(project: Project, name: str, **fields: Any) -> EventType:
    return EventType.objects.create(project=project, name=name, **fields)


def text_of(response: Any, status: int = 200) -> str:
    assert response.status_code == status, response.content
    cache.clear()
    return re.sub(r"\s+", " ", response.content.decode())


def test_the_catalogue_is_listed_by_name_with_what_is_used(
    project: Project, editor: Client
) -> None:
    add_type(project, "order.shipped", description=EVIL)
    add_type(project, "order.paid", description="Money came in.")
    add_type(project, "order.old", is_archived=True)
    add_type(make_project(), "foreign.type")
    for _ in range(3):
        add_event(project, timezone.now(), "order.paid")
    add_event(project, timezone.now(), "order.paid", is_test=True)
    add_event(project, timezone.now(), "order.lost")

    shown = text_of(editor.get(types_of(project)))
    names = re.findall(r'<a class="mono"[^>]*>([\w.]+)</a>', shown)
    assert names == ["order.paid", "order.shipped"]
    assert '<td class="number">3</td>' in shown
    assert EVIL not in shown
    assert '<span class="tag">order.lost</span> 1 event' in shown
    assert "order.old" in text_of(editor.get(types_of(project, "?show=archived")))
    found = text_of(editor.get(types_of(project, "?search=MONEY")))
    assert "order.paid" in found
    assert "order.shipped" not in found
    assert "No event type is like this." in text_of(editor.get(types_of(project, "?search=%00")))


def test_one_event_type_shows_its_texts_and_who_wants_it(project: Project, editor: Client) -> None:
    add_type(project, "a/b.c", example='{"n":1.10,"x":"</pre><b>"}', schema='{"type":"object"}')
    make_subscription(project=project, url="https://wants.test/", event_types=["a/*"])
    make_subscription(project=project, url="https://not.test/", event_types=["b.*"])
    add_event(project, timezone.now(), "a/b.c")
    shown = text_of(editor.get(types_of(project, "/a/b.c")))
    assert "&quot;n&quot;: 1.10," in shown
    assert "</pre><b>" not in shown
    assert "https://wants.test/" in shown
    assert "https://not.test/" not in shown
    assert '<span class="figure">1</span>' in shown
    assert editor.get(types_of(project, "/unknown")).status_code == 404
    assert editor.get(types_of(project, "/a%00b")).status_code == 404


def test_an_event_type_is_added_changed_and_deleted(project: Project, editor: Client) -> None:
    new = {"name": "order.paid", "description": "d", "example": '{"n": 1.10}', "schema": ""}
    added = editor.post(types_of(project), new)
    assert added["Location"] == types_of(project, "/order.paid")
    stored = EventType.objects.get()
    assert (stored.name, stored.example, stored.schema) == ("order.paid", '{"n":1.10}', "")
    form = editor.get(types_of(project, "/order.paid")).context["form"]
    change = {"tag": form.tag, "description": "other", "example": "",
              "schema": '{"type": "object"}', "is_archived": "on"}  # fmt: skip
    assert editor.post(types_of(project, "/order.paid"), change).status_code == 302
    stored.refresh_from_db()
    assert (stored.description, stored.example, stored.is_archived) == ("other", "", True)
    assert stored.schema == '{"type":"object"}'
    assert editor.post(types_of(project, "/order.paid"), {"delete": "yes"}).status_code == 302
    assert not EventType.objects.exists()
    assert AuditEntry.objects.filter(action__startswith="event_type.").count() == 3


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ({"name": "a b"}, "is not an event type"),
        ({"name": "import"}, "cannot be in the catalogue"),
        ({"name": "taken"}, "has an event type of this name already"),
        ({"name": "new", "example": "{"}, "not valid JSON"),
        ({"name": "new", "schema": "[]"}, "This is not a JSON object."),
        ({"name": "new", "schema": '{"type": "integer"}', "example": "{}"}, "integer"),
    ],
)
def test_what_the_catalogue_refuses_is_said_at_its_field(
    project: Project, editor: Client, wanted: dict[str, str], said: str
) -> None:
    add_type(project, "taken")
    refused = text_of(editor.post(types_of(project), wanted), 422)
    assert said in refused
    assert 'class="error"' in refused
    assert EventType.objects.count() == 1


def test_ready_catalogues_are_imported_once(project: Project, editor: Client) -> None:
    done = editor.post(types_of(project, "/import"), {"catalogue": "repsona"}, follow=True)
    assert "0 were there already" in text_of(done)
    count = EventType.objects.count()
    assert count > 5
    again = editor.post(types_of(project, "/import"), {"catalogue": "repsona"}, follow=True)
    assert f"0 event types were added; {count} were there already." in text_of(again)
    wrong = editor.post(types_of(project, "/import"), {"catalogue": "../x"}, follow=True)
    assert "no such ready catalogue" in text_of(wrong)


def test_viewers_read_and_change_nothing(project: Project) -> None:
    add_type(project, "order.paid")
    viewer = signed_in(project, "viewer")
    shown = text_of(viewer.get(types_of(project, "/order.paid")))
    assert "<textarea" not in shown
    for response in (
        viewer.post(types_of(project), {"name": "x"}),
        viewer.post(types_of(project, "/order.paid"), {"delete": "yes"}),
        viewer.post(types_of(project, "/import"), {"catalogue": "phrase"}),
    ):
        assert response.status_code == 403
    assert EventType.objects.count() == 1
    assert signed_in(make_project(), "owner").get(types_of(project)).status_code == 404
    assert Client().get(types_of(project)).status_code == 302


def test_the_catalogue_is_shown_when_its_usage_cannot_be_counted_now(
    project: Project, editor: Client
) -> None:
    add_type(project, "order.paid")
    with costly_requests.turn(project, FIGURES):
        shown = text_of(editor.get(types_of(project)))
    assert "order.paid" in shown
    assert "Events in 7 days" not in shown


def test_its_queries_do_not_grow_with_the_catalogue(project: Project, editor: Client) -> None:
    def count(path: str) -> int:
        with CaptureQueriesContext(connection) as queries:
            text_of(editor.get(path))
        return len(queries)

    add_type(project, "order.paid")
    add_event(project, timezone.now(), "order.paid")
    before = count(types_of(project)), count(types_of(project, "/order.paid"))
    for number in range(120):
        add_type(project, f"order.n{number}")
        add_event(project, timezone.now(), f"order.n{number}")
        if number < 30:
            make_subscription(project=project)
    assert (count(types_of(project)), count(types_of(project, "/order.paid"))) == before
    assert max(before) <= 10
    assert "Page 2 of 2" in text_of(editor.get(types_of(project, "?page=2")))


# ---- For anybody ---------------------------------------------------------------------------------


def test_the_public_page_is_there_only_where_an_owner_allows_it(
    project: Project, editor: Client
) -> None:
    add_type(project, "order.paid", description=EVIL, example='{"a":1}')
    add_type(project, "order.old", is_archived=True)
    page = f"/catalogue/{project.slug}"
    private, unknown = Client().get(page), Client().get("/catalogue/no-such-project")
    assert private.status_code == unknown.status_code == 404
    assert private.content == unknown.content
    assert Client().get(f"{page}/order.paid").status_code == 404

    assert editor.post(types_of(project), {"public": "yes"}).status_code == 404
    owner = signed_in(project, "owner")
    assert page in text_of(owner.post(types_of(project), {"public": "yes"}, follow=True))
    shown = text_of(Client().get(page))
    assert "order.paid" in shown
    assert "order.old" not in shown
    assert EVIL not in shown
    assert "&quot;a&quot;: 1" in text_of(Client().get(f"{page}/order.paid"))
    assert Client().get(f"{page}/order.old").status_code == 404
    owner.post(types_of(project), {"public": "no"})
    assert Client().get(page).status_code == 404
    assert AuditEntry.objects.filter(action="project.changed").count() == 2


# ---- Through a portal ----------------------------------------------------------------------------


def test_through_a_portal_the_catalogue_is_read_only_and_usage_is_the_project_s(
    project: Project,
) -> None:
    add_type(project, "order.paid")
    add_event(project, timezone.now(), "order.paid")
    own, hidden = (make_subscription(project=project, url=f"https://{x}.test/") for x in "ab")
    link = make_link(project, role="editor", subscription_ids=[own.id], expires_in_seconds=600)
    below = f"/portal/{link.token}{types_of(project)}"
    shown = text_of(Client().get(below))
    assert "order.paid" in shown
    assert "Events in 7 days" not in shown
    assert "<textarea" not in shown
    one = text_of(Client().get(f"{below}/order.paid"))
    assert own.url in one
    assert hidden.url not in one
    for path, form in (
        (below, {"name": "x"}), (below, {"public": "yes"}),
        (f"{below}/order.paid", {"delete": "1"}), (f"{below}/import", {"catalogue": "phrase"}),
    ):  # fmt: skip
        assert Client().post(path, form).status_code == 404
    assert EventType.objects.count() == 1
