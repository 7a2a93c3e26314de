"""No secret is found in plain text where it has no business: the whole of it is run, and searched.

Searched are a dump of every table, the log, each answer of the API but those documented to hold a
secret, the admin's and the members' pages, what was given to the broker, and error pages.
"""

from __future__ import annotations

import base64
import io
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from celery import signals
from cryptography.fernet import Fernet
from django.apps import apps
from django.contrib.auth import get_user_model
from django.contrib.sessions.models import Session
from django.db import connection
from django.http import HttpRequest, HttpResponse
from django.test import Client
from django.urls import NoReverseMatch, path, reverse

from deliveries.models import Delivery
from dispatcher.chaos.threaded_server import KEEP, Connection, ThreadedServer
from dispatcher.urls import handler500  # noqa: F401  # of this module's own routes
from subscriptions.ids import to_public
from subscriptions.models import AuditEntry
from tests.api_client import ApiClient
from tests.factories import make_project
from tests.tenants.routes import page_paths
from tests.workers import allow_loopback, eventually, sending

pytestmark = pytest.mark.django_db(transaction=True)


def _known(number: int) -> str:
    return "whsec_" + base64.b64encode(bytes(range(number, number + 32))).decode()


SIGNING, ROTATED, DEFAULT = _known(1), _known(2), _known(3)
HEADER = "Bearer kept-from-everybody-0123456789"
HEADER_LATER = "Bearer kept-from-everybody-9876543210"
PASSWORD = "correct horse battery staple"


def fails_with_a_secret(_request: HttpRequest) -> HttpResponse:
    """A mistake of ours, in the midst of secrets."""
    signing_secret, headers = SIGNING, {"Authorization": HEADER}
    raise RuntimeError(f"{len(signing_secret)} {len(headers)}")


urlpatterns = [path("fails", fails_with_a_secret), path("api/fails", fails_with_a_secret)]


class Searched:
    """All text that came out anywhere, by where."""

    def __init__(self) -> None:
        self.places: dict[str, str] = {}

    def add(self, where: str, content: str | bytes) -> None:
        text = content.decode("utf-8", "replace") if isinstance(content, bytes) else content
        self.places[where] = self.places.get(where, "") + "\n" + text

    def found(self, secrets: dict[str, str]) -> list[tuple[str, str]]:
        """Return what is where it must not be: as it is, and as base64 has it."""
        return [
            (name, where)
            for name, secret in secrets.items()
            for spelling in (secret, base64.b64encode(secret.encode()).decode())
            for where, text in self.places.items()
            if spelling in text
        ]


def fail(connection: Connection) -> bool:
    connection.send(b"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n")
    return KEEP


@pytest.fixture
def receiver() -> Iterator[ThreadedServer]:
    server = ThreadedServer({"fail": fail})
    yield server
    server.close()


@pytest.fixture
def searched(caplog: pytest.LogCaptureFixture) -> Iterator[Searched]:
    """Collects the log, whatever its level, and what goes to the broker."""
    everything = Searched()

    def to_the_broker(headers: object = None, body: object = None, **_: Any) -> None:
        everything.add("broker", json.dumps([headers, body], default=str))

    signals.before_task_publish.connect(to_the_broker)
    caplog.set_level(logging.DEBUG)
    yield everything
    signals.before_task_publish.disconnect(to_the_broker)


