"""Every answer and every log line of a request carries its id; logins are written down."""

from __future__ import annotations

import logging
import logging.config
import re
from ipaddress import ip_network
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.contrib.auth import get_user_model
from django.http import HttpRequest, HttpResponse
from django.test import Client, RequestFactory

from subscriptions.access.acting import current_origin
from subscriptions.access.audit_log import Action
from subscriptions.access.request_context import RequestContext, RequestIdFilter
from subscriptions.models import AuditEntry

LOGIN = "/admin/login/"


def test_each_answer_has_an_id_of_its_own() -> None:
    first, second = (Client().get("/healthz")["X-Request-Id"] for _ in range(2))
    assert re.fullmatch("[0-9a-f]{32}", first)
    assert first != second


@pytest.mark.parametrize("given", ["a", "01JD-x.y_z", "f" * 64])
def test_a_sane_id_is_taken_over(given: str) -> None:
    assert Client().get("/healthz", headers={"X-Request-Id": given})["X-Request-Id"] == given


@pytest.mark.parametrize(
    "given", ["", "f" * 65, "a b", "a\x1b[31m", "-a", "ä", "a=b", "a\tINFO forged", "<script>"]
)
def test_an_id_that_could_do_harm_is_replaced(given: str) -> None:
    answered = Client().get("/healthz", headers={"X-Request-Id": given})["X-Request-Id"]
    assert re.fullmatch("[0-9a-f]{32}", answered)


def test_error_pages_and_unknown_routes_have_one_too() -> None:
    client = Client(raise_request_exception=False)
    for path in ("/api/v1/nothing", "/nothing"):
        answer = client.get(path, headers={"X-Request-Id": "mine"})
        assert (answer.status_code, answer["X-Request-Id"]) == (404, "mine")


def test_log_lines_name_the_request_while_it_is_answered_and_no_longer() -> None:
    lines: list[str] = []
    logs: Any = django_settings.LOGGING
    line = logging.Formatter(logs["formatters"]["line"]["format"], style="{")

    def answer(_request: HttpRequest) -> HttpResponse:
        record = logging.makeLogRecord({"msg": "hello", "name": "x", "levelname": "INFO"})
        RequestIdFilter().filter(record)
        lines.append(line.format(record))
        return HttpResponse()

    request = RequestFactory().get("/", headers={"X-Request-Id": "r-1"})
    RequestContext(answer)(request)
    assert lines[0].endswith("INFO x hello request=r-1")
    answer(request)
    assert lines[1].endswith("INFO x hello")
    assert logs["handlers"]["console"]["filters"] == ["request_id"]


def test_no_log_line_has_the_token_of_a_portal_link(caplog: pytest.LogCaptureFixture) -> None:
    logs: Any = django_settings.LOGGING
    configurator: Any = logging.config.DictConfigurator({"version": 1})  # as Django does
    written = configurator.configure_formatter(dict(logs["formatters"]["line"]))
    request = RequestFactory().get("/portal/eyJ.a:b-c_d/projects/x/")
    try:
        raise ValueError("/portal/eyJ.a:b-c_d/projects/y/")
    except ValueError:
        logging.getLogger("x").exception("%s: %s, %r", "Oh", request.path, request)
    record = caplog.records[-1]
    record.request_note = ""
    line = written.format(record)
    assert "eyJ" not in line
    assert "Oh: /portal/…/projects/x/, <WSGIRequest: GET '/portal/…/projects/x/'>" in line
    assert "ValueError: /portal/…/projects/y/" in line


def test_an_origin_ends_with_its_request_even_when_that_fails() -> None:
    def fail(_request: HttpRequest) -> HttpResponse:
        assert current_origin().request_id
        raise RuntimeError

    with pytest.raises(RuntimeError):
        RequestContext(fail)(RequestFactory().get("/"))
    assert current_origin().request_id == ""


@pytest.mark.django_db
def test_logins_failures_and_logouts_are_written_down(settings: Any) -> None:
    settings.DISPATCHER_TRUSTED_PROXIES = (ip_network("127.0.0.1/32"),)
    user = get_user_model().objects.create_superuser("alice", password="right")
    client = Client(headers={"X-Forwarded-For": "203.0.113.9", "X-Request-Id": "r-7"})

    client.post(LOGIN, {"username": "alice", "password": "wrong pass phrase"})
    client.post(LOGIN, {"username": "right", "password": "alice"})
    assert client.post(LOGIN, {"username": "alice", "password": "right"}).status_code == 302
    client.post("/admin/logout/")

    rows = list(AuditEntry.objects.order_by("id"))
    shown = [(row.action, row.actor_kind, row.actor_label, row.target_id) for row in rows]
    assert shown == [
        (Action.USER_LOGIN_FAILED, "nobody", "", str(user.pk)),
        (Action.USER_LOGIN_FAILED, "nobody", "", "unknown"),
        (Action.USER_LOGGED_IN, "user", "alice", str(user.pk)),
        (Action.USER_LOGGED_OUT, "user", "alice", str(user.pk)),
    ]
    assert {(row.address, row.request_id, row.project) for row in rows} == {
        ("203.0.113.9", "r-7", None)
    }
    assert rows[1].after is None  # what was typed as a name may be a password
    assert "wrong" not in str([(row.before, row.after) for row in rows])
