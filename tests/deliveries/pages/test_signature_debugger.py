"""The signature debugger's page: what it takes, what it says, and what it keeps to itself."""

from __future__ import annotations

import base64
import hmac
import json
import logging
import time
from typing import Any
from unittest.mock import Mock

import pytest
from django.test import Client
from django.utils import timezone

from deliveries.costly_requests import SIGNATURE_CHECKS, turn
from deliveries.history.deliveries import header_fields
from deliveries.models import Attempt, Delivery, Event
from deliveries.pages import signature_debugger
from deliveries.pages.signature_words import _DEVIATIONS, _SENTENCES
from deliveries.publishing.ingest import publish
from deliveries.sending.signature_check import Code
from deliveries.sending.signature_variants import Deviation
from deliveries.sending.signing import ToSign, sign
from subscriptions.ids import to_public
from subscriptions.models import Subscription
from subscriptions.secrets.secret_format import generate_secret
from subscriptions.secrets.signing_secrets import add_secret, reveal_newest
from tests.deliveries.pages.test_subscription import EVIL, signed_in
from tests.factories import make_project, make_subscription

pytestmark = pytest.mark.django_db


@pytest.fixture
def secret() -> str:
    return generate_secret()


@pytest.fixture
def subscription(secret: str) -> Subscription:
    return make_subscription(secret=secret)


@pytest.fixture
def client(subscription: Subscription) -> Client:
    return signed_in(subscription.project)


def deliver(subscription: Subscription, secret: str) -> tuple[str, str]:
    """Send an event as a worker would; return the headers and the body that were received."""
    publish(project=subscription.project, event_type="order.paid", data={"total": 12, "of": "Zoë"})
    delivery = Delivery.objects.get()
    event = Event.objects.get()
    body = (
        f'{{"type":"order.paid","timestamp":"{event.created_at:%Y-%m-%dT%H:%M:%SZ}",'
        f'"data":{event.data}}}'
    )
    identifier = to_public("evt", event.id)
    to_sign = ToSign(identifier, int(time.time()), "order.paid", body.encode(), (secret,))
    block = "\n".join(f"{name}: {value}" for name, value in sign(["standard"], to_sign))
    Attempt.objects.create(
        delivery=delivery,
        number=1,
        started_at=timezone.now(),
        outcome="http_error",
        status_code=401,
        wire_format="standard",
        request_url=subscription.url,
        request_headers=block,
        response_headers=b"",
        response_body=b"",
    )
    return block, body


def check(client: Client, chosen: Subscription, **form: Any) -> str:
    fields = {"subscription": to_public("sub", chosen.id)} | form
    response = client.post(path(chosen), fields)
    assert response.status_code == 200
    return response.content.decode()


def path(subscription: Subscription) -> str:
    return f"/projects/{subscription.project.slug}/signature-debugger"


def test_every_code_has_its_words() -> None:
    assert set(_SENTENCES) == set(Code)
    assert set(_DEVIATIONS) == set(Deviation)


def test_a_request_as_it_was_sent_is_all_good(
    subscription: Subscription, client: Client, secret: str
) -> None:
    headers, body = deliver(subscription, secret)

    shown = check(client, subscription, headers=headers, body=body)

    assert "All good" in shown
    assert "The body is what was sent, byte by byte" in shown
    assert "it was made with the newest secret" in shown


def test_json_that_was_written_again_is_held_against_the_history(
    subscription: Subscription, client: Client, secret: str
) -> None:
    headers, body = deliver(subscription, secret)
    again = json.dumps(json.loads(body), ensure_ascii=False)

    shown = check(client, subscription, headers=headers, body=again)

    assert "Something is wrong" in shown
    sentence = f"expected {len(body.encode())} bytes, got {len(again.encode())}"
    assert sentence in shown
    assert "first difference at byte 9" in shown
    assert "It fits the body that was sent" in shown


def test_browsers_line_breaks_are_no_difference() -> None:
    subscription = make_subscription(wire_format="github")
    client = signed_in(subscription.project)
    body = '{\n  "a": 1\n}'
    key = reveal_newest(subscription)
    signature = hmac.new(key.encode(), body.encode(), "sha256").hexdigest()

    shown = check(
        client,
        subscription,
        headers=f"X-Hub-Signature-256: sha256={signature}",
        body=body.replace("\n", "\r\n"),
    )

    assert "All good" in shown


