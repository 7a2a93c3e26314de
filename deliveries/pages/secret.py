"""Reveals, rotates and ends the overlap of a subscription's signing secret, from its page.

A secret forges requests: it is shown in one answer only, which nobody may store, and never in an
address, a message or a log line.
"""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import ClassVar

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.utils.cache import add_never_cache_headers
from django.utils.translation import gettext as _

from deliveries.pages.subscription import SubscriptionPage
from subscriptions.ids import to_public
from subscriptions.models import Subscription
from subscriptions.pages.project_page import EDITOR
from subscriptions.secrets import secret_rotation
from subscriptions.secrets.encryption import SecretUnreadable
from subscriptions.secrets.secret_rotation import (
    LONGEST_OVERLAP_HOURS,
    NoSecret,
    OverlapUnderWay,
)

logger = logging.getLogger(__name__)


class _OfSecret(SubscriptionPage):
    """A POST about the subscription's own secret."""

    http_method_names = ["post"]
    roles: ClassVar = {"POST": EDITOR}

    def post(self, request: HttpRequest, **_path: str) -> HttpResponse:
        """Do it, or say why it cannot be done."""
        subscription = self.find_subscription()
        if subscription.uses_default_secret:
            messages.error(request, _("The project’s default secret signs these requests."))
            return self.back(subscription)
        try:
            return self.do(request, subscription)
        except (NoSecret, SecretUnreadable) as error:
            name = to_public("sub", subscription.id)
            logger.error("secret unreadable subscription=%s: %s", name, error)
            messages.error(request, _("The secret cannot be read: tell who runs this service."))
            return self.back(subscription)

    def do(self, request: HttpRequest, subscription: Subscription) -> HttpResponse:
        """Do what the address says."""
        raise NotImplementedError


class SecretReveal(_OfSecret):
    """`…/secret/reveal`: shows it once; the audit log says who has seen it."""

    def do(self, _request: HttpRequest, subscription: Subscription) -> HttpResponse:
        """Answer with the secret."""
        state = secret_rotation.reveal(subscription)
        response = self.answer("secret", subscription, revealed=state.secret)
        add_never_cache_headers(response)
        return response


class SecretRotation(_OfSecret):
    """`…/secret/rotate`: a new one signs, and for some hours the one before it, too."""

    def do(self, request: HttpRequest, subscription: Subscription) -> HttpResponse:
        """Rotate; the new one is to be revealed then, so that reloading does nothing."""
        given = request.POST.get("overlap_hours", "")
        hours = int(given) if given.isascii() and given.isdigit() and len(given) < 4 else -1
        if not 0 <= hours <= LONGEST_OVERLAP_HOURS:
            error = _("Give whole hours from 0 to %(most)d.") % {"most": LONGEST_OVERLAP_HOURS}
            return self._refuse(subscription, given, error)
        try:
            secret_rotation.rotate(subscription, overlap_hours=hours)
        except OverlapUnderWay:
            error = _(
                "The secret before this one signs still. End the overlap first, or rotate with 0 "
                "hours."
            )
            return self._refuse(subscription, given, error)
        messages.success(request, _("A new secret signs. Reveal it, and give it to the receiver."))
        return self.back(subscription)

    def _refuse(self, subscription: Subscription, given: str, error: str) -> HttpResponse:
        return self.show(
            self.template_name,
            self.pieces(subscription, overlap_hours=given, overlap_error=error),
            HTTPStatus.UNPROCESSABLE_ENTITY,
        )


class SecretOverlapEnd(_OfSecret):
    """`…/secret/end-overlap`: only the newest signs from now on."""

    def do(self, request: HttpRequest, subscription: Subscription) -> HttpResponse:
        """End it."""
        secret_rotation.end_overlap(subscription)
        messages.success(request, _("Only the newest secret signs from now on."))
        return self.back(subscription)
