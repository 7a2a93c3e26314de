"""The fast receiver: answers every request with 204 at once, and is not what bounds anything.

nginx as a single process where the machine has it, else `slow_receiver`'s asyncio server.
Started by the cases; what answers late or tells when requests came is `slow_receiver`.
"""

from __future__ import annotations

import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from bench.environment import unwatched
from tests.faults.processes import Program
from tests.faults.receipts import free_port
from tests.faults.stack import eventually, status_of

_NGINX = """
daemon off; master_process off; pid {folder}/nginx.pid; error_log stderr crit;
events {{ worker_connections 8192; }}
http {{
    access_log off; keepalive_requests 1000000000; keepalive_timeout 60s;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{ listen 127.0.0.1:{port} backlog=4096; location / {{ return 204; }} }}
}}
"""


@dataclass(frozen=True, slots=True)
class Receiver:
    """Where requests go, and the process that takes them."""

    origin: str
    program: Program
    kind: str
    """`nginx` or `asyncio`."""


def start_receiver(folder: Path) -> Receiver:
    """Start one below `folder`; the caller kills its program, or it ends with us."""
    port = free_port()
    origin = f"http://127.0.0.1:{port}"
    nginx = shutil.which("nginx", path=f"{os.environ['PATH']}{os.pathsep}/usr/sbin")
    command = [sys.executable, "-m", "bench.slow_receiver", str(port), str(folder / "arrivals")]
    if nginx is not None:
        file = folder / "nginx.conf"
        file.write_text(_NGINX.format(folder=folder, port=port))
        command = [nginx, "-e", "stderr", "-p", str(folder), "-c", str(file)]
    program = Program("receiver", command, environment=unwatched(), folder=folder)
    program.start()
    eventually(lambda: status_of(origin, "/") == 204, "the receiver answers", within_seconds=20)
    return Receiver(origin, program, "nginx" if nginx else "asyncio")
