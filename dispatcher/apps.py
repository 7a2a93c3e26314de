"""Registers the app with Django."""

from django.apps import AppConfig


class DispatcherConfig(AppConfig):
    """See the README's "Where is …?" table."""

    name = "dispatcher"
