"""Prints both transports side by side: `python -m tests.deliveries.sending.compare_transports`.

Each row of the conformance suite alone, with its outcome, seconds and growth of memory (receivers
included: they are threads of this process), and the worst of them; then how fast each sends to a
quick receiver, and the CPU that a POST costs this process. Takes about two minutes; `--table` ends
before the speed.
"""

from __future__ import annotations

import os
import resource
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from deliveries.sending.transport import Exchange, OutboundRequest, Outcome, Transport
from tests.deliveries.sending.misbehaviours import (
    DIFFERENCES,
    NAME_ROWS,
    ROWS,
    NameRow,
    Row,
    open_door,
    open_scene,
    owed,
    request_for_name,
)
from tests.deliveries.sending.transports import TRANSPORTS
from tests.outbound import request_to, resident_bytes, send_one, submit

DEADLINE_SECONDS = 1.0
IN_FLIGHT = 100
REQUESTS = {"curl": 20_000, "requests": 5_000}
ROUNDS = 2

_NGINX = """
daemon off; worker_processes 1; pid {folder}/pid; error_log stderr crit;
events {{ worker_connections 1024; }}
http {{
    access_log off; keepalive_requests 10000000;
    client_body_temp_path {folder}/a; proxy_temp_path {folder}/b; fastcgi_temp_path {folder}/c;
    uwsgi_temp_path {folder}/d; scgi_temp_path {folder}/e;
    server {{ listen 127.0.0.1:{port} backlog=1024; location / {{ return 204; }} }}
}}
"""

_ASYNCIO = """
import asyncio, sys

class Receiver(asyncio.Protocol):
    unread = b""
    def connection_made(self, transport): self.transport = transport
    def data_received(self, data):
        self.unread += data
        head, blank, body = self.unread.partition(b"\\r\\n\\r\\n")
        if blank and len(body) >= int(head.lower().split(b"content-length: ")[1].split(b"\\r")[0]):
            self.unread = b""
            self.transport.write(b"HTTP/1.1 204 No Content\\r\\n\\r\\n")

async def serve():
    loop = asyncio.get_running_loop()
    await (await loop.create_server(Receiver, "127.0.0.1", int(sys.argv[1]))).serve_forever()

asyncio.run(serve())
"""


@dataclass(frozen=True)
class Measured:
    """One row, through one transport."""

    row: str
    exchange: Exchange
    seconds: float
    growth_mb: float


def main() -> None:
    """Measure and print both tables."""
    _print_misbehaviours()
    if "--table" not in sys.argv:
        _print_speed()


# ---- Rows ----------------------------------------------------------------------------------------


def _print_misbehaviours() -> None:
    print(f"deadline {DEADLINE_SECONDS} s; seconds and MB: " + " | ".join(TRANSPORTS))
    with tempfile.TemporaryDirectory() as folder, open_scene(Path(folder)) as scene:
        transports = {name: make(ca_file=scene.ca_file) for name, make in TRANSPORTS.items()}
        for transport in transports.values():
            send_one(transport, request_to(f"{scene.receiver.origin}/ok"))
        table: dict[str, list[Measured]] = {name: [] for name in transports}
        for row in ROWS:
            for name, transport in transports.items():
                table[name].append(_measure(row.path, transport, scene.request_for(row)))
            _print_row(row.path, [_shown(name, row, each[-1]) for name, each in table.items()])
        for name_row in NAME_ROWS:
            for name, transport in transports.items():
                table[name].append(_measure_name(name_row, transport))
            _print_row(name_row.name, [_shown_name(name_row, each[-1]) for each in table.values()])
        for transport in transports.values():
            transport.close()
    for name, differences in DIFFERENCES.items():
        for path, difference in differences.items():
            print(f"* {path}, {name}: {difference.reason}")
    _print_worst(table)


def _measure(path: str, transport: Transport, request: OutboundRequest) -> Measured:
    submit(transport, request, deadline_seconds=DEADLINE_SECONDS)
    return _drive(path, transport.collect)


def _measure_name(row: NameRow, transport: Transport) -> Measured:
    with open_door(transport, deadline_seconds=DEADLINE_SECONDS) as door:
        door.submit(request_for_name(row))
        measured = _drive(row.name, door.collect)
        # Silence waits for its verdict (ADR 11): what the attempt itself took is what counts.
        return replace(measured, seconds=measured.exchange.duration_ms / 1000)


