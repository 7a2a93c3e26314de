"""A route that will go says so with every answer."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from subscriptions.api.audit_log import AuditLog
from subscriptions.rest.retirement import Retirement
from tests.api_client import ApiClient
from tests.factories import make_project

SINCE = datetime(2026, 1, 31, tzinfo=UTC)
READ_MORE = "https://docs.example/successor"


def test_its_headers_are_those_of_the_rfcs() -> None:
    headers = Retirement(SINCE, datetime(2027, 1, 31, tzinfo=UTC), READ_MORE).headers()
    assert headers == {
        "Deprecation": "@1769817600",
        "Sunset": "Sun, 31 Jan 2027 00:00:00 GMT",
        "Link": f'<{READ_MORE}>; rel="deprecation"; type="text/html"',
    }


def test_the_end_may_be_open() -> None:
    assert "Sunset" not in Retirement(SINCE, None, READ_MORE).headers()


@pytest.mark.django_db
def test_every_answer_of_the_route_has_them_refusals_too(monkeypatch: pytest.MonkeyPatch) -> None:
    client = ApiClient(make_project())
    assert "Deprecation" not in client.get("audit-log")
    monkeypatch.setattr(AuditLog, "retirement", Retirement(SINCE, None, READ_MORE))
    assert client.get("audit-log")["Deprecation"] == "@1769817600"
    assert client.get("audit-log", {"nonsense": "1"})["Deprecation"] == "@1769817600"
