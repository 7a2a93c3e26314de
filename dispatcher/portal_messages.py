"""Keeps what a page says after a redirect: in cookies for members, in the cache for portals.

Named in the settings (`MESSAGE_STORAGE`). Without its cache a portal is silent, and works: while
that is away, one request in some seconds waits for it.
"""

from __future__ import annotations

import json
import logging
from typing import Any, Final

from django.contrib.messages.storage.base import BaseStorage
from django.contrib.messages.storage.cookie import MessageDecoder, MessageEncoder
from django.contrib.messages.storage.fallback import FallbackStorage
from django.core.cache import cache
from django.http import HttpRequest
from redis.exceptions import RedisError

from subscriptions.breaker import Breaker

logger = logging.getLogger(__name__)

_KEPT_SECONDS: Final = 60
"""The page after the redirect shows them at once."""


def make_breaker() -> Breaker:
    """Make what keeps pages from waiting for a cache that is away."""
    return Breaker(
        logger,
        errors=(RedisError, OSError),
        away="cache unreachable, portals do not say what was done",
        back="cache reachable again, portals say what was done",
    )


breaker = make_breaker()


def storage_for(request: HttpRequest) -> BaseStorage:
    """Return where the messages of this request's visitor are kept."""
    return _InCache(request) if hasattr(request, "portal") else FallbackStorage(request)


class _InCache(BaseStorage):
    """Messages of a portal's link; browsers keep no cookies for frames of another site."""

    def _get(self, *_arguments: Any, **_options: Any) -> tuple[list[Any], bool]:
        text = breaker.ask(lambda: cache.get(self._key), default=None)
        return (json.loads(text, cls=MessageDecoder) if text else []), True

    def _store(self, messages: Any, _response: Any, *_arguments: Any, **_options: Any) -> list[Any]:
        if messages:
            text = json.dumps(messages, cls=MessageEncoder)
            breaker.ask(lambda: cache.set(self._key, text, _KEPT_SECONDS), default=None)
        else:
            breaker.ask(lambda: cache.delete(self._key), default=None)
        return []

    @property
    def _key(self) -> str:
        return f"dispatcher.portal-messages:{self.request.portal.id}"  # type: ignore[attr-defined]
