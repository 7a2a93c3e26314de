"""The page of one delivery: its attempts, why it was made, and what can be done with it."""

from __future__ import annotations

import shlex
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from deliveries.history.deliveries import event_of
from deliveries.models import Attempt, Delivery, Event
from deliveries.pages.attempt_view import (
    CURL_CHARACTERS,
    body_shown,
    curl_command,
    pretty,
    show_attempt,
    show_attempts,
)
from deliveries.pages.waterfall import waterfall
from deliveries.sending.transport import Outcome
from subscriptions.ids import to_public
from subscriptions.models import Member, Subscription
from tests.deliveries.pages.samples import EVIL, add_attempt, pending, publish_one, signed_in
from tests.factories import make_project, make_subscription

pytestmark = pytest.mark.django_db


@pytest.fixture
def subscription() -> Subscription:
    return make_subscription(event_types=["Task.*"])


@pytest.fixture
def editor(subscription: Subscription) -> Client:
    return signed_in(subscription.project)


def address(delivery: Delivery, name: str = "delivery-page", *more: Any) -> str:
    return reverse(name, args=[delivery.project.slug, to_public("dlv", delivery.id), *more])


def text_of(client: Client, delivery: Delivery, name: str = "delivery-page") -> str:
    response = client.get(address(delivery, name))
    assert response.status_code == 200
    return response.content.decode()


# ---- What is shown ------------------------------------------------------------------------------


def test_an_attempt_is_shown_with_words_and_what_went_over_the_wire(
    editor: Client, subscription: Subscription
) -> None:
    delivery = publish_one(subscription)
    add_attempt(delivery)
    page = text_of(editor, delivery)
    assert "hooks.acme.test answered with status 401." in page
    assert "signature debugger" in page
    assert "webhook-signature: v1,abc=" in page
    assert "&quot;n&quot;: 1.10," in page  # pretty, and the number as it was
    assert "It matched because its filter" in page
    assert "Task.*" in page
    assert f"?event={to_public('evt', delivery.event_id)}" in page


def test_what_others_sent_is_escaped(editor: Client, subscription: Subscription) -> None:
    delivery = publish_one(subscription)
    add_attempt(delivery, request_body=EVIL, request_headers=f"Host: a.test\nX: {EVIL}")
    page = text_of(editor, delivery)
    assert "<script>alert" not in page
    assert page.count("&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt;") >= 3
    assert "<b>bold</b>" not in page


def test_the_newest_attempt_comes_first_and_is_the_open_one(
    editor: Client, subscription: Subscription
) -> None:
    delivery = publish_one(subscription, attempt_count=2)
    add_attempt(delivery)
    add_attempt(delivery, number=2)
    page = text_of(editor, delivery)
    assert page.index('id="attempt-2" open') < page.index('id="attempt-1"')
    assert 'id="attempt-1" open' not in page
    assert "answered with status 401, 2 times in a row." in page


def test_an_answer_that_is_cut_or_no_text_is_said_to_be_so(
    editor: Client, subscription: Subscription
) -> None:
    delivery = publish_one(subscription)
    add_attempt(delivery, response_body=b"\xff\x00", is_truncated=True)
    page = text_of(editor, delivery)
    assert "these are its bytes in base64" in page
    assert "Truncated: there was more" in page


def test_what_was_not_sent_is_not_made_up(editor: Client, subscription: Subscription) -> None:
    delivery = publish_one(subscription, last_status_code=None, last_outcome="dns_failed")
    add_attempt(
        delivery, outcome=Outcome.DNS_FAILED.value, status_code=None, request_headers="",
        request_body=None, response_headers=b"", response_body=b"",
        error="The host name does not exist.",
    )  # fmt: skip
    page = text_of(editor, delivery)
    assert "The host name hooks.acme.test does not exist." in page
    assert "Nothing was sent" in page
    assert "There was no response." in page
    assert "curl" not in page


def test_a_pruned_event_is_said_to_be_gone(editor: Client, subscription: Subscription) -> None:
    delivery = publish_one(subscription)
    add_attempt(delivery, request_body=None)
    Event.objects.all().delete()
    page = text_of(editor, delivery)
    assert "its event is no longer kept" in page
    assert "Redeliver" not in page


