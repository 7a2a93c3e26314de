"""The demo: what it stores on the first start, and the inbox that verifies and shows requests."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.test import Client
from pytest_django.fixtures import Settings
from standardwebhooks import Webhook

from deliveries.models import Delivery
from deliveries.sending.compose import compose_body
from deliveries.sending.signing import ToSign, sign
from dispatcher.demo import inbox as inbox_module
from dispatcher.demo import project as demo
from dispatcher.demo import tour
from dispatcher.demo.inbox import inbox
from subscriptions.access.api_keys import authenticate
from subscriptions.deactivation import deactivate
from subscriptions.field_errors import FieldsRefused
from subscriptions.models import Member, Project, Subscription
from subscriptions.secrets.secret_format import generate_secret
from tests.factories import make_project, make_subscription

SITE = "http://127.0.0.1:8000"
PRESETS = ("standard", "repsona", "phrase")

pytestmark = [pytest.mark.django_db, pytest.mark.sqlite]  # no demo without the embedded home


@pytest.fixture(autouse=True)
def open_inbox(settings: Settings) -> Iterator[None]:
    """An inbox that is open and empty, on a machine that may be sent to."""
    settings.DISPATCHER_ALLOWED_NETWORKS = (ip_network("127.0.0.1/32"),)
    settings.DISPATCHER_PORT = 8000
    inbox.clear()
    inbox.is_open = True
    yield
    inbox.is_open = False


def subscribe(preset: str, **fields: Any) -> str:
    """Make a subscription to a preset's inbox; return its secret."""
    secret = generate_secret()
    make_subscription(
        url=f"{SITE}/demo/inbox/{preset}", wire_format=preset, secret=secret, **fields
    )
    return secret


def post(preset: str, body: bytes, headers: dict[str, str]) -> Any:
    client = Client(enforce_csrf_checks=True)
    return client.post(
        f"/demo/inbox/{preset}", body, content_type="application/json", headers=headers
    )


def signed(preset: str, body: bytes, secret: str, *, age_seconds: int = 0) -> dict[str, str]:
    """Headers as the dispatcher itself sends them."""
    to_sign = ToSign(
        message_id="evt_1",
        timestamp=int(time.time()) - age_seconds,
        event_type="Task.update",
        body=body,
        secrets=(secret,),
    )
    return dict(sign([preset], to_sign))


# ---- The inbox ---------------------------------------------------------------------------------


@pytest.mark.parametrize("preset", PRESETS)
def test_a_request_as_the_dispatcher_signs_it_is_verified_and_shown(preset: str) -> None:
    secret = subscribe(preset)
    body = b'{"type":"Task.update","event":{"id":20004}}'

    answer = post(preset, body, signed(preset, body, secret))

    assert answer.status_code == 200
    page = Client().get("/demo/inbox/").content.decode()
    assert "signature verified" in page
    assert "Task.update" in page
    assert "20004" in page


def test_what_another_library_signs_is_verified_too() -> None:
    secret = subscribe("standard")
    body = '{"type":"order.paid"}'
    now = datetime.now(tz=UTC)
    headers = {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(secret).sign("msg_1", now, body),
    }
    assert post("standard", body.encode(), headers).status_code == 200


@pytest.mark.parametrize("preset", PRESETS)
def test_another_secret_or_another_body_is_answered_401_and_shown(preset: str) -> None:
    secret = subscribe(preset)
    body = b'{"type":"Task.update"}'

    with_other_secret = post(preset, body, signed(preset, body, generate_secret()))
    with_other_body = post(preset, body + b" ", signed(preset, body, secret))
    without_signature = post(preset, body, {})

    assert [with_other_secret.status_code, with_other_body.status_code] == [401, 401]
    assert without_signature.status_code == 401
    assert b"missing" in without_signature.content
    page = Client().get(f"/demo/inbox/{preset}").content.decode()
    assert page.count("not verified") == 3
    assert "signature verified" not in page


