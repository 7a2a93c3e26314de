"""A portal's visitor has nothing of their choice signed with the project's default secret."""

from __future__ import annotations

import html
import re
from ipaddress import ip_network
from typing import Any

import pytest
from django.test import Client
from pytest_django.fixtures import Settings
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from deliveries.models import Event
from deliveries.pages import send_test
from deliveries.pages.wire_preview import EXAMPLE_SECRET
from deliveries.sending.signing import ToSign, sign
from subscriptions.access.portal import make_link
from subscriptions.models import EventType, Project, Subscription
from subscriptions.secrets.secret_format import generate_secret
from subscriptions.secrets.signing_secrets import add_secret
from tests.deliveries.pages.filling_in import (
    NEW,
    PREVIEW,
    as_shown,
    filled_in,
    member,
    page_of,
    text_of,
)
from tests.factories import make_project, make_subscription

pytestmark = pytest.mark.django_db

DEFAULT = generate_secret()
EXAMPLE = '{"total": 1.50, "of": "Zoë"}'
OTHER_URL = "http://127.0.0.1:8080/attacker"


class Visitor(Client):
    """Somebody with a link of the portal."""

    def __init__(self, project: Project, role: str = "editor") -> None:
        super().__init__()
        link = make_link(project, role=role, subscription_ids=None, expires_in_seconds=600)
        self.below = f"/portal/{link.token}"

    def generic(  # type: ignore[override]  # the arguments between are passed on
        self, method: str, path: str, *args: Any, **options: Any
    ) -> Any:
        return super().generic(method, self.below + path, *args, **options)


