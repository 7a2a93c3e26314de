"""What holds for every test: no network but loopback, and which tests belong to which database.

Tests that touch no database run once, with the SQLite suite; the others run on both.
"""

from __future__ import annotations

import os
import socket
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

import hypothesis
import pytest
from django.conf import settings
from django.core.cache import cache
from django.test import TransactionTestCase
from django.utils import translation

_set_trace = sys.settrace


def _set_trace_patiently(function: Any) -> None:
    """Do as `sys.settrace`, which fails while another thread is at it: CPython 3.11's own refusal.

    Coverage has every new thread call it; a receiver's that failed there answered nobody.
    """
    for _ in range(10_000):
        try:
            return _set_trace(function)
        except RuntimeError:
            time.sleep(0)
    return _set_trace(function)


sys.settrace = _set_trace_patiently

_empty_the_database = TransactionTestCase._fixture_teardown  # type: ignore[attr-defined]  # Django's


def _empty_the_audit_log_first(case: TransactionTestCase) -> None:
    """After a test that commits, Django deletes every row; the audit log's need a permit."""
    from subscriptions.access.audit_log import prune

    prune(now=datetime.now(UTC) + timedelta(days=100_000))
    _empty_the_database(case)


TransactionTestCase._fixture_teardown = _empty_the_audit_log_first  # type: ignore[attr-defined]

DATABASE_FIXTURES = {"db", "transactional_db", "django_db_reset_sequences", "live_server"}

# How long an example takes says more about the machine than about the code.
hypothesis.settings.register_profile("suite", deadline=None)
hypothesis.settings.load_profile("suite")


@pytest.fixture(autouse=True)
def _english() -> None:
    """Start every test in English: a page that the thread answered before left its language."""
    translation.activate("en")


@pytest.fixture(autouse=True)
def _nothing_remembered() -> None:
    """Start every test as a process that has just started, with an empty cache.

    Turns and figures are kept by a project's number, which comes again after a rollback; a breaker
    that an outage has tripped stays so for seconds.
    """
    from deliveries import costly_requests, wake
    from deliveries.publishing import backlog_limit
    from dispatcher import portal_messages
    from tests.rates import forget_rates

    forget_rates()
    backlog_limit.figures = backlog_limit.BacklogFigures()
    with wake._waker._at_work:  # what the test before published wakes nobody in this one
        wake._waker._is_wanted.clear()
        cache.clear()  # in Redis rates go with it
    with_a_breaker: tuple[Any, ...] = (costly_requests, portal_messages, wake)
    for module in with_a_breaker:
        module.breaker = module.make_breaker()


class OutsideNetworkError(RuntimeError):
    """A test reached for something outside of this machine. No `OSError`: code expects those."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what the other of the two runs covers."""
    kept = [item for item in items if _belongs_here(item)]
    dropped = [item for item in items if not _belongs_here(item)]
    config.hook.pytest_deselected(items=dropped)
    items[:] = kept


def _belongs_here(item: pytest.Item) -> bool:
    if settings.DISPATCHER_EMBEDDED:
        return item.get_closest_marker("postgres") is None
    return item.get_closest_marker("sqlite") is None and _touches_database(item)


def _touches_database(item: pytest.Item) -> bool:
    test_class = getattr(item, "cls", None)
    return (
        any(item.get_closest_marker(name) for name in ("django_db", "postgres"))
        or not DATABASE_FIXTURES.isdisjoint(getattr(item, "fixturenames", ()))
        or (test_class is not None and issubclass(test_class, TransactionTestCase))
    )


def _named_servers() -> Iterator[str]:
    """Give name and addresses of a Redis elsewhere; a PostgreSQL elsewhere is not our socket's."""
    host = urlsplit(os.environ.get("TEST_REDIS_URL", "")).hostname
    if host:
        yield host
        yield from (str(info[4][0]) for info in socket.getaddrinfo(host, None))


_ALLOWED = {"localhost", *_named_servers()}


def _refuse_the_outside(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "socket.getaddrinfo":
        is_outside = isinstance(arguments[0], str) and not _is_inside(arguments[0], if_address=True)
    elif event == "socket.connect" and arguments[0].type != socket.SOCK_STREAM:
        is_outside = False  # sends nothing, and says which of our addresses would be used
    elif event in {"socket.connect", "socket.sendto", "socket.sendmsg"}:
        address = arguments[1]
        is_outside = isinstance(address, tuple) and not _is_inside(str(address[0]))
    else:
        return
    if is_outside:
        raise OutsideNetworkError(f"{event}{arguments}: tests stay on loopback")


def _is_inside(host: str, *, if_address: bool = False) -> bool:
    if host in _ALLOWED:
        return True
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return if_address or address.is_loopback


sys.addaudithook(_refuse_the_outside)  # sees every socket that Python opens, whoever asked for it
