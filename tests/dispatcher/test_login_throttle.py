"""Passwords cannot be tried at will, and whoever knows theirs is not held up by it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from ipaddress import ip_address, ip_network
from typing import Any
from uuid import uuid4

import pytest
from django.conf import LazySettings
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client

from dispatcher import login_throttle

LOGIN = "/admin/login/"
PASSWORD = "correct horse"
WRONG = "battery staple"


@pytest.fixture
def user(db: None) -> User:  # noqa: ARG001  # opens the database
    return User.objects.create_superuser(f"owner-{uuid4().hex}", password=PASSWORD)


def an_address() -> str:
    """An address that nobody else in the suite has."""
    return str(ip_address(uuid4().int))


def log_in(name: str, password: str = WRONG, address: str = "", **headers: str) -> Any:
    return Client().post(
        LOGIN,
        {"username": name, "password": password},
        REMOTE_ADDR=address or an_address(),
        headers=headers,
    )


@pytest.mark.django_db
def test_after_ten_wrong_passwords_an_address_is_told_to_wait() -> None:
    address = an_address()
    for _ in range(10):
        response = log_in(uuid4().hex, address=address)
        assert response.status_code == 200
        assert b"Please enter the correct" in response.content

    refused = log_in(uuid4().hex, address=address)

    assert refused.status_code == 429
    assert 0 < int(refused["Retry-After"]) <= 30
    assert b"Too many attempts to log in. Try again in 1 minute." in refused.content
    assert b'name="password"' in refused.content
    assert log_in(uuid4().hex).status_code == 200


def test_while_an_address_waits_even_the_right_password_is_not_looked_at(user: User) -> None:
    address = an_address()
    for _ in range(10):
        log_in("nobody", address=address)
    assert log_in(user.username, PASSWORD, address).status_code == 429
    assert log_in(user.username, PASSWORD).status_code == 302


def test_a_name_is_limited_whatever_the_address_and_however_it_is_written(user: User) -> None:
    for number in range(20):
        name = user.username.upper() if number % 2 else user.username
        assert log_in(name).status_code == 200
    assert log_in(user.username, PASSWORD).status_code == 429


def test_logins_that_succeed_cost_nothing(user: User) -> None:
    address = an_address()
    for _ in range(15):
        assert log_in(user.username, PASSWORD, address).status_code == 302


@pytest.mark.django_db
def test_a_form_that_is_not_filled_in_costs_nothing() -> None:
    address = an_address()
    for _ in range(15):
        assert log_in("somebody", "", address).status_code == 200
    assert log_in(uuid4().hex, address=address).status_code == 200


@pytest.mark.django_db(transaction=True)
def test_attempts_at_once_get_no_more_tries() -> None:
    address = an_address()

    def attempt(_: int) -> int:
        try:
            return int(log_in(uuid4().hex, address=address).status_code)
        finally:
            connection.close()

    with ThreadPoolExecutor(6) as threads:
        statuses = list(threads.map(attempt, range(20)))
    assert statuses.count(200) == login_throttle.PER_ADDRESS.burst
    assert statuses.count(429) == 10


@pytest.mark.django_db
def test_all_addresses_of_one_ipv6_network_count_as_one() -> None:
    network = uuid4().int >> 64 << 64
    for number in range(10):
        assert log_in(uuid4().hex, address=str(ip_address(network + number))).status_code == 200
    assert log_in(uuid4().hex, address=str(ip_address(network + 99))).status_code == 429


@pytest.mark.django_db
def test_behind_a_trusted_proxy_it_is_the_client_s_address_that_counts(
    settings: LazySettings,
) -> None:
    proxy, client = an_address(), an_address()
    settings.DISPATCHER_TRUSTED_PROXIES = (ip_network(proxy),)
    for _ in range(11):
        last = log_in(uuid4().hex, address=proxy, **{"X-Forwarded-For": client})
    assert last.status_code == 429
    other = log_in(uuid4().hex, address=proxy, **{"X-Forwarded-For": an_address()})
    assert other.status_code == 200


@pytest.mark.django_db
def test_a_header_of_the_client_s_own_changes_nothing() -> None:
    address = an_address()
    for _ in range(11):
        last = log_in(uuid4().hex, address=address, **{"X-Forwarded-For": an_address()})
    assert last.status_code == 429
