"""Who wants what, what is to be sent, and what became of it."""

from __future__ import annotations

from typing import ClassVar

from django.db import models


class Subscription(models.Model):
    """Where to send, and what to sign with."""

    objects: ClassVar[models.Manager[Subscription]] = models.Manager()

    url = models.URLField()
    secret = models.CharField(max_length=100)

    def __str__(self) -> str:
        return self.url


class Delivery(models.Model):
    """One event for one subscription."""

    objects: ClassVar[models.Manager[Delivery]] = models.Manager()

    subscription = models.ForeignKey(Subscription, on_delete=models.CASCADE)
    event_type = models.CharField(max_length=100)
    payload = models.JSONField()
    status = models.CharField(max_length=20, default="pending", db_index=True)
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return self.event_type


class Attempt(models.Model):
    """One request, and its answer."""

    objects: ClassVar[models.Manager[Attempt]] = models.Manager()

    delivery = models.ForeignKey(Delivery, on_delete=models.CASCADE)
    started_at = models.DateTimeField()
    duration_ms = models.PositiveIntegerField()
    status_code = models.PositiveSmallIntegerField(null=True)
    request_headers = models.JSONField()
    response_headers = models.JSONField()
    response_body = models.TextField(blank=True)
    ended_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return f"{self.status_code}"
