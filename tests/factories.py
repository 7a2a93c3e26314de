"""Plain functions that make rows for tests; what a test does not mention has a sensible value."""

from __future__ import annotations

from itertools import count
from typing import Any

from django.utils import timezone

from subscriptions.models import Project, Subscription
from subscriptions.secrets.secret_format import generate_secret
from subscriptions.secrets.signing_secrets import add_secret
from subscriptions.wire_formats import default_schemes

_numbers = count(1)


def make_project(**fields: Any) -> Project:
    """A project that allows plain HTTP, so that receivers on loopback can be subscribed."""
    number = next(_numbers)
    defaults = {"slug": f"project-{number}", "name": f"Project {number}", "is_https_only": False}
    return Project.objects.create(**defaults | fields)


def make_subscription(
    *, project: Project | None = None, secret: str | None = None, **fields: Any
) -> Subscription:
    """An active subscription to everything, with one signing secret."""
    wire_format = fields.get("wire_format", "standard")
    defaults: dict[str, Any] = {
        "project": project or make_project(),
        "url": "http://127.0.0.1:9/inbox",
        "event_types": ["*"],
        "signature_schemes": list(default_schemes(wire_format)),
    }
    if fields.get("is_active") is False:
        defaults["deactivated_at"] = timezone.now()
    subscription = Subscription.objects.create(**defaults | fields)
    add_secret(subscription, secret or generate_secret())
    return subscription
