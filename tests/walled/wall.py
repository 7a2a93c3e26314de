"""Builds the two networks and connects them; this process is in the sender's from then on."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.walled.world import CABLE, HERE, SENDER, run

_INNER = "wall"


@dataclass
class Seen:
    """What the world saw; filled in when the world ends."""

    packets: list[tuple[str, str, int]] = field(default_factory=list)
    requests: list[tuple[str, int]] = field(default_factory=list)


@contextmanager
def world() -> Iterator[Seen]:
    """Start the world, and lay the cable; this process must be in a namespace of its own."""
    seen = Seen()
    command = ["unshare", "--net", sys.executable, "-m", "tests.walled.world"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None
    assert process.stdout is not None
    run("ip link set lo up")
    run(f"ip link add {_INNER} type veth peer name {CABLE}")
    _push_cable(process.pid)
    run(f"ip link set {_INNER} up")
    run(f"ip addr add {SENDER[4]}/30 dev {_INNER}")
    run(f"ip -6 addr add {SENDER[6]}/64 dev {_INNER} nodad")
    run(f"ip route add default via {HERE[4]}")
    run(f"ip -6 route add default via {HERE[6]}")
    assert process.stdout.readline() == "ready\n"
    yield seen
    output, _ = process.communicate(timeout=20)
    found: dict[str, Any] = json.loads(output)
    seen.packets = [tuple(each) for each in found["packets"]]
    seen.requests = [tuple(each) for each in found["requests"]]


def _push_cable(pid: int) -> None:
    """Give the world its end; it may not have left our namespace yet."""
    for _ in range(200):
        run(f"ip link set {CABLE} netns {pid}")
        listed = subprocess.run(["ip", "-o", "link"], capture_output=True, text=True, check=True)
        if f" {CABLE}@" not in listed.stdout:
            return
    raise SystemExit("the world did not take its end of the cable")
