"""Rows written past all checks, sent in a network in which every address answers: none is reached.

Needs Linux and root, for network namespaces; elsewhere `test_no_way_inside` counts on loopback.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings

from subscriptions.guard.address_guard import parse_destination
from tests.deliveries.sending.transports import TRANSPORTS
from tests.ssrf_cases import CASES
from tests.walled.sender import GOOD, NAMES, OWN, REBINDS, REFUSED

PLACES = {
    "http://172.32.0.1/": "172.32.0.1",
    "http://11.0.0.1/": "11.0.0.1",
    "http://[2606:4700:4700::1111]/": "2606:4700:4700::1111",
}
"""Some of the allowed ones, which show that the world hears what reaches it."""

SENT = {"example.com", "late-family.example"}
"""Names that lead to good addresses, in time: what comes later than 0.3 s is not waited for."""


def why_not() -> str:
    """Say why there can be no namespaces here; empty where there can."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return "network namespaces need Linux and root"
    if shutil.which("unshare") is None or shutil.which("ip") is None:
        return "network namespaces need util-linux and iproute2"
    command = "unshare --net ip link add wall type veth peer name world"
    tried = subprocess.run(command.split(), capture_output=True, text=True, check=False)
    return tried.stderr.strip()


@pytest.fixture(scope="module", params=sorted(TRANSPORTS))
def seen(request: pytest.FixtureRequest) -> Any:
    """Send everything through one transport, and return what came of it."""
    if reason := why_not():
        pytest.skip(reason)
    environment = {
        name: value
        for name, value in os.environ.items()
        if name not in {"TEST_DATABASE_URL", "TEST_REDIS_URL"}  # which are outside of the wall
    }
    command = ["unshare", "--net", sys.executable, "-m", "tests.walled", request.param]
    root = Path(settings.BASE_DIR)
    done = subprocess.run(
        command, cwd=root, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_every_forbidden_url_is_blocked_and_every_plain_one_sent(seen: Any) -> None:
    outcomes = seen["outcomes"]
    for case in CASES:
        if "\0" not in case.url:
            assert (outcomes[case.url] != "blocked_address") is case.is_allowed, case
    for name in NAMES:
        assert (outcomes[f"http://{name}/"] != "blocked_address") is (name in SENT), name
    for url in (*OWN, REFUSED, f"http://{REBINDS}/later"):
        assert outcomes[url] == "blocked_address"
    assert outcomes[f"http://{REBINDS}/first"] == "http_error"


def test_not_a_packet_left_for_a_forbidden_address(seen: Any) -> None:
    allowed = {GOOD[0]}  # of a name's addresses the first was enough
    for case in CASES:
        address = parse_destination(case.url).address if case.is_allowed else None
        allowed |= {str(address)} if address else set()
    assert {(kind, address) for kind, address, _ in seen["packets"]} == {
        ("tcp", address) for address in allowed
    }
    assert {port for _, _, port in seen["packets"]} == {80, 443, 8080}


def test_the_world_hears_what_reaches_it(seen: Any) -> None:
    requested = {address for address, _ in seen["requests"]}
    assert requested == {address for _, address, _ in seen["packets"]}
    for url, address in PLACES.items():
        assert seen["outcomes"][url] == "http_error"
        assert address in requested
