"""The signature debugger: a request as it was received, and what is wrong with it, step by step.

Secrets that are given stay in the request: they are not stored, not logged and not shown again.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, ClassVar, Final

from django.http import HttpRequest, HttpResponse
from django.utils.cache import add_never_cache_headers
from django.utils.decorators import method_decorator
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_post_parameters, sensitive_variables

from deliveries.costly_requests import SIGNATURE_CHECKS, Busy, turn
from deliveries.history.deliveries import (
    attempts_of,
    deliveries_of,
    header_fields,
    request_body_of,
)
from deliveries.models import Attempt, Event
from deliveries.pages.signature_words import steps_of
from deliveries.sending.signature_check import GIVEN, Request, check, schemes_in
from deliveries.sending.signature_variants import Secret
from deliveries.sending.signing import Headers
from subscriptions.ids import CLOCKS_APART, first_id_of, from_public, to_public
from subscriptions.models import Subscription
from subscriptions.pages.project_page import EDITOR, ProjectPage
from subscriptions.secrets.known_secrets import KnownSecret, known_secrets

_HEADERS_LIMIT: Final = 64 * 1024
_BODY_LIMIT: Final = 320 * 1024
"""Characters. Events have 256 KiB as delivered, and some bytes around them."""
_SECRET_LIMIT: Final = 512

_LIMIT_HEADERS: Final = 200
"""Servers take 100 as a rule."""

_ID_HEADERS: Final = frozenset({"webhook-id", "x-github-delivery"})
_SCHEME_UNLESS_SEEN: Final = "standard"


@dataclass(frozen=True, slots=True)
class _Pasted:
    """What was filled in, less the secret."""

    subscription: str = ""
    headers: str = ""
    body: str = ""
    computed: str = ""
    errors: dict[str, str] = field(default_factory=dict)


@method_decorator(sensitive_post_parameters("secret"), name="dispatch")
class SignatureDebuggerPage(ProjectPage):
    """`signature-debugger`."""

    template_name = "signature_debugger.html"
    roles: ClassVar = {"GET": EDITOR, "POST": EDITOR}
    section = "signature-debugger-page"

    def context(self, request: HttpRequest) -> dict[str, Any]:
        """Return the empty form, with the subscription that a link names."""
        return self._form(_Pasted(subscription=request.GET.get("subscription", "")))

    @sensitive_variables("secret", "secrets")
    def post(self, request: HttpRequest, **_path: str) -> HttpResponse:
        """Check what was pasted."""
        secret = request.POST.get("secret", "").strip()
        subscription = self._chosen(request.POST.get("subscription", ""))
        pasted, headers = _read(request, subscription, secret)
        if pasted.errors:
            return self.show(
                self.template_name, self._form(pasted), HTTPStatus.UNPROCESSABLE_ENTITY
            )
        secrets = self._secrets(subscription, secret)
        received = Request(headers, pasted.body.encode(errors="replace"))
        schemes = subscription.signature_schemes if subscription else schemes_in(received.headers)
        try:
            with turn(self.project, SIGNATURE_CHECKS, owner=self.figures_owner):
                reports = check(
                    schemes or [_SCHEME_UNLESS_SEEN],
                    received,
                    secrets,
                    now_seconds=int(time.time()),
                    sent=self._sent(received, subscription),
                    computed=pasted.computed,
                )
        except Busy as busy:
            return self._try_again(pasted, busy.wait_seconds)
        shown = [(report.scheme, report.is_good, steps_of(report)) for report in reports]
        response = self.show(self.template_name, self._form(pasted) | {"reports": shown})
        add_never_cache_headers(response)
        return response

    def _try_again(self, pasted: _Pasted, wait_seconds: int) -> HttpResponse:
        context = self._form(pasted) | {"wait_seconds": wait_seconds}
        response = self.show(self.template_name, context, HTTPStatus.TOO_MANY_REQUESTS)
        response["Retry-After"] = str(wait_seconds)
        add_never_cache_headers(response)
        return response

    def _form(self, pasted: _Pasted) -> dict[str, Any]:
        subscriptions = self.subscriptions.order_by("-id").only("id", "url", "description")
        return {"pasted": pasted, "subscriptions": list(subscriptions)}

    def _chosen(self, public_id: str) -> Subscription | None:
        identifier = from_public("sub", public_id)
        if identifier is None:
            return None
        subscription = self.subscriptions.filter(pk=identifier).first()
        if subscription is not None:
            subscription.project = self.project
        return subscription

    @sensitive_variables("given", "known", "secrets")
    def _secrets(self, subscription: Subscription | None, given: str) -> list[Secret]:
        known: list[KnownSecret] = []
        if subscription is not None:
            known = known_secrets(subscription, with_default=self.may_use_default_secret)
        secrets = [Secret(each.name, each.text, each.signs) for each in known]
        if given:
            secrets.append(Secret(GIVEN, given, is_right=subscription is None))
        return secrets

    def _sent(self, received: Request, subscription: Subscription | None) -> Request | None:
        """Return the stored request that the id header names; of several attempts the same one."""
        ids = [value for name, value in received.headers if name.lower() in _ID_HEADERS]
        event_id = from_public("evt", ids[0].strip()) if ids else None
        events = Event.objects.filter(project=self.project)
        event = None if event_id is None else events.filter(id=event_id).first()
        if event is None:
            return None
        since = first_id_of(event.created_at - CLOCKS_APART)
        deliveries = deliveries_of(self.project).filter(event_id=event.id, id__gte=since)
        visible = [subscription] if subscription else self.subscriptions_ever
        delivery = deliveries.filter(subscription__in=visible).order_by("-id").first()
        if delivery is None:
            return None
        attempt = _same(attempts_of(delivery), received)
        body = None if attempt is None else request_body_of(attempt, event)
        if attempt is None or body is None:
            return None
        return Request(tuple(header_fields(attempt.request_headers)), body.encode())


@sensitive_variables("secret")
def _read(
    request: HttpRequest, subscription: Subscription | None, secret: str
) -> tuple[_Pasted, Headers]:
    """Return what was filled in, and its headers; too long a text is not looked into."""
    headers, body = request.POST.get("headers", ""), request.POST.get("body", "")
    errors = {}
    is_long = len(headers) > _HEADERS_LIMIT
    fields = () if is_long else _headers(headers)
    if is_long or len(fields) > _LIMIT_HEADERS:
        errors["headers"] = _("These headers are too long.")
    elif not fields:
        errors["headers"] = _("Paste the headers, one to a line, as in “webhook-id: evt_…”.")
    if len(body) > _BODY_LIMIT:
        errors["body"] = _("This body is too long.")
    if subscription is None and not secret:
        errors["subscription"] = _("Choose a subscription, or give a secret.")
    if len(secret) > _SECRET_LIMIT:
        errors["secret"] = _("This secret is too long.")
    pasted = _Pasted(
        "" if subscription is None else to_public("sub", subscription.id),
        headers,
        body.replace("\r\n", "\n"),  # how browsers send any line break of a form
        request.POST.get("computed", "")[:_SECRET_LIMIT],
        errors,
    )
    return pasted, fields


def _headers(text: str) -> Headers:
    """Read headers as they are pasted: lines, or an object as frameworks log it."""
    text = text.strip()
    if text.startswith("{"):
        try:
            pairs = json.loads(text).items()
        except (ValueError, RecursionError):
            return ()
        return tuple((str(name), _first(value)) for name, value in pairs)
    fields = header_fields(text)
    return tuple((name.strip(), value) for name, value in fields if " " not in name.strip())


def _first(value: object) -> str:
    """Some frameworks keep a list of values for each name."""
    return str(value[0]) if isinstance(value, list) and value else str(value)


def _same(attempts: Iterable[Attempt], received: Request) -> Attempt | None:
    """Return the attempt that sent most of these headers, the latest of equals."""
    given = {(name.lower(), value.strip()) for name, value in received.headers}
    best, most = None, -1
    for attempt in attempts:
        fields = header_fields(attempt.request_headers)
        alike = len(given & {(name.lower(), value.strip()) for name, value in fields})
        if fields and alike >= most:
            best, most = attempt, alike
    return best