@pytest.mark.parametrize("preset", ["standard", "repsona"])
def test_a_signature_from_six_minutes_ago_is_refused(preset: str) -> None:
    secret = subscribe(preset)
    answer = post(preset, b"{}", signed(preset, b"{}", secret, age_seconds=360))
    assert answer.status_code == 401
    assert b"five minutes" in answer.content


@pytest.mark.parametrize(
    ("preset", "headers"),
    [
        ("repsona", {"Repsona-Signature": "nonsense"}),
        ("repsona", {"Repsona-Signature": "t=soon,s=00"}),
        ("repsona", {"Repsona-Signature": "s=00"}),
        ("phrase", {"X-PhraseApp-Signature": "é"}),
        ("standard", {"webhook-id": "1", "webhook-timestamp": "x", "webhook-signature": "v1,"}),
    ],
)
def test_a_signature_of_another_form_is_refused_and_breaks_nothing(
    preset: str, headers: dict[str, str]
) -> None:
    subscribe(preset)
    assert post(preset, b"{}", headers).status_code == 401


def test_a_secret_of_another_subscription_to_the_same_inbox_verifies_too() -> None:
    subscribe("standard")
    secret = subscribe("standard")
    assert post("standard", b"{}", signed("standard", b"{}", secret)).status_code == 200


def test_what_was_sent_is_shown_as_text_only() -> None:
    body = b'{"type":"<script>alert(1)</script>","x":"<img src=x onerror=alert(1)>"}'
    post("standard", body, {"X-Evil": "<b>bold</b>"})

    response = Client().get("/demo/inbox/")

    page = response.content.decode()
    assert "<script" not in page
    assert "<img" not in page
    assert "<b>bold" not in page
    assert "&lt;img src=x" in page
    assert not re.search(r"<style|<[^>]*\s(style|on[a-z]+)=", page), "inline code"
    assert "default-src 'none'" in response["Content-Security-Policy"]


def test_numbers_in_a_body_are_shown_as_they_came() -> None:
    post("standard", b'{"type":"a","n":123456789012345678901234567890.10}', {})
    assert "123456789012345678901234567890.10" in Client().get("/demo/inbox/").content.decode()


def test_the_inbox_keeps_the_last_hundred_and_a_part_of_each() -> None:
    for number in range(101):
        post("phrase", b'{"event":"n:%d"}' % number, {})
    post("phrase", b'"' + b"x" * 20_000 + b'"', {})

    kept = inbox.latest()
    assert len(kept) == 100
    assert [request.event_type for request in kept[1:3]] == ["n:100", "n:99"]
    assert kept[0].is_cut
    assert len(kept[0].body) == inbox_module.BODY_LIMIT_BYTES
    assert "Cut: the body had 20002 bytes" in Client().get("/demo/inbox/").content.decode()


def test_nothing_is_there_unless_the_demo_runs() -> None:
    inbox.is_open = False
    assert Client().get("/demo/inbox/").status_code == 404
    assert Client().get("/demo/inbox/standard").status_code == 404
    assert post("standard", b"{}", {}).status_code == 404
    assert inbox.latest() == []


def test_there_are_inboxes_for_the_presets_only() -> None:
    assert post("stripe", b"{}", {}).status_code == 404
    assert Client().put("/demo/inbox/standard").status_code == 405


# ---- What the first start stores ----------------------------------------------------------------


def test_the_samples_reach_the_subscriptions_that_want_them() -> None:
    demo.make_demo(SITE)

    delivery_ids = demo.publish_samples()

    deliveries = Delivery.objects.filter(id__in=delivery_ids).select_related("subscription")
    assert sorted((row.subscription.wire_format, row.event_type) for row in deliveries) == [
        ("phrase", "translations:create"),
        ("repsona", "Task.update"),
        ("standard", "Task.update"),
        ("standard", "translations:create"),
    ]


