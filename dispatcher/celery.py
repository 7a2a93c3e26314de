"""The Celery app: workers that run the pump beside their tasks, and beat's schedule.

`celery -A dispatcher worker -P threads -c 2`, scaled by processes, one per core; the pump and the
recoveries are threads of each, started and stopped with the worker (a bootstep).
"""

from __future__ import annotations

import gc
import os
from typing import Any

from celery import Celery, bootsteps, signals
from celery.exceptions import ImproperlyConfigured
from celery.worker import state
from django.conf import settings
from django.contrib.auth.checks import check_middleware
from django.core import checks
from django.core.checks.registry import registry
from django.db import connection

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "dispatcher.settings")
os.environ.setdefault("CELERY_SKIP_CHECKS", "1")  # it reads no result; see `PumpStep`

app = Celery("dispatcher")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@signals.setup_logging.connect
def keep_the_settings_logging(**_: Any) -> None:
    """Stop Celery from setting logging up: `settings.LOGGING` is for every process."""


@signals.worker_init.connect
def talk_to_no_other_worker(sender: Any, **_: Any) -> None:
    """Leave out what workers tell each other: what is to be known stands in the database."""
    sender.options |= {"without_gossip": True, "without_mingle": True, "without_heartbeat": True}


_RECORDING_SECONDS = 5.0
"""On top of the request deadline: what recording the last results may take at shutdown."""


_PARTITIONS_EVERY_SECONDS = 6 * 3600.0
"""Beat does it every hour; without beat, events must find a partition all the same."""


def _keep_partitions() -> None:
    from deliveries import tasks

    try:
        tasks.make_partitions()
    finally:
        connection.close()  # the timer's thread's


_TAGS_OF_PAGES = {checks.Tags.urls, checks.Tags.admin, checks.Tags.templates}


def refuse_what_checks_refuse() -> None:
    """Stop for what stops a management command, but for what is wrong with pages."""
    refused = [
        message.msg
        for check in registry.get_checks()
        if not _is_of_pages(check)
        for message in check(app_configs=None, databases=None)
        if message.is_serious()
    ]
    if refused:
        raise ImproperlyConfigured(" ".join(refused))


def _is_of_pages(check: Any) -> bool:
    """Say whether it imports pages or middleware, which a worker never needs: 15 MB and more."""
    return check is check_middleware or not _TAGS_OF_PAGES.isdisjoint(check.tags)


_COLLECT_AFTER_OBJECTS = 20_000
"""By default it is 700, which some forty deliveries make; what they make has no cycles."""


def _collect_garbage_seldom() -> None:
    """Spare the garbage collector what lives as long as the process, and most of its rounds."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_COLLECT_AFTER_OBJECTS)


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
        self._recoveries: Any = None

    def start(self, parent: Any) -> None:
        """Start sending, and recoveries beside it."""
        from deliveries.recoveries.thread import RecoveryThread
        from deliveries.sending.engine import start_pump
        from deliveries.upkeep import partitions  # models need the app registry
        from subscriptions.secrets.encryption_canary import check_keys

        refuse_what_checks_refuse()
        check_keys()  # every delivery would end failed
        partitions.make_partitions()
        _collect_garbage_seldom()
        self._pump = start_pump(on_crash=_end_this_worker)
        self._recoveries = RecoveryThread()
        self._recoveries.start()
        parent.timer.call_repeatedly(_PARTITIONS_EVERY_SECONDS, _keep_partitions)

    def close(self, _parent: Any) -> None:
        """Claim nothing more, at once."""
        if self._pump:
            self._recoveries.stop()
            self._pump.stop()

    def stop(self, _parent: Any) -> None:
        """Wait for what is in flight, so that a shutdown loses and doubles nothing."""
        from deliveries.sending.engine import stop_pump

        if self._pump:
            self._recoveries.stop()
            patience = settings.DISPATCHER_REQUEST_DEADLINE_SECONDS + _RECORDING_SECONDS
            stop_pump(self._pump, timeout_seconds=patience)
            self._recoveries.join(_RECORDING_SECONDS)
            self._pump = None

    terminate = stop  # type: ignore[assignment]  # the parameter is only named otherwise


app.steps["worker"].add(PumpStep)
