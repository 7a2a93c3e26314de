"""Two people edit one thing, or one sends a form twice: nothing is lost, nothing is made twice."""

from __future__ import annotations

import html
import re
from functools import partial
from typing import Any

import pytest
from django.test import Client
from pytest_django.fixtures import Settings

from subscriptions import deactivation
from subscriptions.catalogue.entries import change_event_type
from subscriptions.models import (
    ApiKey,
    AuditEntry,
    EventType,
    IdempotentRequest,
    Project,
    Subscription,
)
from subscriptions.pages.event_type_forms import indented
from subscriptions.payload import payload_from_json
from subscriptions.subscription_changes import change_subscription, delete_subscription
from tests.at_once import at_once
from tests.deliveries.pages.filling_in import NEW, as_shown, filled_in, member, page_of, text_of
from tests.factories import make_subscription

pytestmark = pytest.mark.django_db

MEANWHILE = "was changed while you filled in the form"
KEYS = "/projects/acme/keys"
TYPE = "/projects/acme/event-types/order.paid"


def sent_by(page: Any) -> dict[str, Any]:
    """What a browser would send of the form on a page as it stands."""
    form = page.context["form"]
    values = {field.name: field.value() for field in form}
    sent = {name: value for name, value in values.items() if value not in (None, False)}
    return sent | {name: hidden(page, name) for name in ("tag", "seen")}


def hidden(page: Any, name: str) -> str:
    found = re.findall(rf'<input type="hidden" name="{name}" value="([^"]+)"', text_of_raw(page))
    assert len(found) == 1
    return html.unescape(found[0])


def text_of_raw(page: Any) -> str:
    return str(page.content.decode())


# ---- A subscription ------------------------------------------------------------------------------


def test_a_second_save_does_not_take_back_what_another_changed(
    project: Project, editor: Client
) -> None:
    subscription = make_subscription(
        project=project, url="http://127.0.0.1/old", event_types=["a", "b"], repsona_fields=True,
        wire_format="repsona", signature_schemes=["github", "standard"],
    )  # fmt: skip
    mine = sent_by(editor.get(page_of(subscription)))
    mine |= {"description": "Mine", "event_types": "a\r\nb"}
    change_subscription(
        subscription,
        {"url": "http://127.0.0.1/new", "repsona_fields": False, "metadata": {"by": "them"},
         "signature_schemes": ["repsona", "github"]},
    )  # fmt: skip

    refused = editor.post(page_of(subscription), mine)

    assert refused.status_code == 422
    said = text_of(refused)
    assert f"{MEANWHILE}: URL, Add model, modelId and action to the body, Signature schemes" in said
    assert 'value="http://127.0.0.1/new"' in said
    assert 'value="Mine"' in said
    again = sent_by(refused)
    assert editor.post(page_of(subscription), again).status_code == 302
    subscription.refresh_from_db()
    assert (subscription.url, subscription.description) == ("http://127.0.0.1/new", "Mine")
    assert subscription.signature_schemes == ["repsona", "github"]
    assert subscription.metadata == {"by": "them"}
    assert not subscription.repsona_fields


def test_what_both_changed_stands_as_the_second_typed_it(project: Project, editor: Client) -> None:
    subscription = make_subscription(project=project)
    mine = sent_by(editor.get(page_of(subscription))) | {"description": "Mine"}
    change_subscription(subscription, {"description": "Theirs"})

    refused = editor.post(page_of(subscription), mine)

    assert f"{MEANWHILE}: Description" in text_of(refused)
    assert editor.post(page_of(subscription), sent_by(refused)).status_code == 302
    subscription.refresh_from_db()
    assert subscription.description == "Mine"