def test_the_number_of_queries_does_not_grow_with_the_attempts(
    editor: Client, subscription: Subscription
) -> None:
    counts = []
    for attempts in (1, 30):
        delivery = publish_one(subscription, attempt_count=attempts)
        for number in range(1, attempts + 1):
            add_attempt(delivery, number=number)
        place = address(delivery)
        with CaptureQueriesContext(connection) as queries:
            assert editor.get(place).status_code == 200
        counts.append(len(queries))
    assert counts == [9, 9]


# ---- Live ---------------------------------------------------------------------------------------


def test_it_looks_for_news_while_it_is_unfinished_and_no_longer(
    editor: Client, subscription: Subscription
) -> None:
    delivery = pending(subscription)
    page = text_of(editor, delivery)
    assert 'hx-trigger="every 2s"' in page
    live = address(delivery, "delivery-live")
    assert editor.get(live, {"seen": "pending-0-0"}).status_code == 204
    Delivery.objects.filter(id=delivery.id).update(
        status="succeeded", next_attempt_at=None, attempt_count=1
    )
    piece = editor.get(live, {"seen": "pending-0-0"}).content.decode()
    assert "Succeeded" in piece
    assert "hx-trigger" not in piece
    assert "<html" not in piece


def test_one_that_is_due_much_later_is_looked_at_less_often(
    editor: Client, subscription: Subscription
) -> None:
    later = timezone.now() + timedelta(hours=1)
    assert 'hx-trigger="every 20s"' in text_of(editor, pending(subscription, next_attempt_at=later))


# ---- Doing --------------------------------------------------------------------------------------


def test_an_editor_redelivers_what_is_finished(editor: Client, subscription: Subscription) -> None:
    delivery = publish_one(subscription)
    assert "Redeliver" in text_of(editor, delivery)
    response = editor.post(address(delivery, "redeliver-delivery"), follow=True)
    assert "It is sent again now." in response.content.decode()
    delivery.refresh_from_db()
    assert delivery.status == "pending"
    again = editor.post(address(delivery, "redeliver-delivery"), follow=True)
    assert "The delivery is on its way" in again.content.decode()


def test_an_editor_cancels_what_waits(editor: Client, subscription: Subscription) -> None:
    delivery = pending(subscription)
    assert address(delivery, "cancel-delivery") in text_of(editor, delivery)
    response = editor.post(address(delivery, "cancel-delivery"), follow=True)
    page = response.content.decode()
    assert "It was cancelled by hand." in page
    again = editor.post(address(delivery, "cancel-delivery"), follow=True)
    assert "cannot be cancelled" in again.content.decode()


def test_nothing_is_offered_that_an_inactive_subscription_refuses(
    editor: Client, subscription: Subscription
) -> None:
    delivery = publish_one(subscription)
    Subscription.objects.update(is_active=False, deactivated_at=timezone.now())
    page = text_of(editor, delivery)
    assert "/redeliver" not in page
    assert "once its subscription is reactivated" in page


@pytest.mark.parametrize("name", ["redeliver-delivery", "cancel-delivery"])
def test_a_viewer_looks_and_changes_nothing(subscription: Subscription, name: str) -> None:
    viewer = signed_in(subscription.project, Member.Role.VIEWER)
    delivery = pending(subscription)
    assert "/cancel" not in text_of(viewer, delivery)
    response = viewer.post(address(delivery, name))
    assert response.status_code == 403
    assert "Your role does not allow this" in response.content.decode()
    delivery.refresh_from_db()
    assert delivery.status == "pending"


@pytest.mark.parametrize("name", ["delivery-page", "delivery-live", "attempt-body"])
def test_strangers_find_nothing_and_who_is_signed_out_signs_in(
    subscription: Subscription, name: str
) -> None:
    delivery = publish_one(subscription)
    add_attempt(delivery)
    place = address(delivery, name, *([1] if name == "attempt-body" else []))
    assert signed_in(make_project()).get(place).status_code == 404
    assert Client().get(place).status_code == 302


def test_a_delivery_of_another_project_is_not_found_in_ones_own(editor: Client) -> None:
    other = publish_one(make_subscription())
    own = Subscription.objects.exclude(id=other.subscription_id).get().project
    for wrong in (to_public("dlv", other.id), "dlv_zz", "nonsense"):
        assert editor.get(reverse("delivery-page", args=[own.slug, wrong])).status_code == 404


