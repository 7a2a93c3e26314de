"""The product's settings with all periodic work due every second: the rig's patience is short.

`DJANGO_SETTINGS_MODULE=tests.faults.often`; only F24 and F28 start processes with it.
"""

from datetime import timedelta

from dispatcher.settings import *  # noqa: F403  # all of it, with what is set below
from dispatcher.settings import CELERY_BEAT_SCHEDULE as _SCHEDULE

DISPATCHER_HOUSEKEEPING_EVERY = timedelta(seconds=1)
CELERY_BEAT_SCHEDULE = {
    name: {**entry, "schedule": DISPATCHER_HOUSEKEEPING_EVERY} for name, entry in _SCHEDULE.items()
}
CELERY_BEAT_MAX_LOOP_INTERVAL = 1
