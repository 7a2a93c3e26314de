"""Beat's scheduler: Celery's own, which also leaves a sign of life when it looks at the clock."""

from __future__ import annotations

from typing import Any

from celery.beat import PersistentScheduler
from django.conf import settings

from deliveries.sending.heartbeat import Heartbeat


class Scheduler(PersistentScheduler):
    """Looks every `CELERY_BEAT_MAX_LOOP_INTERVAL` seconds, and waits for a broker that is away."""

    def __init__(self, *args: Any, **options: Any) -> None:
        self._heartbeat = Heartbeat(settings.DISPATCHER_HEARTBEAT_FILE)
        super().__init__(*args, **options)

    def tick(self, *args: Any, **options: Any) -> float:
        """Send what is due; return the seconds until it wants to look again."""
        seconds: float = super().tick(*args, **options)
        self._heartbeat.beat()  # after it: a tick that hangs gives no sign
        return seconds
