"""Its Celery: `celery -A bench.yardsticks.celery_task.celery worker`."""

from __future__ import annotations

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "bench.yardsticks.celery_task.settings")

app = Celery("usual")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
