"""Registers the app with Django, and its lookup with the UUID field."""

from django.apps import AppConfig


class DeliveriesConfig(AppConfig):
    """See the README's "Where is …?" table."""

    name = "deliveries"

    def ready(self) -> None:
        """Make `id__among` known."""
        from deliveries import among  # noqa: F401  # importing registers it
