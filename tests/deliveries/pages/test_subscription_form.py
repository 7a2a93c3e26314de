"""The form of a subscription: creating, changing, what is refused and where it is said."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from pytest_django.fixtures import Settings

from subscriptions.models import AuditEntry, EventType, Project, Subscription
from subscriptions.secrets.secret_format import generate_secret
from subscriptions.secrets.signing_secrets import reveal_newest
from tests.deliveries.pages.filling_in import (
    NEW,
    PREVIEW,
    VERDICT,
    as_shown,
    filled_in,
    member,
    page_of,
    text_of,
)
from tests.factories import make_project, make_subscription

pytestmark = pytest.mark.django_db


# ---- Creating ----------------------------------------------------------------------------------


def test_what_is_filled_in_becomes_a_subscription(project: Project, editor: Client) -> None:
    assert editor.get(NEW).status_code == 200

    answer = editor.post(NEW, filled_in())

    created = Subscription.objects.get()
    assert answer.status_code == 302
    assert answer["Location"] == page_of(created, "").rstrip("/")
    assert created.project == project
    assert created.url == "http://127.0.0.1:8080/in"
    assert created.event_types == ["Task.*", "order.paid"]
    assert created.signature_schemes == ["standard"]
    assert created.custom_headers == {"X-Team": "billing"}
    assert created.retry_schedule == [5, 300]
    assert created.metadata == {"customer": "4711", "place": "Berlin"}
    assert created.is_active
    entry = AuditEntry.objects.get(action="subscription.created")
    assert entry.actor_label == "editor-acme"


def test_an_own_secret_and_a_paused_beginning_are_taken(project: Project, editor: Client) -> None:
    secret = generate_secret()
    values = filled_in(secret=secret, wire_format="repsona", repsona_fields="on")
    del values["is_active"]

    assert editor.post(NEW, values).status_code == 302

    created = Subscription.objects.get(project=project)
    assert reveal_newest(created) == secret
    assert not created.is_active
    assert created.repsona_fields
    assert created.signature_schemes == ["repsona"]


def test_an_option_that_is_not_shown_does_not_count(editor: Client) -> None:
    assert editor.post(NEW, filled_in(repsona_fields="on")).status_code == 302
    assert not Subscription.objects.get().repsona_fields


@pytest.mark.parametrize(
    ("field", "value", "sentence"),
    [
        ("url", "", "This field is required."),
        ("url", "http://10.0.0.1/", "address"),
        ("url", "ftp://a.test/", "https://"),
        ("url", "https://a.test/\0", "Null characters"),
        ("event_types", "", "List at least one event type"),
        ("event_types", "Task*", "is neither an event type"),
        ("wire_format", "xml", "Select a valid choice"),
        ("signature_schemes", "none", "Select a valid choice"),
        ("signature_schemes", ["phrase", "phrase-hex"], "use the same header"),
        ("uses_default_secret", "on", "has no default secret yet"),
        ("secret", "short", "A secret has 8 to 256 characters"),
        ("custom_headers", "no colon", "Write each header once"),
        ("custom_headers", "Host: a.test", "its name is reserved"),
        ("retry_schedule", "soon", "is not a retry schedule"),
        ("retry_schedule", "0", "Each delay"),
        ("metadata", "nothing", "Write each name once"),
        ("metadata", '{"a": 1}', "“a”: A value is a text."),
        ("metadata", "{broken", "Write each name once"),
        ("description", "x" * 501, "at most 500 characters"),
    ],
)
def test_what_is_refused_is_said_at_its_field(
    editor: Client, field: str, value: str | list[str], sentence: str
) -> None:
    answer = editor.post(NEW, filled_in(**{field: value}))

    assert answer.status_code == 422
    assert not Subscription.objects.exists()
    form = answer.context["form"]
    assert set(form.errors) == {field}
    assert sentence in form.errors[field][0]
    page = text_of(answer)
    assert form.errors[field][0] in page
    assert f'id="id_{field}_error"' in page
    assert 'role="alert"' in page


def test_a_project_that_is_full_says_so_above_the_form(editor: Client, settings: Settings) -> None:
    settings.DISPATCHER_SUBSCRIPTIONS_PER_PROJECT = 0

    answer = editor.post(NEW, filled_in())

    assert answer.status_code == 422
    assert "all that it may have" in text_of(answer)


def test_the_form_takes_an_editor_of_this_project(project: Project) -> None:
    viewer, stranger = member(project, "viewer"), member(make_project(slug="other"), "owner")
    subscription, foreign = make_subscription(project=project), make_subscription()

    for address in (NEW, page_of(subscription)):
        assert viewer.get(address).status_code == 403
        assert viewer.post(address, filled_in()).status_code == 403
        assert stranger.get(address).status_code == 404
        assert stranger.post(address, filled_in()).status_code == 404
        assert Client().post(address, filled_in()).status_code == 302
    for address in (VERDICT, PREVIEW, page_of(subscription, "wire-preview")):
        assert viewer.post(address, filled_in()).status_code == 403
        assert stranger.post(address, filled_in()).status_code == 404
    owner = member(project, "owner")
    for piece in ("edit", "wire-preview"):
        assert owner.post(page_of(foreign, piece), filled_in()).status_code == 404
    assert Subscription.objects.count() == 2


# ---- Changing ----------------------------------------------------------------------------------


def test_saving_what_is_shown_changes_nothing(project: Project, editor: Client) -> None:
    subscription = make_subscription(
        project=project,
        event_types=["a.b", "c.*"],
        custom_headers={"Authorization": "Bearer 0123456789", "X-A": "b"},
        metadata={"text": "two\nlines", "=": " spaces "},
        retry_schedule=[5, 6],
        signature_schemes=["github", "standard"],
        description="As it was",
    )
    before = Subscription.objects.values().get()

    values = as_shown(editor, subscription)
    assert "0123456789" not in str(values)
    assert editor.post(page_of(subscription), values).status_code == 302

    assert Subscription.objects.values().get() == before


def test_only_what_was_changed_is_stored(project: Project, editor: Client) -> None:
    headers = {"Authorization": "Bearer 0123456789"}
    subscription = make_subscription(project=project, custom_headers=headers, metadata={"a": "b"})
    values = as_shown(editor, subscription)

    changed = {
        "description": "New",
        "wire_format": "github",
        "custom_headers": values["custom_headers"] + "\r\nX-New: 1",
    }
    assert editor.post(page_of(subscription), values | changed).status_code == 302

    subscription.refresh_from_db()
    assert subscription.description == "New"
    assert subscription.wire_format == "github"
    assert subscription.signature_schemes == ["github"]  # they follow the format
    assert subscription.custom_headers == {**headers, "X-New": "1"}
    assert subscription.metadata == {"a": "b"}
    assert subscription.generation == 1


def test_a_change_that_came_between_is_not_overwritten(project: Project, editor: Client) -> None:
    subscription = make_subscription(project=project)
    first = as_shown(editor, subscription) | {"description": "Mine"}
    second = as_shown(editor, subscription) | {"description": "Theirs"}
    assert editor.post(page_of(subscription), second).status_code == 302

    refused = editor.post(page_of(subscription), first)

    assert refused.status_code == 422
    assert "was changed while you filled in the form" in text_of(refused)
    subscription.refresh_from_db()
    assert subscription.description == "Theirs"
    again = first | {"tag": refused.context["form"].tag}
    assert editor.post(page_of(subscription), again).status_code == 302
    subscription.refresh_from_db()
    assert subscription.description == "Mine"


def test_the_form_has_the_catalogue_to_pick_from(project: Project, editor: Client) -> None:
    for name in ("Task.create", "Task.update", "order.paid"):
        EventType.objects.create(project=project, name=name, description="<i>hostile</i>")
    EventType.objects.create(project=project, name="Old.gone", is_archived=True)
    EventType.objects.create(project=make_project(), name="Foreign.one")

    page = editor.get(NEW).content.decode()

    for name in ("*", "Task.*", "Task.create", "order.paid"):
        assert f'<input type="checkbox" value="{name}">' in page
    assert "order.*" not in page
    assert "Old.gone" not in page
    assert "Foreign.one" not in page
    assert "<i>hostile</i>" not in page


def test_the_form_costs_a_fixed_number_of_queries(project: Project, editor: Client) -> None:
    def queries() -> int:
        editor.get(NEW)
        with CaptureQueriesContext(connection) as captured:
            editor.get(NEW)
        return len(captured)

    EventType.objects.create(project=project, name="a.b")
    few = queries()
    EventType.objects.bulk_create(
        EventType(project=project, name=f"many.n{number}") for number in range(50)
    )
    for _ in range(5):
        make_subscription(project=project)

    assert queries() == few == 8