@pytest.fixture
def project(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project that may send to this machine, with a default secret and a catalogue."""
    monkeypatch.setattr(send_test, "WAIT_SECONDS", 0)
    settings.DISPATCHER_ALLOWED_NETWORKS = (ip_network("127.0.0.0/8"),)
    project = make_project(slug="acme")
    add_secret(project, DEFAULT)
    EventType.objects.create(project=project, name="order.paid", example=EXAMPLE)
    return project


@pytest.fixture
def own(project: Project) -> Subscription:
    return make_subscription(project=project)


@pytest.fixture
def shared(project: Project) -> Subscription:
    return make_subscription(project=project, uses_default_secret=True)


@pytest.fixture
def visitor(project: Project) -> Visitor:
    return Visitor(project)


def shown_request(page: Any) -> tuple[dict[str, str], str]:
    found = re.search(r"<pre[^>]*>(.*?)</pre>", page.content.decode(), re.DOTALL)
    assert found
    head, _blank, body = found[1].partition("\n\n")
    lines = html.unescape(re.sub("</?mark>", "", head)).splitlines()
    return dict(line.split(": ", 1) for line in lines[1:]), html.unescape(body)


def assert_signed(page: Any, secret: str) -> None:
    headers, body = shown_request(page)
    assert Webhook(secret).verify(body, headers)
    if secret != DEFAULT:
        with pytest.raises(WebhookVerificationError):
            Webhook(DEFAULT).verify(body, headers)


# ---- Switching it on ------------------------------------------------------------------------


def test_a_visitor_does_not_switch_it_on(own: Subscription, visitor: Visitor) -> None:
    values = as_shown(visitor, own)
    assert "uses_default_secret" not in visitor.get(page_of(own)).content.decode()

    answer = visitor.post(page_of(own), values | {"uses_default_secret": "on"})

    assert answer.status_code == 422
    assert "The project’s default secret cannot be chosen here." in text_of(answer)
    own.refresh_from_db()
    assert not own.uses_default_secret


def test_a_visitor_makes_no_subscription_with_it(project: Project, visitor: Visitor) -> None:
    answer = visitor.post(NEW, filled_in(uses_default_secret="on"))

    assert answer.status_code == 422
    assert not Subscription.objects.exists()
    assert visitor.post(NEW, filled_in()).status_code == 302
    assert member(project, "editor").post(NEW, filled_in(uses_default_secret="on")).status_code == (
        302
    )


def test_where_it_signs_a_visitor_changes_the_rest_and_may_leave_it(
    shared: Subscription, visitor: Visitor
) -> None:
    values = as_shown(visitor, shared)
    assert values["uses_default_secret"]
    assert visitor.post(page_of(shared), values | {"description": "Mine"}).status_code == 302
    shared.refresh_from_db()
    assert (shared.description, shared.uses_default_secret) == ("Mine", True)

    values = as_shown(visitor, shared) | {"url": OTHER_URL}
    del values["uses_default_secret"]
    assert visitor.post(page_of(shared), values).status_code == 302
    shared.refresh_from_db()
    assert (shared.url, shared.uses_default_secret) == (OTHER_URL, False)


def test_where_it_signs_a_visitor_does_not_choose_the_receiver(
    project: Project, shared: Subscription, visitor: Visitor
) -> None:
    url = shared.url
    answer = visitor.post(page_of(shared), as_shown(visitor, shared) | {"url": OTHER_URL})

    assert answer.status_code == 422
    assert "signs these requests: the URL stays as it is" in str(
        answer.context["form"]["url"].errors
    )
    shared.refresh_from_db()
    assert shared.url == url
    editor = member(project, "editor")
    values = as_shown(editor, shared) | {"url": OTHER_URL}
    assert editor.post(page_of(shared), values).status_code == 302
    shared.refresh_from_db()
    assert shared.url == OTHER_URL


# ---- The preview ----------------------------------------------------------------------------


def test_a_visitor_s_preview_is_never_signed_with_it(
    own: Subscription, shared: Subscription, visitor: Visitor
) -> None:
    values = as_shown(visitor, own) | {"uses_default_secret": "on", "sample": "user.deleted"}

    asked = visitor.post(page_of(own, "wire-preview"), values)
    by_button = visitor.post(page_of(own), values | {"preview": "1"})
    new = visitor.post(PREVIEW, filled_in(uses_default_secret="on"))
    of_shared = visitor.post(page_of(shared, "wire-preview"), as_shown(visitor, shared))
    opened = visitor.get(page_of(shared))

    for page in (asked, by_button, new):
        assert "The project’s default secret cannot be chosen here." in text_of(page)
        headers, body = shown_request(page)
        with pytest.raises(WebhookVerificationError):
            Webhook(DEFAULT).verify(body, headers)
    for page in (of_shared, opened):
        assert_signed(page, EXAMPLE_SECRET)
        assert "an example stands for it" in text_of(page)


def test_a_member_s_preview_is_signed_with_it(project: Project, shared: Subscription) -> None:
    editor = member(project, "editor")
    assert_signed(editor.get(page_of(shared)), DEFAULT)


# ---- Tests ----------------------------------------------------------------------------------


@pytest.mark.usefixtures("project")
def test_where_it_signs_a_visitor_sends_examples_only(
    shared: Subscription, visitor: Visitor
) -> None:
    path = page_of(shared, "test")
    free = visitor.post(path, {"event_type": "order.paid", "data": '{"total": 0}'})
    unknown = visitor.post(path, {"event_type": "user.deleted", "data": "{}"})

    assert (free.status_code, unknown.status_code) == (422, 422)
    assert set(free.context["test"].errors) == {"data"}
    assert "only the example can be sent" in text_of(free)
    assert set(unknown.context["test"].errors) == {"event_type"}
    assert not Event.objects.exists()

    for event_type in ("", "?event_type=order.paid"):
        form = visitor.get(f"{path}{event_type}").context["test"]
        fields = {"event_type": form.event_type, "data": form.data.replace("\n", "\r\n")}
        assert visitor.post(path, fields).status_code == 302
    assert Event.objects.count() == 2


def test_free_data_are_for_own_secrets_and_members(
    project: Project, own: Subscription, shared: Subscription, visitor: Visitor
) -> None:
    fields = {"event_type": "user.deleted", "data": '{"id": 1}'}

    assert visitor.post(page_of(own, "test"), fields).status_code == 302
    assert member(project, "editor").post(page_of(shared, "test"), fields).status_code == 302


# ---- The signature debugger -----------------------------------------------------------------


def test_the_debugger_tells_a_visitor_nothing_of_it(
    project: Project, own: Subscription, visitor: Visitor
) -> None:
    to_sign = ToSign("evt_1", 1_700_000_000, "order.paid", b"{}", (DEFAULT,))
    block = "\n".join(f"{name}: {value}" for name, value in sign(["standard"], to_sign))
    fields = {"headers": block, "body": "{}", "subscription": page_of(own).split("/")[4]}
    path = "/projects/acme/signature-debugger"

    assert "The signature fits no secret that is known here." in text_of(visitor.post(path, fields))
    shown = text_of(member(project, "editor").post(path, fields))
    assert "default secret, which does not sign for this subscription" in shown
