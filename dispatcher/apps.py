"""Registers the app with Django, and its checks."""

from django.apps import AppConfig


class DispatcherConfig(AppConfig):
    """See the README's "Where is …?" table."""

    name = "dispatcher"

    def ready(self) -> None:
        """Make the checks known."""
        from dispatcher import checks  # noqa: F401  # importing registers them