def test_the_projects_default_secret_is_recognised(
    subscription: Subscription, client: Client
) -> None:
    default = generate_secret()
    add_secret(subscription.project, default)
    headers, body = deliver(subscription, default)

    shown = check(client, subscription, headers=headers, body=body)

    assert "Something is wrong" in shown
    assert "That is not a secret that signs these requests." in shown
    assert "default secret, which does not sign for this subscription" in shown
    assert default not in shown


def test_a_given_secret_that_is_not_the_subscriptions_is_said(
    subscription: Subscription, client: Client, secret: str
) -> None:
    headers, body = deliver(subscription, secret)
    stale = generate_secret()

    wrong = check(client, subscription, headers=headers, body=body, secret=stale)
    right = check(client, subscription, headers=headers, body=body, secret=secret)

    assert "does not sign this subscription" in wrong
    assert "All good" in right


def test_what_the_receiver_computed_is_explained(
    subscription: Subscription, client: Client, secret: str
) -> None:
    headers, body = deliver(subscription, secret)
    values = dict(line.split(": ") for line in headers.splitlines())
    signed = f"{values['webhook-id']}.{values['webhook-timestamp']}.{body}".encode()
    computed = base64.b64encode(hmac.digest(secret.encode(), signed, "sha256")).decode()

    shown = check(client, subscription, headers=headers, body=body, computed=computed)

    assert "Remove whsec_ and decode the rest as base64." in shown


def test_without_a_subscription_a_secret_does(client: Client, subscription: Subscription) -> None:
    secret = "a secret of stripe"
    (header,) = sign(["stripe"], ToSign("", int(time.time()), "", b"{}", (secret,)))

    shown = check(
        client, subscription, subscription="", secret=secret, headers=": ".join(header), body="{}"
    )

    assert "“stripe”" in shown
    assert "All good" in shown


def test_headers_may_be_pasted_as_json(
    subscription: Subscription, client: Client, secret: str
) -> None:
    headers, body = deliver(subscription, secret)
    fields = dict(line.split(": ") for line in headers.splitlines())
    lists = {name: [value] for name, value in fields.items()}

    for pasted in (json.dumps(fields), json.dumps(lists), f"POST /a:b HTTP/1.1\n{headers}"):
        assert "All good" in check(client, subscription, headers=pasted, body=body)


