"""Fills in the form of a subscription, for the tests of its page and its pieces."""

from __future__ import annotations

import html
from typing import Any

from django.contrib.auth import get_user_model
from django.test import Client

from subscriptions.ids import to_public
from subscriptions.models import Member, Project, Subscription

NEW = "/projects/acme/subscriptions/new"
VERDICT = "/projects/acme/subscriptions/url-verdict"
PREVIEW = "/projects/acme/subscriptions/wire-preview"


def member(project: Project, role: str) -> Client:
    """Somebody with this role, signed in."""
    user = get_user_model().objects.create(username=f"{role}-{project.slug}")
    Member.objects.create(project=project, user=user, role=role)
    client = Client()
    client.force_login(user)
    return client


def page_of(subscription: Subscription, piece: str = "edit") -> str:
    return f"/projects/acme/subscriptions/{to_public('sub', subscription.id)}/{piece}"


def filled_in(**fields: Any) -> dict[str, Any]:
    """The form of a new subscription, filled in."""
    return {
        "url": "http://127.0.0.1:8080/in",
        "description": "Billing",
        "event_types": "Task.*\r\n\r\norder.paid",
        "wire_format": "standard",
        "custom_headers": "X-Team: billing",
        "retry_schedule": "5, 300",
        "metadata": "customer=4711\r\nplace = Berlin",
        "is_active": "on",
        **fields,
    }


def as_shown(client: Client, subscription: Subscription) -> dict[str, Any]:
    """What a browser would send of the form as it stands."""
    page = client.get(page_of(subscription))
    form = page.context["form"]
    values = {field.name: field.value() for field in form}
    sent = {name: value for name, value in values.items() if value not in (None, False)}
    return {**sent, "tag": form.tag, "seen": form.seen}


def text_of(page: Any) -> str:
    return html.unescape(page.content.decode())
