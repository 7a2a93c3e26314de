"""Its Django settings, as such a project has them: PostgreSQL, kept connections, Redis."""

import os

import dj_database_url

SECRET_KEY = "for the benchmark only"  # noqa: S105  # nothing is kept
DATABASES = {"default": dj_database_url.parse(os.environ["DATABASE_URL"], conn_max_age=600)}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
INSTALLED_APPS = ["bench.yardsticks.celery_task"]
USE_TZ = True
CELERY_BROKER_URL = os.environ["REDIS_URL"]
CELERY_TASK_IGNORE_RESULT = True