def test_no_secret_is_found_where_it_has_no_business(
    receiver: ThreadedServer,
    searched: Searched,
    settings: Any,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    allow_loopback(settings)
    client = ApiClient(make_project(failure_limit=2))
    live_through(client, receiver, searched)
    look_at_errors(client, searched, settings)
    secrets = {
        "signing secret": SIGNING,
        "rotated secret": ROTATED,
        "default secret": DEFAULT,
        "custom header": HEADER,
        "changed custom header": HEADER_LATER,
        "API key": client.plain_key,
        "password": PASSWORD,
    }

    look_at_pages(searched)
    dump_database(searched)
    searched.add("log", caplog.text)
    searched.add("log", "".join(capfd.readouterr()))  # a worker's, which is another process

    assert {"database", "broker", "log", "answers", "pages", "errors"} <= set(searched.places)
    assert client.project.slug in searched.places["database"]
    assert (
        "deliveries.send_due" in searched.places["broker"] + caplog.text
        or searched.places["broker"]
    )
    assert searched.found(secrets) == []
    # The search itself can find: the receiver got the header and nobody else did.
    assert [request.headers["authorization"] for request in receiver.requests[:1]] == [HEADER]
    assert "…6789" in searched.places["database"]


def live_through(client: ApiClient, receiver: ThreadedServer, searched: Searched) -> None:
    """Publish, fail, redeliver, rotate, reveal, change, deactivate: through API and engine."""

    def call(method: str, route: str, body: Any = None, *, is_reveal: bool = False) -> Any:
        response = client.call(method, route, body)
        assert response.status_code < 300, response.content
        if not is_reveal:
            searched.add("answers", f"{response.headers}".encode() + response.content)
        return response.json() if response.content else None

    created = call(
        "POST",
        "subscriptions",
        {
            "url": f"{receiver.origin}/fail",
            "event_types": ["*"],
            "secret": SIGNING,
            "custom_headers": {"Authorization": HEADER},
        },
        is_reveal=True,
    )
    own = f"subscriptions/{created['id']}"
    assert created["secret"] == SIGNING
    with sending():
        call("POST", "events", {"type": "a.b", "data": {"n": 1}})
        eventually(lambda: Delivery.objects.filter(status="failed").count() == 1)
        (delivery,) = call("GET", "deliveries")["results"]
        call("POST", f"deliveries/{delivery['id']}/redeliver")
        eventually(lambda: Delivery.objects.filter(status="failed").count() == 1)
        call("POST", f"{own}/secret/rotate", {"secret": ROTATED}, is_reveal=True)
        call("GET", f"{own}/secret", is_reveal=True)
        call("POST", f"{own}/secret/expire", is_reveal=True)
        call("POST", "secret/rotate", {"secret": DEFAULT}, is_reveal=True)
        call("PATCH", own, {"custom_headers": {"Authorization": HEADER_LATER}})
        call("PATCH", own, {"uses_default_secret": True})
        call("POST", f"{own}/test")
        call("POST", "events", {"type": "a.b", "data": {"n": 2}})
        eventually(lambda: not Delivery.objects.filter(next_attempt_at__isnull=False).exists())
    call("PATCH", own, {"active": True})
    for row in call("GET", "deliveries")["results"]:
        call("GET", f"deliveries/{row['id']}")
    for route in ("subscriptions", own, "audit-log", "audit"):
        call("GET", route)
    assert AuditEntry.objects.filter(action="subscription.deactivated").exists()


def look_at_errors(client: ApiClient, searched: Searched, settings: Any) -> None:
    """Be refused, with secrets in the request; and meet mistakes of ours."""
    for body in (
        {"url": "ftp://x", "event_types": [], "secret": SIGNING},
        {"custom_headers": {"Host": HEADER, "X": f"{HEADER}\n"}, "secret": f"{SIGNING} "},
    ):
        searched.add("errors", client.post("subscriptions", body).content)
    searched.add("errors", client.get("nothing").content)
    broken = Client(raise_request_exception=False)
    urls, keys = settings.ROOT_URLCONF, settings.DISPATCHER_ENCRYPTION_KEYS
    settings.ROOT_URLCONF = __name__
    for page in ("/fails", "/api/fails"):
        response = broken.get(page, headers={"Authorization": f"Bearer {client.plain_key}"})
        assert response.status_code == 500
        searched.add("errors", response.content)
    settings.ROOT_URLCONF = urls
    settings.DISPATCHER_ENCRYPTION_KEYS = (Fernet.generate_key().decode(),)
    unreadable = client.get("secret")
    assert unreadable.status_code == 500
    searched.add("errors", unreadable.content)
    settings.DISPATCHER_ENCRYPTION_KEYS = keys


def look_at_pages(searched: Searched) -> None:
    """Look at every list and every row of the admin."""
    get_user_model().objects.create_superuser("operator", password=PASSWORD)
    client = Client()
    client.post("/admin/login/", {"username": "operator", "password": PASSWORD})
    seen = 0
    for model in apps.get_models():
        try:
            page = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
        except NoReverseMatch:
            continue
        searched.add("pages", client.get(page).content)
        for row in model._default_manager.all():
            response = client.get(f"{page}{row.pk}/change/")
            assert response.status_code == 200, page
            searched.add("pages", response.content)
            seen += 1
    assert seen > 15
    look_at_members_pages(client, searched)


def look_at_members_pages(client: Client, searched: Searched) -> None:
    """Look at every page of the project, with what it has; revealing is a POST."""
    delivery = Delivery.objects.select_related("subscription", "project").latest("id")
    values = {
        "project": delivery.project.slug,
        "subscription": to_public("sub", delivery.subscription_id),
        "delivery": to_public("dlv", delivery.id),
        "event": to_public("evt", delivery.event_id),
        "name": delivery.event_type,
        "number": "1",
        "recovery": "-",
        "change": "-",
        "key": "-",
    }
    seen = 0
    for page in page_paths(values):
        response = client.get(page)
        searched.add("members' pages", b"".join(response))
        seen += response.status_code == 200
    assert seen > 12


def dump_database(searched: Searched) -> None:
    """Every byte of it: the files of SQLite, each table of PostgreSQL, sessions decoded."""
    for session in Session.objects.all():
        searched.add("database", str(session.get_decoded()))
    if connection.vendor == "sqlite":
        name = str(connection.settings_dict["NAME"])
        for file in (Path(name), Path(f"{name}-wal")):
            searched.add("database", file.read_bytes() if file.exists() else b"")
        return
    with connection.cursor() as cursor:
        cursor.execute("SELECT oid::regclass::text FROM pg_class WHERE relkind = 'r'"
                       " AND relnamespace = 'public'::regnamespace")  # fmt: skip
        for (table,) in cursor.fetchall():
            dump = io.BytesIO()
            with cursor.copy(f"COPY {table} TO STDOUT") as rows:
                for row in rows:
                    dump.write(row)
            searched.add("database", dump.getvalue())
