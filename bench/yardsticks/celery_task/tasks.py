"""Its task: read, sign, POST, save."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time

import requests
from celery import shared_task
from django.utils import timezone

from bench.yardsticks.celery_task.models import Attempt, Delivery


@shared_task
def deliver(delivery_id: int) -> None:
    """Send one delivery and write down what came of it."""
    delivery = Delivery.objects.select_related("subscription").get(pk=delivery_id)
    message_id, timestamp = f"msg_{delivery.pk}", int(time.time())
    body = json.dumps(
        {
            "type": delivery.event_type,
            "timestamp": delivery.created_at.isoformat(),
            "data": delivery.payload,
        }
    )
    content = f"{message_id}.{timestamp}.{body}".encode()
    digest = hmac.new(delivery.subscription.secret.encode(), content, hashlib.sha256).digest()
    headers = {
        "Content-Type": "application/json",
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": "v1," + base64.b64encode(digest).decode(),
    }
    attempt = Attempt(delivery=delivery, started_at=timezone.now(), request_headers=headers)
    began = time.monotonic()
    response = requests.post(
        delivery.subscription.url, data=body, headers=headers, timeout=5, allow_redirects=False
    )
    attempt.duration_ms = int((time.monotonic() - began) * 1000)
    attempt.status_code = response.status_code
    attempt.response_headers = dict(response.headers)
    attempt.response_body = response.text[:10_000]
    attempt.save()
    delivery.status = "succeeded" if response.ok else "failed"
    delivery.save()