def test_a_form_with_an_error_does_not_hide_a_change_that_came_between(
    project: Project, editor: Client
) -> None:
    subscription = make_subscription(project=project)
    mine = sent_by(editor.get(page_of(subscription))) | {"url": ""}
    change_subscription(subscription, {"description": "Theirs"})

    refused = editor.post(page_of(subscription), mine)

    assert f"{MEANWHILE}: Description" in text_of(refused)
    corrected = sent_by(refused) | {"url": "http://127.0.0.1/mine"}
    assert editor.post(page_of(subscription), corrected).status_code == 302
    subscription.refresh_from_db()
    assert (subscription.description, subscription.url) == ("Theirs", "http://127.0.0.1/mine")


def test_a_change_of_what_the_form_does_not_show_is_said_as_well(
    project: Project, editor: Client
) -> None:
    subscription = make_subscription(project=project)
    mine = sent_by(editor.get(page_of(subscription))) | {"description": "Mine"}
    deactivation.deactivate(subscription)

    refused = editor.post(page_of(subscription), mine)

    assert f"{MEANWHILE}. Look at the values below" in text_of(refused)


@pytest.mark.parametrize("seen", ["", "url description:", ":: nothing:0 x:y:z"])
def test_a_form_that_does_not_say_what_it_showed_keeps_all_that_was_typed(
    project: Project, editor: Client, seen: str
) -> None:
    subscription = make_subscription(project=project)
    mine = as_shown(editor, subscription) | {"url": "http://127.0.0.1/mine", "seen": seen}
    change_subscription(subscription, {"description": "Theirs"})

    refused = editor.post(page_of(subscription), mine)

    assert refused.status_code == 422
    assert 'value="http://127.0.0.1/mine"' in text_of(refused)
    assert "Theirs" not in text_of(refused)


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_of_saves_at_once_with_one_tag_one_is_stored(project: Project) -> None:
    subscription = make_subscription(project=project)
    people = [member(project, role) for role in ("editor", "owner")]
    for number in range(5):
        forms = [as_shown(client, subscription) for client in people]
        actions = [
            partial(client.post, page_of(subscription), form | {"description": f"{by} {number}"})
            for by, (client, form) in enumerate(zip(people, forms, strict=True))
        ]
        assert sorted(answer.status_code for answer in at_once(*actions)) == [302, 422]


# ---- An event type -------------------------------------------------------------------------------


def test_a_description_does_not_take_back_a_schema_that_came_between(
    project: Project, editor: Client
) -> None:
    entry = EventType.objects.create(project=project, name="order.paid")
    mine = sent_by(editor.get(TYPE)) | {"description": "Two\r\nlines"}
    schema, example = '{"type":"object"}', '{"n":1.10}'
    change_event_type(
        entry,
        {"schema": payload_from_json(schema, limit_bytes=100),
         "example": payload_from_json(example, limit_bytes=100), "is_archived": True},
    )  # fmt: skip

    refused = editor.post(TYPE, mine)

    assert refused.status_code == 422
    assert f"{MEANWHILE}: Example (JSON), JSON Schema, Archived" in text_of(refused)
    again = sent_by(refused)
    assert (again["schema"], again["is_archived"]) == (indented(schema), True)
    assert editor.post(TYPE, again).status_code == 302
    entry.refresh_from_db()
    assert entry.description.splitlines() == ["Two", "lines"]
    assert (entry.schema, entry.example, entry.is_archived) == (schema, example, True)


def test_saving_an_event_type_as_it_is_shown_changes_nothing(
    project: Project, editor: Client
) -> None:
    EventType.objects.create(
        project=project, name="order.paid", description="Two\nlines ", example='{"a": [1]}',
        schema='{"type":"string"}', is_archived=True,
    )  # fmt: skip
    before = EventType.objects.values().get()
    mine = sent_by(editor.get(TYPE))
    as_typed = {name: str(value).replace("\n", "\r\n") for name, value in mine.items()}

    assert editor.post(TYPE, as_typed | {"is_archived": "on"}).status_code == 302

    assert EventType.objects.values().get() == before
    assert not AuditEntry.objects.filter(action="event_type.changed").exists()


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_of_two_who_change_an_event_type_at_once_one_is_asked_again(project: Project) -> None:
    EventType.objects.create(project=project, name="order.paid")
    people = [member(project, role) for role in ("editor", "owner")]
    for number in range(5):
        actions = [
            partial(client.post, TYPE, sent_by(client.get(TYPE))
                    | {"description": f"{by} {number}"})
            for by, client in enumerate(people)
        ]  # fmt: skip
        assert sorted(answer.status_code for answer in at_once(*actions)) == [302, 422]