def test_a_secret_that_is_given_is_kept_nowhere(
    subscription: Subscription, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    given = generate_secret()
    forms = [
        {"headers": "webhook-id: evt_1", "body": "{}"},
        {"headers": "", "body": "{}"},  # refused
    ]
    for form in forms:
        response = client.post(path(subscription), {"secret": given, **form})
        assert given not in response.content.decode()
        assert given[6:] not in response.content.decode()
    assert given not in caplog.text


@pytest.mark.parametrize(
    ("form", "field"),
    [
        ({"headers": "webhook-id: evt_1"}, "subscription"),
        ({"headers": "", "secret": "x"}, "headers"),
        ({"headers": "{", "secret": "x"}, "headers"),
        ({"headers": "[]", "secret": "x"}, "headers"),
        ({"headers": "a: " + "b" * 70_000, "secret": "x"}, "headers"),
        ({"headers": "a: b", "body": "x" * 350_000, "secret": "x"}, "body"),
        ({"headers": "a: b", "secret": "x" * 600}, "secret"),
        ({"headers": "a: b", "subscription": "sub_nonsense"}, "subscription"),
    ],
)
def test_what_cannot_be_checked_is_said_at_its_field(
    subscription: Subscription, client: Client, form: dict[str, str], field: str
) -> None:
    response = client.post(path(subscription), form)

    assert response.status_code == 422
    assert f'id="{field}-error"' in response.content.decode()


@pytest.mark.parametrize(
    "headers",
    [
        f"webhook-id: {EVIL}\nwebhook-timestamp: {EVIL}\nwebhook-signature: {EVIL}",
        f"Http-Webhook-Id{EVIL}: 1",
        "webhook-id: evt_" + "f" * 32 + "\nwebhook-timestamp: 1\nwebhook-signature: v1,\ud7ff",
        json.dumps({"webhook-id": {"a": EVIL}, "webhook-timestamp": None}),
    ],
)
def test_hostile_input_is_escaped_and_breaks_nothing(
    subscription: Subscription, client: Client, headers: str
) -> None:
    shown = check(client, subscription, headers=headers, body=EVIL + "\x00", computed=EVIL)

    assert EVIL not in shown
    assert "Something is wrong" in shown


def test_another_projects_delivery_and_subscription_tell_nothing(
    client: Client, subscription: Subscription
) -> None:
    theirs = generate_secret()
    foreign = make_subscription(secret=theirs)
    headers, body = deliver(foreign, theirs)

    shown = check(client, subscription, headers=headers, body=body + " ")
    chosen = client.post(
        path(subscription),
        {"subscription": to_public("sub", foreign.id), "headers": headers, "body": body},
    )

    assert "No delivery in the history has the id" in shown
    assert "fits no secret that is known here" in shown
    assert chosen.status_code == 422


def test_a_link_may_name_the_subscription(client: Client, subscription: Subscription) -> None:
    identifier = to_public("sub", subscription.id)
    shown = client.get(f"{path(subscription)}?subscription={identifier}").content.decode()

    assert f'<option value="{identifier}" selected>' in shown


def test_it_takes_an_editor(subscription: Subscription) -> None:
    viewer = signed_in(subscription.project, "viewer")
    stranger = signed_in(make_project())

    assert viewer.get(path(subscription)).status_code == 403
    assert viewer.post(path(subscription), {}).status_code == 403
    assert stranger.get(path(subscription)).status_code == 404
    assert Client().get(path(subscription)).status_code == 302


# ---- What it may cost -----------------------------------------------------------------------


def test_a_project_s_checks_take_turns(
    subscription: Subscription, client: Client, secret: str
) -> None:
    headers, body = deliver(subscription, secret)
    fields = {"subscription": "", "secret": secret, "headers": headers, "body": body}
    with turn(subscription.project, SIGNATURE_CHECKS):
        busy = client.post(path(subscription), fields)

    assert busy.status_code == 429
    assert int(busy["Retry-After"]) > 0
    shown = busy.content.decode()
    assert "Others are checking in this project: try again in" in shown
    assert to_public("evt", Event.objects.get().id) in shown  # what was pasted is not lost
    assert secret not in shown
    assert client.post(path(subscription), fields).status_code == 200


def test_a_thousand_signatures_cost_no_more_than_a_few(
    subscription: Subscription, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashed = Mock(wraps=hmac.digest)
    monkeypatch.setattr(hmac, "digest", hashed)
    costs = []
    for count in (1, 1000):
        hashed.reset_mock()
        entries = (base64.b64encode(number.to_bytes(32)).decode() for number in range(count))
        value = " ".join(f"v1,{entry}" for entry in entries)
        headers = f"webhook-id: evt_1\nwebhook-timestamp: 1700000000\nwebhook-signature: {value}"
        shown = check(client, subscription, headers=headers, body='{"a": 1}')
        costs.append(hashed.call_count)

    assert costs[0] == costs[1] > 0
    assert "The header has 1000 signatures. Only the first 8 were looked at." in shown


@pytest.mark.parametrize("headers", ["a: b\n" * 20_000, "a: b\n" * 201])
def test_headers_that_are_too_many_or_too_long_are_refused(
    subscription: Subscription, client: Client, headers: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = Mock(wraps=header_fields)
    monkeypatch.setattr(signature_debugger, "header_fields", read)

    response = client.post(path(subscription), {"secret": "x", "headers": headers})

    assert response.status_code == 422
    assert "These headers are too long." in response.content.decode()
    assert all(len(each.args[0]) <= 64 * 1024 for each in read.call_args_list)


def test_lines_that_continue_a_header_are_joined_at_once() -> None:
    """Joined one by one, these take minutes: each copies what is there."""
    started_at = time.process_time()

    ((_name, value),) = header_fields("a: b" + "\n c" * 1_000_000)

    assert value == "b" + " c" * 1_000_000
    assert time.process_time() - started_at < 10
