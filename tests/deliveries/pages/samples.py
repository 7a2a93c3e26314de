"""What the tests of the history's pages have in common: somebody signed in, and deliveries."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.contrib.auth import get_user_model
from django.test import Client
from django.utils import timezone

from deliveries.models import Attempt, Delivery
from deliveries.publishing.ingest import publish
from deliveries.sending.transport import Outcome
from subscriptions.models import Member, Project, Subscription

EVIL = '<script>alert("1")</script>\u202e{{7*7}}'


def signed_in(project: Project, role: Member.Role = Member.Role.EDITOR) -> Client:
    """A member of the project, signed in."""
    number = get_user_model().objects.count()
    user = get_user_model().objects.create_user(f"member-{number}", password="hashed anyway")
    Member.objects.create(project=project, user=user, role=role)
    client = Client()
    client.force_login(user)
    return client


def publish_one(subscription: Subscription, data: Any = None, **fields: Any) -> Delivery:
    """A delivery, finished and failed unless said otherwise."""
    published = publish(
        project=subscription.project,
        event_type=fields.pop("event_type", "Task.update"),
        data={"x": EVIL} if data is None else data,
        idempotency_key=fields.pop("idempotency_key", None),
    )
    values = {
        "status": Delivery.Status.FAILED,
        "next_attempt_at": None,
        "finished_at": timezone.now(),
        "attempt_count": 1,
        "last_outcome": Outcome.HTTP_ERROR.value,
        "last_status_code": 401,
    }
    made = Delivery.objects.filter(event_id=published.id, subscription=subscription)
    made.update(**values | fields)
    return made.get()


def pending(subscription: Subscription, **fields: Any) -> Delivery:
    """One that waits for its first attempt."""
    values: dict[str, Any] = {
        "status": Delivery.Status.PENDING,
        "next_attempt_at": timezone.now() + timedelta(seconds=5),
        "finished_at": None,
        "attempt_count": 0,
        "last_outcome": "",
        "last_status_code": None,
    }
    return publish_one(subscription, **values | fields)


def add_attempt(delivery: Delivery, **fields: Any) -> Attempt:
    """An attempt that a receiver answered with 401 and something nasty."""
    defaults = {
        "number": 1,
        "started_at": timezone.now(),
        "outcome": Outcome.HTTP_ERROR.value,
        "status_code": 401,
        "error": "The receiver answered with status 401.",
        "duration_ms": 40,
        "dns_ms": 5,
        "connect_ms": 10,
        "tls_ms": 15,
        "first_byte_ms": 8,
        "wire_format": "standard",
        "request_url": "https://hooks.acme.test/in?a[1]=2",
        "request_headers": "Host: hooks.acme.test\nContent-Type: application/json\n"
        "webhook-signature: v1,abc=\nX-Token: ••••1234",
        "request_body": '{"n":1.10,"who":"it\'s @me"}',
        "response_headers": b"HTTP/1.1 401 Unauthorized\r\nX-Evil: <b>bold</b>",
        "response_body": EVIL.encode(),
    }
    return Attempt.objects.create(delivery=delivery, **defaults | fields)