def _drive(row: str, collect: Callable[[float], list[Exchange]]) -> Measured:
    before = peak = resident_bytes() or 0
    began_at = time.monotonic()
    while not (ended := collect(0.005)):
        peak = max(peak, resident_bytes() or 0)
    seconds = time.monotonic() - began_at
    growth_mb = (max(peak, resident_bytes() or 0) - before) / 1e6
    return Measured(row, ended[0], seconds, growth_mb)


def _shown(name: str, row: Row, measured: Measured) -> str:
    exchange, due = measured.exchange, owed(name, row)
    is_right = (exchange.outcome, exchange.status_code) == (due.outcome, due.status)
    return _cell(
        measured, mark="!" if not is_right else "*" if row.path in DIFFERENCES[name] else " "
    )


def _shown_name(row: NameRow, measured: Measured) -> str:
    return _cell(measured, mark=" " if measured.exchange.outcome is row.outcome else "!")


def _cell(measured: Measured, *, mark: str) -> str:
    exchange = measured.exchange
    what = f"{exchange.outcome} {exchange.status_code or ''}".rstrip()
    what += " cut" if exchange.is_truncated else ""
    return f"{what:22}{mark}{measured.seconds:5.2f}{measured.growth_mb:5.1f}"


def _print_row(name: str, cells: list[str]) -> None:
    print(f"{name:28}" + " | ".join(cells))


def _print_worst(table: dict[str, list[Measured]]) -> None:
    rows = len(next(iter(table.values())))
    print(f"\nworst of {rows} rows, deadline {DEADLINE_SECONDS} s:")
    for name, measured in table.items():
        slowest = max(measured, key=lambda each: each.seconds)
        largest = max(measured, key=lambda each: each.growth_mb)
        print(
            f"{name:10}{slowest.seconds:5.2f} s ({slowest.row}), "
            f"{largest.growth_mb:4.1f} MB ({largest.row})"
        )


# ---- Speed ---------------------------------------------------------------------------------------


def _print_speed() -> None:
    with _quick_receiver() as (url, kind):
        print(f"\n{IN_FLIGHT} under way, {kind} on the same {os.cpu_count()} cores")
        rates: dict[str, list[float]] = {name: [] for name in TRANSPORTS}
        for _ in range(ROUNDS):
            for name, make in TRANSPORTS.items():
                transport = make()
                _send_many(transport, url, 500)
                rate, cpu_us = _send_many(transport, url, REQUESTS[name])
                transport.close()
                rates[name].append(rate)
                print(f"{name:10}{rate:8.0f} deliveries/s{cpu_us:8.0f} µs CPU per POST")
    best = {name: max(each) for name, each in rates.items()}
    print(f"ratio curl : requests = {best['curl'] / best['requests']:.1f}")


def _send_many(transport: Transport, url: str, count: int) -> tuple[float, float]:
    """Return deliveries per second, and µs of CPU that each took."""
    began_at, cpu_before = time.monotonic(), _cpu_seconds()
    submitted = ended = 0
    while ended < count:
        while submitted < count and submitted - ended < IN_FLIGHT:
            submit(transport, _signed_request(url, submitted), deadline_seconds=5.0)
            submitted += 1
        exchanges = transport.collect(1.0)
        ended += len(exchanges)
        if any(exchange.outcome is not Outcome.SUCCEEDED for exchange in exchanges):
            raise SystemExit(f"the receiver did not keep up: {exchanges}")
    seconds, cpu = time.monotonic() - began_at, _cpu_seconds() - cpu_before
    return count / seconds, cpu / count * 1e6


def _signed_request(url: str, number: int) -> OutboundRequest:
    return request_to(
        url,
        headers=[
            ("User-Agent", "webhook-dispatcher/0.1"),
            ("webhook-id", f"evt_{number}"),
            ("webhook-timestamp", "1700000000"),
            ("webhook-signature", "v1," + "a" * 44),
        ],
    )


def _cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


@contextmanager
def _quick_receiver() -> Iterator[tuple[str, str]]:
    """Start nginx, or what answers on asyncio where there is none; give its URL and name."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    nginx = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-c", _ASYNCIO, str(port)]
        if nginx is not None:
            file = Path(folder, "nginx.conf")
            file.write_text(_NGINX.format(folder=folder, port=port))
            command = [nginx, "-e", "stderr", "-p", folder, "-c", str(file)]
        process = subprocess.Popen(command)
        try:
            _wait_for(port)
            yield f"http://127.0.0.1:{port}/", "nginx" if nginx else "asyncio"
        finally:
            process.terminate()
            process.wait(10)


def _wait_for(port: int) -> None:
    for _ in range(200):
        with socket.socket() as trying:
            if trying.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise SystemExit("the quick receiver did not start")


if __name__ == "__main__":
    main()
