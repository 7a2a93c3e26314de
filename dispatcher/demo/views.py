"""The demo inbox: a receiver that verifies what it gets, and a page that shows it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from http import HTTPStatus

import msgspec
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods, require_safe

from dispatcher.demo.inbox import BODY_LIMIT_BYTES, Received, cut_headers, inbox
from dispatcher.demo.verify import SIGNATURE_HEADERS, VERIFIERS, NotVerified, verify
from subscriptions.models import SigningSecret
from subscriptions.secrets.encryption import decrypt
from subscriptions.secrets.signing_secrets import live_secrets

_POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'"
)
"""What strangers sent is shown here as text; were it ever more, it could load and run nothing."""


@require_safe
@never_cache
def show_all(request: HttpRequest) -> HttpResponse:
    """Show what every preset's inbox received."""
    return _page(request, preset="")


@csrf_exempt  # a receiver's callers have no session; nothing here acts in anybody's name
@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
def one_preset(request: HttpRequest, preset: str) -> HttpResponse:
    """Receive a POST and verify it; show what this preset's inbox received to a browser."""
    if preset not in VERIFIERS:
        raise Http404
    return _receive(request, preset) if request.method == "POST" else _page(request, preset=preset)


def _page(request: HttpRequest, *, preset: str) -> HttpResponse:
    if not inbox.is_open:
        raise Http404
    context = {
        "preset": preset,
        "presets": list(VERIFIERS),
        "requests": [(received, _readable(received)) for received in inbox.latest(preset)],
    }
    response = render(request, "demo/inbox.html", context)
    response.headers["Content-Security-Policy"] = _POLICY
    return response


def _receive(request: HttpRequest, preset: str) -> HttpResponse:
    if not inbox.is_open:
        raise Http404
    body = request.body
    refusal = _refusal(request, preset, body)
    inbox.add(
        Received(
            received_at=timezone.now(),
            preset=preset,
            event_type=_event_type(body),
            signature=request.headers.get(SIGNATURE_HEADERS[preset], ""),
            refusal=refusal,
            headers=cut_headers(request.headers),
            body=body[:BODY_LIMIT_BYTES].decode(errors="replace"),
            body_bytes=len(body),
            is_cut=len(body) > BODY_LIMIT_BYTES,
        )
    )
    return HttpResponse(
        refusal or "The signature is right.",
        status=HTTPStatus.UNAUTHORIZED if refusal else HTTPStatus.OK,
        content_type="text/plain; charset=utf-8",
    )


def _refusal(request: HttpRequest, preset: str, body: bytes) -> str:
    """Return why the request is not verified, or nothing where one of the secrets fits."""
    refusal = "No subscription with this URL has a signing secret."
    for secret in _secrets_of(request.path):
        try:
            verify(preset, request.headers, body, secret)
        except NotVerified as error:
            refusal = str(error)
        else:
            return ""
    return refusal


def _secrets_of(path: str) -> Iterable[str]:
    """A receiver has its secret in its configuration; this one looks up who sends to it."""
    rows = SigningSecret.objects.filter(
        subscription__url__endswith=path, subscription__deleted_at=None
    )
    return [decrypt(row.ciphertext) for row in live_secrets(rows)]


def _event_type(body: bytes) -> str:
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        return ""
    if not isinstance(content, dict):
        return ""
    name = content.get("type", content.get("event"))
    return name[:128] if isinstance(name, str) else ""


def _readable(received: Received) -> str:
    """Indent a body that is whole and JSON; its values stay as they came."""
    try:
        return msgspec.json.format(received.body.encode(), indent=2).decode()
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return received.body
