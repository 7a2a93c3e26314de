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
from ipaddress import IPv6Address, IPv6Network
from typing import Any, Final

from django.contrib import admin
from django.core.exceptions import NON_FIELD_ERRORS, ValidationError
from django.http import HttpRequest, HttpResponseBase
from unfold.forms import AuthenticationForm

from subscriptions.client_address import IPAddress, address_of
from subscriptions.rate_limit import MICROSECONDS, RatePolicy
from subscriptions.rate_store import Limit, give_back, take

logger = logging.getLogger(__name__)

PER_ADDRESS: Final = RatePolicy("login-per-address", burst=10, interval_us=30 * MICROSECONDS)
"""Ten wrong passwords, then two a minute: enough for a forgetful office behind one address."""

PER_NAME: Final = RatePolicy("login-per-name", burst=20, interval_us=30 * MICROSECONDS)
"""Whoever has many addresses tries a name's passwords at two a minute: 20,000 in a week."""

_CODE: Final = "too_many_attempts"


class LoginForm(AuthenticationForm):  # type: ignore[misc]  # unfold has no types
    """The admin's form, which does not look at the password once there were too many attempts."""

    retry_after_seconds: int | None = None
    """Set when the attempt was refused."""

    def clean(self) -> dict[str, Any]:
        """Check the name and password, or raise that there were too many attempts."""
        name = self.cleaned_data.get("username")
        if not name or not self.cleaned_data.get("password"):
            return super().clean()  # type: ignore[no-any-return]  # unfold has no types
        limits = _limits(address_of(self.request), name)
        wait_seconds = max((said.wait_seconds for said in take(limits)), default=0)
        if wait_seconds:
            self.retry_after_seconds = wait_seconds
            logger.warning("login refused, too many attempts: address=%s", address_of(self.request))
            raise ValidationError(_sentence(wait_seconds), code=_CODE)
        cleaned = super().clean()
        give_back(limits)
        return cleaned  # type: ignore[no-any-return]  # unfold has no types


def login(request: HttpRequest) -> HttpResponseBase:
    """Answer as the admin does; with 429, and when to come back, if the form refused to look."""
    response: HttpResponseBase = admin.site.login(request)
    form = (getattr(response, "context_data", None) or {}).get("form")
    if isinstance(form, LoginForm) and form.has_error(NON_FIELD_ERRORS, _CODE):
        response.status_code = HTTPStatus.TOO_MANY_REQUESTS
        response.headers["Retry-After"] = str(form.retry_after_seconds)
    return response


def _limits(address: IPAddress | None, name: str) -> list[Limit]:
    return [Limit(PER_ADDRESS, _network_of(address)), Limit(PER_NAME, _digest_of(name))]


def _network_of(address: IPAddress | None) -> str:
    """Return what one client has: an IPv4 address, or all of an IPv6 network of 64 bits."""
    if isinstance(address, IPv6Address):
        return str(IPv6Network((int(address), 64), strict=False))
    return str(address)


def _digest_of(name: str) -> str:
    """Return the name as Django compares it or wider, at a fixed length: strangers choose it."""
    folded = unicodedata.normalize("NFKC", name).casefold()
    return hashlib.sha256(folded.encode(errors="replace")).hexdigest()


def _sentence(wait_seconds: int) -> str:
    minutes = math.ceil(wait_seconds / 60)
    return f"Too many attempts to log in. Try again in {minutes} minute{'s' * (minutes > 1)}."