# ---- Sent twice ----------------------------------------------------------------------------------


def test_a_form_that_is_sent_twice_makes_one_subscription(editor: Client) -> None:
    form = filled_in(form_id=hidden(editor.get(NEW), "form_id"))

    first, second = editor.post(NEW, form), editor.post(NEW, form, follow=True)

    assert second.redirect_chain == [(first["Location"], 302)]
    assert "The form was sent twice: there is one subscription." in text_of(second)
    assert Subscription.objects.count() == 1


def test_another_form_other_content_and_another_person_make_another_subscription(
    project: Project, editor: Client
) -> None:
    form = filled_in(form_id=hidden(editor.get(NEW), "form_id"))
    anew = filled_in(form_id=hidden(editor.get(NEW), "form_id"))
    editor.post(NEW, form)

    assert editor.post(NEW, anew).status_code == 302
    assert editor.post(NEW, form | {"url": "http://127.0.0.1/other"}).status_code == 302
    assert member(project, "owner").post(NEW, form).status_code == 302
    assert Subscription.objects.count() == 4


def test_a_form_whose_subscription_was_deleted_comes_back_as_a_new_one(editor: Client) -> None:
    form = filled_in(form_id=hidden(editor.get(NEW), "form_id"))
    editor.post(NEW, form)
    delete_subscription(Subscription.objects.get())

    refused = editor.post(NEW, form)

    assert refused.status_code == 422
    assert "its subscription was deleted since" in text_of(refused)
    anew = form | {"form_id": hidden(refused, "form_id")}
    assert editor.post(NEW, anew).status_code == 302


def test_a_form_that_was_refused_can_be_sent_again(
    project: Project, editor: Client, settings: Settings
) -> None:
    form = filled_in(form_id=hidden(editor.get(NEW), "form_id"))
    settings.DISPATCHER_SUBSCRIPTIONS_PER_PROJECT = 0
    assert editor.post(NEW, form).status_code == 422
    assert not IdempotentRequest.objects.exists()
    settings.DISPATCHER_SUBSCRIPTIONS_PER_PROJECT = 1

    assert editor.post(NEW, form).status_code == 302
    assert Subscription.objects.get().project == project


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_a_double_click_makes_one_subscription(project: Project) -> None:
    editor = member(project, "editor")
    form = filled_in(form_id=hidden(editor.get(NEW), "form_id"))

    answers = at_once(*[partial(editor.post, NEW, form) for _ in range(4)])

    assert len({answer["Location"] for answer in answers}) == 1
    assert Subscription.objects.count() == 1


def test_a_reload_makes_no_second_key_and_says_so(project: Project) -> None:
    owner = member(project, "owner")
    form = {"scopes": ["read"], "name": "CI", "form_id": hidden(owner.get(KEYS), "form_id")}

    first, second = owner.post(KEYS, form), owner.post(KEYS, form)

    assert (first.status_code, second.status_code) == (201, 200)
    assert "whd_" in text_of_raw(first).partition("</pre>")[0]
    assert "is shown only once" in text_of(second)
    assert 'id="made-key"' not in text_of_raw(second)
    assert ApiKey.objects.count() == 1
    kept = IdempotentRequest.objects.get()
    plain = re.findall(r"whd_[\w-]{40,}", text_of_raw(first))[0]
    assert plain not in f"{kept.key} {kept.answer}"
    next_form = form | {"form_id": hidden(second, "form_id")}
    assert owner.post(KEYS, next_form).status_code == 201
