"""The assembly: settings, URLs, and the Celery app, which `shared_task` needs at import."""

from dispatcher.celery import app as celery_app

__all__ = ("celery_app",)