@pytest.mark.parametrize(
    ("preset", "sample"),
    [("repsona", "repsona_task_update.json"), ("phrase", "phrase_translations_create.json")],
)
def test_a_sample_becomes_the_request_that_its_system_documents(preset: str, sample: str) -> None:
    demo.make_demo(SITE)
    demo.publish_samples()
    delivery = Delivery.objects.get(subscription__wire_format=preset)

    composed = compose_body(
        preset,
        event_type=delivery.event_type,
        created_at=delivery.created_at,
        data=delivery.event.data,
    )

    documented = Path(demo.__file__).parent / "samples" / sample
    assert json.loads(composed.body) == json.loads(documented.read_bytes())


def test_the_owner_can_log_in_and_the_key_opens_the_project() -> None:
    credentials = demo.make_demo(SITE)

    assert Client().login(username="admin", password=credentials.password)
    key = authenticate(credentials.api_key)
    assert key is not None
    assert key.project is not None
    assert key.project.slug == "demo"
    assert Member.objects.get(project=key.project).role == Member.Role.OWNER


def test_a_login_that_exists_keeps_its_password() -> None:
    get_user_model().objects.create_superuser("admin", password="of my own")

    assert demo.make_demo(SITE).password == ""

    assert Client().login(username="admin", password="of my own")


def test_there_is_no_demo_where_this_machine_may_not_be_sent_to(
    settings: Settings,
) -> None:
    settings.DISPATCHER_ALLOWED_NETWORKS = ()

    lines = tour.begin(is_asked_to_stop=lambda _seconds: True)

    assert "DISPATCHER_ALLOWED_NETWORKS" in "\n".join(lines)
    assert not Project.objects.exists(), "half a demo was stored"
    assert not get_user_model().objects.exists()


def test_there_is_no_demo_on_a_port_that_nothing_is_sent_to(settings: Settings) -> None:
    settings.DISPATCHER_PORT = 6379
    assert "PORT" in "\n".join(tour.begin(is_asked_to_stop=lambda _seconds: True))
    assert not Project.objects.exists()


def test_whoever_has_a_project_gets_no_demo() -> None:
    make_project()
    tour.begin(is_asked_to_stop=lambda _seconds: True)
    assert not Project.objects.filter(slug="demo").exists()


def test_another_port_moves_the_demo_and_nothing_else() -> None:
    demo.make_demo(SITE)
    project = Project.objects.get(slug="demo")
    elsewhere = make_subscription(project=project, url="http://127.0.0.1:8000/other")
    generations = dict(Subscription.objects.values_list("url", "generation"))

    demo.follow_port(project, "http://127.0.0.1:9000")

    moved = dict(Subscription.objects.values_list("url", "generation"))
    assert moved == {
        "http://127.0.0.1:9000/demo/inbox/standard": 2,
        "http://127.0.0.1:9000/demo/inbox/repsona": 2,
        "http://127.0.0.1:9000/demo/inbox/phrase": 2,
        elsewhere.url: generations[elsewhere.url],
    }


def test_a_port_that_cannot_be_moved_to_is_refused() -> None:
    demo.make_demo(SITE)
    with pytest.raises(FieldsRefused):
        demo.follow_port(Project.objects.get(slug="demo"), "http://127.0.0.1:22")


def test_a_later_start_shows_no_secret_and_says_how_to_get_new_ones() -> None:
    credentials = demo.make_demo(SITE)

    text = "\n".join(tour.begin(is_asked_to_stop=lambda _seconds: True))

    assert credentials.password not in text
    assert credentials.api_key not in text
    assert credentials.api_key[:12] in text
    assert "manage.py changepassword admin" in text
    assert "manage.py create_key demo" in text
    assert "curl http://127.0.0.1:8000/api/v1/projects/demo/events" in text


def test_a_later_start_tells_that_a_subscription_was_switched_off() -> None:
    demo.make_demo(SITE)
    deactivate(Subscription.objects.get(wire_format="phrase"))
    text = "\n".join(tour.begin(is_asked_to_stop=lambda _seconds: True))
    assert f"{SITE}/demo/inbox/phrase" in text
