"""A list that PostgreSQL cannot find soon is refused, and says what to do; nothing else is."""

from __future__ import annotations

from threading import Event, Thread

import pytest
from django.db import connection, transaction

from subscriptions.rest import cursor_pages
from tests.api_client import ApiClient, errors_of
from tests.factories import make_project

pytestmark = [pytest.mark.postgres, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def api() -> ApiClient:
    return ApiClient(make_project())


def timeout() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SHOW statement_timeout")
        return str(cursor.fetchone()[0])


def test_a_list_that_takes_too_long_is_refused_and_not_as_a_database_that_is_away(
    api: ApiClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    is_locked, is_done = Event(), Event()

    def lock() -> None:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("LOCK TABLE deliveries_delivery IN ACCESS EXCLUSIVE MODE")
            is_locked.set()
            is_done.wait(30)
        connection.close()

    locker = Thread(target=lock)
    locker.start()
    try:
        assert is_locked.wait(10)
        with monkeypatch.context() as meanwhile:
            meanwhile.setattr(cursor_pages, "LIMIT_MS", 100)
            response = api.get("deliveries", {"event_type": "a.rare.one"})
    finally:
        is_done.set()
        locker.join(30)

    assert errors_of(response, 400) == {"": "too_slow"}
    assert "`since`" in response.json()["detail"]
    assert api.get("deliveries").status_code == 200


def test_only_the_list_is_bound_to_that_time(api: ApiClient) -> None:
    before = timeout()
    assert api.get("deliveries").status_code == 200
    assert timeout() == before
    with transaction.atomic():
        assert api.get("deliveries").status_code == 200
        assert timeout() == before
