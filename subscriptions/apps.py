"""Registers the app with Django."""

from django.apps import AppConfig


class SubscriptionsConfig(AppConfig):
    """See the README's "Where is …?" table."""

    name = "subscriptions"
