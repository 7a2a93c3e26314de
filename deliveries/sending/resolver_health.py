"""Tells whether our own resolver works, so that its failures are not charged to a customer's name.

`resolve` asks when a name fails in a way that both could be guilty of: silence, or an error. The
proof is a name that cannot exist: a resolver that works says so. Pure; it is told the time.
In doubt the fault is ours: that costs a repeated attempt, the other a customer's subscription.
"""

from __future__ import annotations

import secrets
from typing import Final

from deliveries.sending.dns_queries import Answer, Reply

ANSWERED_WITHIN_SECONDS: Final = 0.75
"""A probe without an answer for longer has failed: its first query was lost, and the next one too.
What comes later tells of a resolver that is back, not of one that was there."""

FRESH_SECONDS: Final = 1.0
"""How long ago a probe may have been sent that proves something."""

PROBE_EVERY_SECONDS: Final = 0.5
"""While look-ups are silent: one probe that is lost leaves another that is fresh."""

PAUSE_SECONDS: Final = 0.2
"""Between probes, even if a look-up began after the last one."""

_PROOFS: Final = frozenset({Reply.ADDRESSES, Reply.NAME_NOT_FOUND, Reply.NO_ADDRESS})

_NEVER: Final = float("-inf")


class ResolverHealth:
    """The last probes and what came of them; times are seconds on the monotonic clock.

    Answers to other names prove nothing: the hosts file or somebody's cache may have given them.
    """

    def __init__(self) -> None:
        self._probe = ""
        self._probe_sent_at = _NEVER
        self._proof_sent_at = _NEVER
        """When the last probe was sent that was answered."""
        self._failing_at = _NEVER
        """When a probe that failed was last out."""

    def next_probe(self, *, since: float, now: float) -> str | None:
        """Return a name to look up, if that is due for a look-up that began at `since`.

        Names differ, so that no cache answers. RFC 6761, section 6.4: `.invalid` never exists.
        """
        self._give_up_slow_probe(now)
        has_one_of_its_own = self._probe_sent_at >= since
        pause_seconds = PROBE_EVERY_SECONDS if has_one_of_its_own else PAUSE_SECONDS
        if self._probe or now < self._probe_sent_at + pause_seconds:
            return None
        self._probe = f"{secrets.token_hex(8)}.invalid"
        self._probe_sent_at = now
        return self._probe

    def is_probe(self, host: str) -> bool:
        """Tell an answer to a probe from an answer that somebody waits for."""
        return host == self._probe

    def note(self, answer: Answer, *, now: float) -> None:
        """Take in the answer to the probe, which came at `now`."""
        self._give_up_slow_probe(now)
        if not self._probe:
            return
        self._probe = ""
        if answer.reply in _PROOFS:
            self._proof_sent_at = self._probe_sent_at
        else:
            self._failing_at = now

    def is_proven(self, *, since: float, now: float) -> bool:
        """Tell whether a probe was answered that was sent after `since`, within the last second."""
        return self._proof_sent_at >= max(since, now - FRESH_SECONDS)

    def works(self, *, now: float) -> bool:
        """Tell whether a probe was answered within the last second, and none has failed since."""
        self._give_up_slow_probe(now)
        return self._proof_sent_at > self._failing_at and self.is_proven(since=_NEVER, now=now)

    def was_broken(self, *, since: float, now: float) -> bool:
        """Tell whether a probe that failed was out at any time after `since`."""
        self._give_up_slow_probe(now)
        return self._failing_at >= since

    def _give_up_slow_probe(self, now: float) -> None:
        """Count a probe as failed, so that the next one can be sent."""
        given_up_at = self._probe_sent_at + ANSWERED_WITHIN_SECONDS
        if self._probe and now > given_up_at:
            self._probe = ""
            self._failing_at = given_up_at
