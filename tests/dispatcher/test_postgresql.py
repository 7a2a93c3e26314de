"""A kept connection is looked at before it is used: what the server ended is not tried."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import ProgrammingError, connection

from deliveries.publishing.ingest import publish
from tests.at_once import at_once
from tests.factories import make_project

pytestmark = [pytest.mark.postgres, pytest.mark.django_db(transaction=True)]


def begin_request() -> None:
    """Do what Django does at the start of a request."""
    kept: Any = connection
    kept.health_check_enabled, kept.health_check_done = True, False


def run(statement: str, *values: Any) -> Any:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        return cursor.fetchone()


def end_this_connection() -> int:
    (pid,) = run("SELECT pg_backend_pid()")
    at_once(lambda: run("SELECT pg_terminate_backend(%s, 5000)", pid))
    return int(pid)


def test_a_connection_that_the_server_ended_is_replaced() -> None:
    ended = end_this_connection()
    begin_request()
    assert run("SELECT pg_backend_pid()") != (ended,)


def test_an_event_after_the_server_ended_the_connection_is_stored() -> None:
    project = make_project()
    publish(project=project, event_type="a.b", data=1)
    end_this_connection()
    begin_request()
    assert publish(project=project, event_type="a.b", data=2).matched_count == 0


def test_looking_asks_the_server_nothing(django_assert_num_queries: Any) -> None:
    run("SELECT 1")
    begin_request()
    with django_assert_num_queries(1):
        run("SELECT 1")
    kept: Any = connection
    assert kept.health_check_done


def test_a_connection_in_a_failed_transaction_is_not_usable() -> None:
    connection.ensure_connection()
    assert connection.is_usable()
    with connection.cursor() as cursor:
        cursor.execute("BEGIN")
        with pytest.raises(ProgrammingError):
            cursor.execute("SELECT nothing")
        assert not connection.is_usable()
        cursor.execute("ROLLBACK")
    assert connection.is_usable()
