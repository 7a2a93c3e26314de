"""Tells whether our own resolver works, so that its failures are not charged to a customer's name.

`resolve` asks when a name fails in a way that both could be guilty of: silence, or an error. The
proof is a name that cannot exist: a resolver that works says so. Pure; it is told the time.
"""

from __future__ import annotations

import secrets
from typing import Final

from deliveries.sending.dns_queries import Answer, Reply

FRESH_SECONDS: Final = 1.0
"""A proof counts for look-ups that began up to this long after it: one probe a second suffices."""

_PROOFS: Final = frozenset({Reply.ADDRESSES, Reply.NAME_NOT_FOUND, Reply.NO_ADDRESS})


class ResolverHealth:
    """The last probes and what came of them; times are seconds on the monotonic clock."""

    def __init__(self) -> None:
        self._probe = ""
        self._probe_began_at = float("-inf")
        self._proven_at = float("-inf")
        self._failed_probe_began_at = float("-inf")

    def next_probe(self, *, since: float, now: float) -> str | None:
        """Return a name to look up, if a look-up that began at `since` needs one and none is out.

        Names differ, so that no cache answers. RFC 6761, section 6.4: `.invalid` never exists.
        """
        if self._probe or self.works(since=since) or self.is_broken(since=since):
            return None
        self._probe = f"{secrets.token_hex(8)}.invalid"
        self._probe_began_at = now
        return self._probe

    def is_probe(self, host: str) -> bool:
        """Tell an answer to a probe from an answer that somebody waits for."""
        return host == self._probe

    def note(self, answer: Answer, *, now: float) -> None:
        """Take in the answer to the probe."""
        self._probe = ""
        if answer.reply in _PROOFS:
            self._proven_at = now
        else:
            self._failed_probe_began_at = self._probe_began_at

    def works(self, *, since: float) -> bool:
        """Tell whether the resolver was proven to work after `since`, or just before."""
        return self._proven_at >= since - FRESH_SECONDS

    def is_broken(self, *, since: float) -> bool:
        """Tell whether a probe failed that began after `since`, or just before."""
        return self._failed_probe_began_at >= since - FRESH_SECONDS and not self.works(since=since)
