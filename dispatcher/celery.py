"""The Celery app: workers that run the pump beside their tasks, and beat's schedule.

`celery -A dispatcher worker -P threads -c 2`, scaled by processes, one per core; the pump is a
thread of each, started and stopped with the worker (a bootstep).
"""

from __future__ import annotations

import os
from typing import Any

from celery import Celery, bootsteps, signals
from celery.exceptions import ImproperlyConfigured
from celery.worker import state
from django.conf import settings
from django.core import checks
from django.db import connection

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "dispatcher.settings")

app = Celery("dispatcher")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@signals.setup_logging.connect
def keep_the_settings_logging(**_: Any) -> None:
    """Stop Celery from setting logging up: `settings.LOGGING` is for every process."""


_RECORDING_SECONDS = 5.0
"""On top of the request deadline: what recording the last results may take at shutdown."""


_PARTITIONS_EVERY_SECONDS = 6 * 3600.0
"""Beat does it every hour; without beat, events must find a partition all the same."""


def _keep_partitions() -> None:
    from deliveries import partitions

    try:
        partitions.make_partitions()
    finally:
        connection.close()  # the timer's thread's


def refuse_what_checks_refuse() -> None:
    """Stop for what stops a management command: Celery runs the checks, and reads no result."""
    refused = [message.msg for message in checks.run_checks() if message.is_serious()]
    if refused:
        raise ImproperlyConfigured(" ".join(refused))


def _end_this_worker() -> None:
    """Stop the worker, so that whatever supervises it starts a new one."""
    state.should_stop = os.EX_SOFTWARE  # type: ignore[assignment]  # an exit status, or None


class PumpStep(bootsteps.StartStopStep):
    """Starts the pump when the worker is up; lets it finish before the worker goes."""

    requires = ("celery.worker.components:Pool", "celery.worker.components:Timer")

    def __init__(self, parent: Any, **options: Any) -> None:
        super().__init__(parent, **options)
        pool = parent.pool_cls.__module__
        if pool.endswith(".prefork"):
            raise ImproperlyConfigured(
                "The pump is a thread: start the worker with `-P threads` and scale by processes."
            )
        self._pump: Any = None

    def start(self, parent: Any) -> None:
        """Start sending."""
        from deliveries import partitions  # models need the app registry
        from deliveries.sending.engine import start_pump
        from subscriptions.encryption_canary import check_keys

        refuse_what_checks_refuse()
        check_keys()  # every delivery would end failed
        partitions.make_partitions()
        self._pump = start_pump(on_crash=_end_this_worker)
        parent.timer.call_repeatedly(_PARTITIONS_EVERY_SECONDS, _keep_partitions)

    def close(self, _parent: Any) -> None:
        """Claim nothing more, at once."""
        if self._pump:
            self._pump.stop()

    def stop(self, _parent: Any) -> None:
        """Wait for what is in flight, so that a shutdown loses and doubles nothing."""
        from deliveries.sending.engine import stop_pump

        if self._pump:
            patience = settings.DISPATCHER_REQUEST_DEADLINE_SECONDS + _RECORDING_SECONDS
            stop_pump(self._pump, timeout_seconds=patience)
            self._pump = None

    terminate = stop  # type: ignore[assignment]  # the parameter is only named otherwise


app.steps["worker"].add(PumpStep)
