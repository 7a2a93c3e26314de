"""`manage.py chaos_receiver`: receivers that misbehave, to see how the sender takes them."""

from __future__ import annotations

import signal
import tempfile
import threading
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from dispatcher.chaos.by_hand import chaos

DEFAULT_PORT = 8900


class Command(BaseCommand):
    """Runs them until Ctrl-C."""

    help = "Run receivers that misbehave, until Ctrl-C; their list is at / of the port."
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add where to listen."""
        parser.add_argument(
            "--port", type=int, default=DEFAULT_PORT, help=f"{DEFAULT_PORT}, and the ports after it"
        )
        parser.add_argument(
            "--host",
            default="127.0.0.1",
            help="an address of this machine; loopback unless others are to try",
        )

    def handle(self, *_arguments: Any, **options: Any) -> None:
        """Run until asked to stop."""
        is_asked = threading.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: is_asked.set())
        host, port = options["host"], options["port"]
        with tempfile.TemporaryDirectory(prefix="chaos-") as folder:
            try:
                with chaos(host=host, port=port, folder=Path(folder), say=self._say):
                    self._say(f"http://{host}:{port}/ lists what there is.")
                    self._say("The sender must be allowed to contact it, as `make run` is:")
                    self._say(f"DISPATCHER_ALLOWED_NETWORKS={host}/32. Ctrl-C stops.")
                    is_asked.wait()
            except OSError as error:
                raise CommandError(f"cannot listen on {host}, ports {port} on: {error}") from error

    def _say(self, text: str) -> None:
        self.stdout.write(text)
        self.stdout.flush()
