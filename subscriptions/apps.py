"""Registers the app with Django, and its lookup with the UUID field."""

import django_stubs_ext
from django.apps import AppConfig

# Before any model or admin class is made: they are written with their types.
django_stubs_ext.monkeypatch()


class SubscriptionsConfig(AppConfig):
    """See the README's "Where is …?" table."""

    name = "subscriptions"

    def ready(self) -> None:
        """Make `id__among` known."""
        from subscriptions import among  # noqa: F401  # importing registers it