def test_the_exact_bytes_are_a_file(editor: Client, subscription: Subscription) -> None:
    delivery = publish_one(subscription)
    attempt = add_attempt(delivery)
    response = editor.get(address(delivery, "attempt-body", 1))
    assert response.content.decode() == attempt.request_body
    assert response["Content-Disposition"].startswith("attachment;")
    assert editor.get(address(delivery, "attempt-body", 2)).status_code == 404


# ---- Pieces -------------------------------------------------------------------------------------


def shown(**fields: Any) -> Any:
    delivery = publish_one(make_subscription())
    attempt = add_attempt(delivery, **fields)
    return show_attempt(
        attempt, delivery=delivery, event=event_of(delivery), project=delivery.project
    )


def test_the_curl_command_says_to_a_shell_what_was_sent() -> None:
    words = shlex.split(shown().curl.replace("\\\n", ""))
    assert words[:6] == [
        "curl", "--globoff", "--request", "POST", "--url", "https://hooks.acme.test/in?a[1]=2",
    ]  # fmt: skip
    headers = [words[at + 1] for at, word in enumerate(words) if word == "--header"]
    assert headers == [
        "Content-Type: application/json", "webhook-signature: v1,abc=", "X-Token: ••••1234",
    ]  # fmt: skip
    assert words[-2:] == ["--data-raw", '{"n":1.10,"who":"it\'s @me"}']


@pytest.mark.parametrize("evil", ["'; rm -rf ~ #", "$(id)", "`id`", "a\nb", '"', "\\", "!!", "@f"])
def test_the_curl_command_quotes_whatever_was_sent(evil: str) -> None:
    attempt = Attempt(request_url=f"https://x.test/{evil}", request_headers=f"X: a{evil[:1]}")
    command, _is_with_file = curl_command(attempt, evil)
    words = shlex.split(command.replace(" \\\n  ", " "))
    assert words[5] == f"https://x.test/{evil}"
    assert words[-1] == evil


def test_a_header_without_a_value_and_a_long_body_are_sent_too() -> None:
    attempt = Attempt(request_url="https://x.test/", request_headers="X-Empty:")
    command, is_with_file = curl_command(attempt, "x" * (CURL_CHARACTERS + 1))
    assert "--header 'X-Empty;'" in command
    assert command.endswith("--data-binary @body.json")
    assert is_with_file


def test_pretty_keeps_numbers_and_gives_up_on_what_is_no_json() -> None:
    big = '{"n":123456789012345678901234567890,"f":1.10,"n":2}'
    lines = ["{", '  "n": 123456789012345678901234567890,', '  "f": 1.10,', '  "n": 2', "}"]
    assert pretty(big).splitlines() == lines
    assert pretty('{"a":') == '{"a":'
    assert pretty("[" * 100_000) == "[" * 100_000
    assert body_shown("x" * 20, limit=10).is_cut


def test_the_waterfall_adds_up_and_leaves_out_what_did_not_happen() -> None:
    attempt = Attempt(duration_ms=100, dns_ms=10, connect_ms=20, first_byte_ms=50)
    bars = waterfall(attempt)
    assert [(bar.kind, bar.milliseconds) for bar in bars] == [
        ("dns", 10), ("connect", 20), ("first-byte", 50), ("rest", 20), ("total", 100),
    ]  # fmt: skip
    assert [bar.left for bar in bars[:3]] == ["0.00", "10.00", "30.00"]
    assert bars[2].width == "50.00"
    (total,) = waterfall(Attempt(duration_ms=0))
    assert total.milliseconds == 0


def test_a_success_between_failures_begins_their_count_anew() -> None:
    delivery = publish_one(make_subscription(), attempt_count=4)
    attempts = [
        add_attempt(delivery, number=number, outcome=outcome, status_code=code)
        for number, (outcome, code) in enumerate(
            [("http_error", 500), ("http_error", 500), ("succeeded", 200), ("http_error", 500)], 1
        )
    ]
    said = show_attempts(attempts, delivery=delivery, event=None, project=delivery.project)
    assert [" in a row" in each.words.headline for each in said] == [False, True, False, False]
