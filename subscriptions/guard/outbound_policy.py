"""Which addresses may be contacted from this installation: the address guard's rules, by settings.

Called when a URL is saved, and by the sending engine for every attempt: both judge alike.
"""

from __future__ import annotations

from django.conf import settings

from subscriptions.guard.address_guard import AddressPolicy
from subscriptions.guard.own_addresses import is_own_address


def address_policy() -> AddressPolicy:
    """Return which addresses may be contacted from this installation."""
    return AddressPolicy(
        allowed_networks=settings.DISPATCHER_ALLOWED_NETWORKS,
        is_own=is_own_address,
        refused_networks=settings.DISPATCHER_REFUSED_NETWORKS,
    )
