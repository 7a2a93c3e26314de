"""`manage.py up`: everything in one process, until Ctrl-C. What `make run` starts."""

from __future__ import annotations

import logging
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from deliveries.version import PRODUCT, VERSION
from dispatcher import embedded
from dispatcher.demo import tour
from dispatcher.env import env
from dispatcher.web_server import PortUnavailable


class Command(BaseCommand):
    """Runs web, worker and beat in one process."""

    help = "Run web, worker and beat in this process, until Ctrl-C; on the first start with a demo."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add `--no-demo`."""
        parser.add_argument(
            "--no-demo", action="store_true", help="no demo project and no demo inbox"
        )

    def handle(self, *_arguments: Any, **options: Any) -> None:
        """Run until asked to stop; a part that ends by itself ends the program with an error."""
        has_demo = settings.DISPATCHER_EMBEDDED and env.bool("DISPATCHER_DEMO", True)
        interrupts = embedded.Interrupts()
        try:
            with embedded.running(interrupts) as parts:
                self._greet(interrupts, with_demo=has_demo and not options["no_demo"])
                parts.run(interrupts)
                self._say("\nStopping: what is under way is finished or handed back …")
        except (PortUnavailable, embedded.CannotStart, embedded.PartDied) as error:
            raise CommandError(str(error)) from error
        self._say("Stopped.")

    def _greet(self, interrupts: embedded.Interrupts, *, with_demo: bool) -> None:
        self._say(f"{PRODUCT} {VERSION} on {tour.site()}, Ctrl-C stops it")
        self._say(f"Data in {_where_data_is()}\n")
        # The table says the same, in order; later attempts have their line each.
        attempts = logging.getLogger("deliveries.attempt")
        attempts.setLevel(logging.WARNING)
        lines = (
            tour.begin(is_asked_to_stop=interrupts.wait) if with_demo else tour.where_to_log_in()
        )
        attempts.setLevel(logging.NOTSET)
        self._say("\n".join(lines))

    def _say(self, text: str) -> None:
        """Write at once, into a pipe or file too."""
        self.stdout.write(text)
        self.stdout.flush()


def _where_data_is() -> str:
    database = settings.DATABASES["default"]
    if settings.DISPATCHER_EMBEDDED:
        return str(settings.DATA_DIR)
    return f"the PostgreSQL database {database['NAME']} on {database['HOST'] or 'this machine'}"
