"""Registers the app with Django, and its lookup with the UUID field."""

import django_stubs_ext
from django.apps import AppConfig
from django.db.models.signals import post_migrate

# Before any model or admin class is made: they are written with their types.
django_stubs_ext.monkeypatch()


class SubscriptionsConfig(AppConfig):
    """See the README's "Where is …?" table."""

    name = "subscriptions"

    def ready(self) -> None:
        """Make `id__among` known, plant the canary with the tables, listen to logins."""
        from subscriptions import among  # noqa: F401  # it registers itself
        from subscriptions.access import login_log
        from subscriptions.secrets import encryption_canary

        post_migrate.connect(encryption_canary.plant, sender=self)
        login_log.connect()
