"""Which ports webhooks may be sent to."""

from __future__ import annotations

import pytest

from subscriptions.guard.special_ports import SERVICE_PORTS, WEB_PORTS, is_allowed_port

# The browsers' bad ports from 1024 on (Fetch Standard, "port blocking").
BROWSERS_BAD_PORTS = [
    *(1719, 1720, 1723, 2049, 3659, 4045, 4190, 5060, 5061, 6000, 6566),
    *(6665, 6666, 6667, 6668, 6669, 6679, 6697, 10080),
]


@pytest.mark.parametrize("port", [80, 443, 8080, 8443, 1024, 3000, 5000, 8000, 9000, 65535])
def test_web_ports_and_free_high_ports_are_allowed(port: int) -> None:
    assert is_allowed_port(port)


@pytest.mark.parametrize("port", [-1, 0, 1, 22, 25, 79, 81, 442, 444, 1023, 65536])
def test_low_and_impossible_ports_are_not(port: int) -> None:
    assert not is_allowed_port(port)


@pytest.mark.parametrize(
    "port",
    [3128, 4750, 3306, 5432, 6379, 11211, 27017, 2375, 2376, 10250, 2379, 6000, 3389, 6667, 9300],
)
def test_ports_of_well_known_services_are_not(port: int) -> None:
    assert not is_allowed_port(port)


@pytest.mark.parametrize("port", BROWSERS_BAD_PORTS)
def test_ports_that_browsers_refuse_are_not(port: int) -> None:
    assert not is_allowed_port(port)


def test_the_tables_do_not_contradict_each_other() -> None:
    assert not WEB_PORTS & SERVICE_PORTS.keys()


def test_ports_that_linux_hands_out_by_itself_stay_free() -> None:
    assert not [port for port in SERVICE_PORTS if 32768 <= port <= 60999]
