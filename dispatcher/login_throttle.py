"""Limits failed logins: by the client's address, and by the user name from wherever it is tried.

The form is named in the settings (`UNFOLD`), the view in `urls`, before the admin's own. A login
that succeeds costs nothing; what is under way counts, so that attempts at once get no more tries.
"""

from __future__ import annotations

import hashlib
import logging
import math
import unicodedata
from http import HTTPStatus
from typing import Any, Final

from django import forms
from django.contrib import admin
from django.core.exceptions import NON_FIELD_ERRORS, ValidationError
from django.http import HttpRequest, HttpResponseBase
from django.utils.translation import ngettext
from unfold.forms import AuthenticationForm

from subscriptions.access.client_address import address_of, client_of
from subscriptions.guard.special_addresses import IPAddress
from subscriptions.rest.rate_limit import MICROSECONDS, RatePolicy
from subscriptions.rest.rate_store import Limit, give_back, take

logger = logging.getLogger(__name__)

PER_ADDRESS: Final = RatePolicy("login-per-address", burst=10, interval_us=30 * MICROSECONDS)
"""Ten wrong passwords, then two a minute: enough for a forgetful office behind one address."""

PER_NAME: Final = RatePolicy("login-per-name", burst=20, interval_us=30 * MICROSECONDS)
"""Whoever has many addresses tries a name's passwords at two a minute: 20,000 in a week."""

CODE: Final = "too_many_attempts"


class Throttled(forms.Form):
    """What a login form mixes in: after too many attempts it does not look at the password."""

    request: Any
    """The login's, as Django's own form keeps it."""
    retry_after_seconds: int | None = None
    """Set when the attempt was refused."""

    def clean(self) -> dict[str, Any]:
        """Check the name and password, or raise that there were too many attempts."""
        name = self.cleaned_data.get("username")
        if not name or not self.cleaned_data.get("password"):
            return super().clean() or {}
        limits = _limits(address_of(self.request), name)
        wait_seconds = max((said.wait_seconds for said in take(limits)), default=0)
        if wait_seconds:
            self.retry_after_seconds = wait_seconds
            logger.warning("login refused, too many attempts: address=%s", address_of(self.request))
            raise ValidationError(_sentence(wait_seconds), code=CODE)
        cleaned = super().clean()
        give_back(limits)
        return cleaned or {}


class LoginForm(Throttled, AuthenticationForm):  # type: ignore[misc]  # unfold has no types
    """The admin's."""


def login(request: HttpRequest) -> HttpResponseBase:
    """Answer as the admin does; with 429, and when to come back, if the form refused to look."""
    response: HttpResponseBase = admin.site.login(request)
    form = (getattr(response, "context_data", None) or {}).get("form")
    if isinstance(form, LoginForm) and form.has_error(NON_FIELD_ERRORS, CODE):
        response.status_code = HTTPStatus.TOO_MANY_REQUESTS
        response.headers["Retry-After"] = str(form.retry_after_seconds)
    return response


def _limits(address: IPAddress | None, name: str) -> list[Limit]:
    return [Limit(PER_ADDRESS, client_of(address)), Limit(PER_NAME, _digest_of(name))]


def _digest_of(name: str) -> str:
    """Return the name as Django compares it or wider, at a fixed length: strangers choose it."""
    folded = unicodedata.normalize("NFKC", name).casefold()
    return hashlib.sha256(folded.encode(errors="replace")).hexdigest()


def _sentence(wait_seconds: int) -> str:
    minutes = math.ceil(wait_seconds / 60)
    sentence = ngettext(
        "Too many attempts to log in. Try again in %(minutes)d minute.",
        "Too many attempts to log in. Try again in %(minutes)d minutes.",
        minutes,
    )
    return sentence % {"minutes": minutes}
