"""Registers the app with Django, and gives settings that are not there their defaults."""

from django.apps import AppConfig
from django.conf import settings

from deliveries.default_settings import DEFAULTS


class DeliveriesConfig(AppConfig):
    """See the README's "Where is …?" table."""

    name = "deliveries"

    def ready(self) -> None:
        """Fill in what the project's settings leave out."""
        for name, value in DEFAULTS.items():
            if not hasattr(settings, name):
                setattr(settings, name, value)
