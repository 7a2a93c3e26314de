"""Requests that the vendors' own libraries signed, and the signature debugger's word on them."""

from __future__ import annotations

import base64
import hashlib
import hmac
from datetime import UTC, datetime

import stripe
from gidgethub.sansio import validate_event
from standardwebhooks.webhooks import Webhook

from deliveries.sending.signature_check import (
    Code,
    Report,
    Request,
    Verdict,
    check,
)
from deliveries.sending.signature_variants import Deviation, Secret

NOW = 1_700_000_000
ID = "evt_0190b6b0000070008000000000000001"
BODY = '{"type":"order.paid","data":{"total":1.50,"name":"Zoë","url":"https://a.test/b"}}'.encode()
SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()
OTHER = "whsec_" + base64.b64encode(bytes(range(32, 64))).decode()
NEWEST = Secret("newest", SECRET)


def by_standard_webhooks(secret: str = SECRET, body: bytes = BODY, at: int = NOW) -> Request:
    signature = Webhook(secret).sign(ID, datetime.fromtimestamp(at, UTC), body.decode())
    headers = (("Webhook-Id", ID), ("Webhook-Timestamp", str(at)), ("Webhook-Signature", signature))
    return Request(headers, body)


def by_stripe(secret: str = SECRET, body: bytes = BODY) -> Request:
    signature = stripe.WebhookSignature._compute_signature(f"{NOW}.{body.decode()}", secret)
    return Request((("Stripe-Signature", f"t={NOW},v1={signature}"),), body)


def by_github(secret: str = SECRET, body: bytes = BODY) -> Request:
    signature = "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    validate_event(body, signature=signature, secret=secret)  # raises where it is wrong
    return Request((("X-Hub-Signature-256", signature), ("X-GitHub-Delivery", ID)), body)


def judged(request: Request, scheme: str = "standard", **options: object) -> Report:
    given = {"secrets": [NEWEST], "now_seconds": NOW} | options
    (report,) = check([scheme], request, **given)  # type: ignore[arg-type]  # of these options
    return report


def codes(report: Report) -> set[Code]:
    return {finding.code for finding in report.findings}


def bad(report: Report) -> list[Code]:
    return [finding.code for finding in report.findings if finding.verdict is Verdict.BAD]


def deviations(report: Report) -> tuple[Deviation, ...]:
    (found,) = [finding.deviations for finding in report.findings if finding.deviations]
    return found
