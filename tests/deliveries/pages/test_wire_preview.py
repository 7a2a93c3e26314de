"""What answers while the form of a subscription is filled in: the URL's verdict, the preview."""

from __future__ import annotations

import html
import re
from typing import Any
from unittest.mock import Mock

import pytest
from django.test import Client

from deliveries.costly_requests import turn
from deliveries.pages import wire_preview
from deliveries.pages.wire_preview import EXAMPLE_SECRET
from deliveries.sending.signing import ToSign, sign
from deliveries.url_check import LOOK_UPS
from subscriptions import line_fields
from subscriptions.models import AuditEntry, EventType, Project, Subscription
from subscriptions.secrets.secret_format import generate_secret
from tests.deliveries.pages.filling_in import (
    NEW,
    PREVIEW,
    VERDICT,
    as_shown,
    filled_in,
    page_of,
    text_of,
)
from tests.factories import make_subscription

pytestmark = pytest.mark.django_db


# ---- The URL's verdict --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://127.0.0.1:8080/in", "All of its addresses may be contacted."),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080/"),
        ("http://127.0.0.1:8080/in", "Not encrypted"),
        ("ftp://a.test/", "Cannot be saved"),
        ("http://10.1.2.3/", "Cannot be saved"),
        ("<script>", "Cannot be saved"),
        ("a\0b", "Cannot be saved"),
    ],
)
def test_a_url_is_judged_in_words(editor: Client, url: str, words: str) -> None:
    answer = editor.post(VERDICT, {"url": url})

    assert answer.status_code == 200
    assert words in answer.content.decode()
    assert "<script>" not in answer.content.decode()


def test_nothing_is_said_of_no_url(editor: Client) -> None:
    assert editor.post(VERDICT, {"url": " "}).content.decode().strip() == ""
    assert editor.post(VERDICT).content.decode().strip() == ""
    assert editor.get(VERDICT).status_code == 405


@pytest.mark.usefixtures("project")
def test_where_plain_http_is_refused_the_verdict_says_so(editor: Client) -> None:
    Project.objects.update(is_https_only=True)

    answer = editor.post(VERDICT, {"url": "http://127.0.0.1:8080/in"})

    assert "The URL must begin with https://." in answer.content.decode()


def test_a_second_look_up_waits_for_its_turn(project: Project, editor: Client) -> None:
    with turn(project, LOOK_UPS):
        answer = editor.post(VERDICT, {"url": "http://127.0.0.1:8080/in"})

    page = answer.content.decode()
    assert "Checking…" in page
    assert 'hx-trigger="load delay:2s"' in page


# ---- The preview --------------------------------------------------------------------------------


def request_in(page: Any) -> tuple[dict[str, str], str]:
    """Return headers and body of the request that a page shows."""
    found = re.search(r"<pre[^>]*>(.*?)</pre>", page.content.decode(), re.DOTALL)
    assert found
    head, _blank, body = found[1].partition("\n\n")
    lines = html.unescape(re.sub("</?mark>", "", head)).splitlines()
    return dict(line.split(": ", 1) for line in lines[1:]), html.unescape(body)


@pytest.mark.parametrize("wire_format", ["standard", "repsona", "phrase", "stripe", "github"])
def test_the_preview_shows_a_request_that_verifies(
    project: Project, editor: Client, wire_format: str
) -> None:
    EventType.objects.create(project=project, name="Task.update", example='{"task": {"id": 12}}')

    page = editor.post(PREVIEW, filled_in(wire_format=wire_format, custom_headers="X-Team: a"))

    headers, body = request_in(page)
    assert '"id":12' in body
    assert headers["Host"] == "127.0.0.1:8080"
    assert headers["X-Team"] == "a"
    assert headers["Content-Length"] == str(len(body))
    marked = re.findall(r"<mark>(.*?): (.*?)</mark>", page.content.decode())
    assert len(marked) == 1
    name, value = marked[0]
    timestamps = re.findall(r"\b\d{10}\b", " ".join(headers.values()))
    to_sign = ToSign(
        message_id=headers.get("webhook-id", ""),
        timestamp=int(timestamps[0]) if timestamps else 0,
        event_type="Task.update",
        body=body.encode(),
        secrets=(EXAMPLE_SECRET,),
    )
    assert dict(sign([wire_format], to_sign))[name] == html.unescape(value)
    assert EXAMPLE_SECRET in text_of(page)


