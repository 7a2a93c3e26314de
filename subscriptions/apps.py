"""Registers the app with Django, and its lookup with the UUID field."""

from django.apps import AppConfig


class SubscriptionsConfig(AppConfig):
    """See the README's "Where is …?" table."""

    name = "subscriptions"

    def ready(self) -> None:
        """Make `id__among` known."""
        from subscriptions import among  # noqa: F401  # importing registers it
