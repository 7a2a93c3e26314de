"""The other end of the cable: answers as every address there is, and keeps what came.

Run by `wall` in a namespace of its own. Prints `ready`, then, when its input ends, one JSON object:
`packets` (protocol, address, port of each TCP and UDP packet that came) and `requests`.
"""

from __future__ import annotations

import contextlib
import json
import socket
import struct
import subprocess
import sys
import threading
import time

CABLE = "world"
HERE = {4: "93.184.216.1", 6: "2606:2800:9::1"}
SENDER = {4: "93.184.216.2", 6: "2606:2800:9::2"}
PORTS = (80, 443, 8000, 8080, 8443, 22, 5432, 6379, 3128, 1900)

# As every receiver does its worst: it sends on to the metadata service.
ANSWER = (
    b"HTTP/1.1 307 There\r\nLocation: http://169.254.169.254/latest/meta-data/\r\n"
    b"Connection: close\r\nContent-Length: 0\r\n\r\n"
)

_EVERYTHING = 3  # ETH_P_ALL
_IP = {0x0800, 0x86DD}

Packet = tuple[str, str, int]


def run(command: str) -> None:
    subprocess.run(command.split(), check=True)


def wait_for_cable() -> None:
    """Wait until the sender's side has pushed the cable's end in here."""
    for _ in range(500):
        with contextlib.suppress(OSError):
            socket.if_nametoindex(CABLE)
            return
        time.sleep(0.01)
    raise SystemExit("no cable")


def become_everybody() -> None:
    """Take every address for one's own; only the sender's lies elsewhere."""
    run("ip link set lo up")
    run(f"ip link set {CABLE} up")
    run(f"ip addr add {HERE[4]}/30 dev {CABLE}")
    run(f"ip -6 addr add {HERE[6]}/64 dev {CABLE} nodad")
    run(f"ip route add {SENDER[4]}/32 dev {CABLE} table local")
    run(f"ip -6 route add {SENDER[6]}/128 dev {CABLE} table local")
    run("ip route add local 0.0.0.0/0 dev lo table local")
    run("ip -6 route add local ::/0 dev lo table local")


class World:
    """Listeners on all ports of interest, and an ear on the cable."""

    def __init__(self) -> None:
        self.packets: set[Packet] = set()
        self.requests: list[tuple[str, int]] = []
        self._ear = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(_EVERYTHING))
        self._ear.bind((CABLE, 0))
        for port in PORTS:
            listener = socket.create_server(
                ("::", port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=512
            )
            threading.Thread(target=self._accept, args=(listener, port), daemon=True).start()
        threading.Thread(target=self._listen, daemon=True).start()

    def _accept(self, listener: socket.socket, port: int) -> None:
        while True:
            accepted, _ = listener.accept()
            address = accepted.getsockname()[0].removeprefix("::ffff:")
            self.requests.append((address, port))
            threading.Thread(target=_answer, args=(accepted,), daemon=True).start()

    def _listen(self) -> None:
        while True:
            data, (_, protocol, direction, *_) = self._ear.recvfrom(2048)
            if direction != socket.PACKET_OUTGOING and protocol in _IP:
                self.packets.update(_read(data))


def _answer(accepted: socket.socket) -> None:
    with accepted, contextlib.suppress(OSError):
        accepted.settimeout(5)
        accepted.recv(65536)
        accepted.sendall(ANSWER)


def _read(data: bytes) -> list[Packet]:
    """Say whom a TCP or UDP packet is for; neighbours asking for one another are neither."""
    version = data[0] >> 4
    if version == 4:
        protocol, start, address = data[9], (data[0] & 15) * 4, socket.inet_ntoa(data[16:20])
    else:
        protocol, start = data[6], 40
        address = socket.inet_ntop(socket.AF_INET6, data[24:40])
    names = {socket.IPPROTO_TCP: "tcp", socket.IPPROTO_UDP: "udp"}
    if protocol not in names:
        return []
    (port,) = struct.unpack("!H", data[start + 2 : start + 4])
    return [(names[protocol], address, port)]


def main() -> None:
    wait_for_cable()
    become_everybody()
    world = World()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.read()
    json.dump({"packets": sorted(world.packets), "requests": world.requests}, sys.stdout)


if __name__ == "__main__":
    main()