def test_the_preview_of_a_subscription_is_signed_with_its_own_secret(
    project: Project, editor: Client
) -> None:
    secret = generate_secret()
    headers = {"Authorization": "Bearer 0123456789"}
    subscription = make_subscription(
        project=project, secret=secret, wire_format="stripe", custom_headers=headers
    )

    pages = [
        editor.get(page_of(subscription)),
        editor.post(page_of(subscription, "wire-preview"), as_shown(editor, subscription)),
    ]

    for page in pages:
        sent, body = request_in(page)
        timestamp = int(sent["Stripe-Signature"][2:12])
        to_sign = ToSign("", timestamp, "test.event", body.encode(), (secret,))
        assert sent["Stripe-Signature"] == sign(["stripe"], to_sign)[0][1]
        assert sent["Authorization"] == "…6789"
        assert "0123456789" not in text_of(page)
        assert secret not in text_of(page)


def test_the_preview_takes_the_event_type_that_is_asked_for(
    project: Project, editor: Client
) -> None:
    EventType.objects.create(project=project, name="Task.update", example='{"a": "<b>"}')
    EventType.objects.create(project=project, name="order.paid", example='{"order": 7}')

    first = editor.post(PREVIEW, filled_in())
    asked = editor.post(PREVIEW, filled_in(sample="order.paid"))
    nonsense = editor.post(PREVIEW, filled_in(sample="<script>"))

    assert '"a":"<b>"' in request_in(first)[1]
    assert "<b>" not in first.content.decode()
    assert '"order":7' in request_in(asked)[1]
    assert request_in(nonsense)[1][:20] == request_in(first)[1][:20]


def test_what_cannot_be_used_yet_is_replaced_and_said(editor: Client) -> None:
    page = editor.post(
        PREVIEW,
        {"url": "https://", "custom_headers": "Host: evil", "wire_format": "xml",
         "signature_schemes": ["phrase", "phrase-hex"]},
    )  # fmt: skip

    headers, _body = request_in(page)
    assert headers["Host"] == "example.com"
    assert "an example stands for it" in text_of(page)
    assert "reserved" in text_of(page)
    assert "use the same header" in text_of(page)
    assert editor.post(PREVIEW).status_code == 200


def test_what_could_not_be_sent_is_said_instead(project: Project, editor: Client) -> None:
    EventType.objects.create(project=project, name="Task.update", example="[1]")

    page = editor.post(PREVIEW, filled_in(wire_format="phrase"))

    assert "could not be sent" in text_of(page)
    assert "<pre" not in page.content.decode()


def test_without_scripts_a_button_shows_the_preview_and_saves_nothing(editor: Client) -> None:
    page = editor.post(NEW, filled_in(wire_format="github", preview="1"))

    assert page.status_code == 200
    assert "X-Hub-Signature-256" in request_in(page)[0]
    assert not Subscription.objects.exists()


def test_a_preview_stores_nothing(project: Project, editor: Client) -> None:
    subscription = make_subscription(project=project, description="Old")

    editor.post(page_of(subscription, "wire-preview"), filled_in(description="New"))

    subscription.refresh_from_db()
    assert subscription.description == "Old"
    assert not AuditEntry.objects.filter(target_kind="subscription").exists()


# ---- What it may cost -----------------------------------------------------------------------


def test_filters_that_cannot_be_saved_are_said_and_not_matched(
    project: Project, editor: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    EventType.objects.create(project=project, name="order.paid")
    matching = Mock(return_value=False)
    monkeypatch.setattr(wire_preview, "matches", matching)

    page = editor.post(PREVIEW, filled_in(event_types="a\n" * 101))
    wrong = editor.post(PREVIEW, filled_in(event_types="order.*\n*."))

    assert page.status_code == 200
    assert "At most 100 event types can be listed; use a prefix." in text_of(page)
    assert "is neither an event type" in text_of(wrong)
    assert [each.args[0] for each in matching.call_args_list] == [(), ()]


@pytest.mark.parametrize(
    "name", ["url", "event_types", "custom_headers", "metadata", "retry_schedule"]
)
def test_fields_far_beyond_what_can_be_saved_are_not_read(
    editor: Client, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    clean = Mock(wraps=line_fields._pairs)
    monkeypatch.setattr(line_fields, "_pairs", clean)
    text = "\n".join(f"x{number}=:a" for number in range(10_000))

    answer = editor.post(NEW, filled_in(**{name: text}))
    preview = editor.post(PREVIEW, filled_in(**{name: text}))

    assert answer.status_code == 422
    assert "characters can be given" in str(answer.context["form"][name].errors)
    assert preview.status_code == 200
    assert all(len(each.args[0]) < 10_000 for each in clean.call_args_list)
    if name in {"event_types", "custom_headers"}:
        assert "characters can be given" in text_of(preview)
