"""Registers the app with Django."""

from django.apps import AppConfig


class DeliveriesConfig(AppConfig):
    """See the README's "Where is …?" table."""

    name = "deliveries"
