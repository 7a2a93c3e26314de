"""Lays out where the time of an attempt went: numbers for a table whose bars are SVG.

Called by `attempt_view`. Pure: the template draws.
"""

from __future__ import annotations

from dataclasses import dataclass

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from deliveries.models import Attempt

_LEAST_WIDTH = 0.6
"""Percent: a phase of 0 ms is still to be seen."""


@dataclass(frozen=True, slots=True)
class Bar:
    """One phase, or all of them together."""

    name: Promise
    kind: str
    """For its colour: `dns`, `connect`, `tls`, `first-byte`, `rest` or `total`."""
    milliseconds: int
    left: str
    width: str
    """In percent of the whole, as SVG takes it: `12.5`."""


def waterfall(attempt: Attempt) -> list[Bar]:
    """Return a bar for each phase that took place, one after the other, and one for the total."""
    phases = [
        (_("DNS"), "dns", attempt.dns_ms),
        (_("Connect"), "connect", attempt.connect_ms),
        (_("TLS"), "tls", attempt.tls_ms),
        (_("First byte"), "first-byte", attempt.first_byte_ms),
    ]
    known = [(name, kind, length) for name, kind, length in phases if length is not None]
    rest = attempt.duration_ms - sum(length for _name, _kind, length in known)
    if rest > 0 and (known or attempt.duration_ms):
        has_answer = attempt.first_byte_ms is not None
        known.append((_("Rest of the answer") if has_answer else _("Until it ended"), "rest", rest))
    whole = max(attempt.duration_ms, sum(length for _name, _kind, length in known), 1)
    bars = []
    begun = 0
    for name, kind, length in known:
        bars.append(_bar(name, kind, length, begun=begun, whole=whole))
        begun += length
    total = _bar(_("Total"), "total", attempt.duration_ms, begun=0, whole=whole)
    return [*bars, total]


def _bar(name: Promise, kind: str, length: int, *, begun: int, whole: int) -> Bar:
    width = max(_LEAST_WIDTH, 100 * length / whole)
    left = min(100 * begun / whole, 100 - width)
    return Bar(name, kind, length, f"{left:.2f}", f"{width:.2f}")
