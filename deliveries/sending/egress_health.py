"""Tells whether our own network works, so that its failures are not charged to receivers.

`egress_watch` asks when a request got no answer. Whatever any receiver answers afterwards proves
that the network works; while nobody answers, those that did lately are asked for a connection.
Pure; it is told the time, in seconds on the monotonic clock.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import Final

REMEMBERED_SECONDS: Final = 6 * 3600.0
"""How long an answer makes a receiver a witness: the longest outage of ours that is told from
receivers that are gone for good."""

WITNESSES_AT_MOST: Final = 4
"""Asked in one probe; one that can be reached is enough."""

PROBE_PAUSE_SECONDS: Final = 1.0

STRANGERS_TO_CONVINCE: Final = 3
"""Where nobody has ever answered, so many different addresses must be silent."""

STRANGERS_BELIEVED_SECONDS: Final = 3600.0
"""From the start on; longer silence of all is theirs, whoever they are."""

WAIT_FOR_STRANGERS_SECONDS: Final = 1.0

UNDECIDED_AT_MOST_SECONDS: Final = 5.0

_REMEMBERED_AT_MOST = 64

Witness = tuple[str, int]
"""An IP address and a port that answered."""


class Fault(Enum):
    """Whose fault it is that no answer came."""

    THEIRS = auto()
    OURS = auto()
    UNDECIDED = auto()
    """Ask again soon: another's answer, or a probe, will tell."""


class EgressHealth:
    """Who answered lately, who is silent since, and what the last probe found."""

    def __init__(self, *, now: float) -> None:
        self._began_at = now
        self._answered: dict[str, tuple[int, float]] = {}
        """The port and time of each address's last answer; the latest last."""
        self._last_answer_at = float("-inf")
        self._silent: set[str] = set()
        self._probe_began_at: float | None = None
        self._next_probe_at = now
        self._failed_probe_began_at = float("-inf")

    def note_answer(self, address: str, port: int, *, now: float) -> None:
        """Note that a receiver said something, whatever it was."""
        self._last_answer_at = now
        self._silent.clear()
        self._answered.pop(address, None)
        self._answered[address] = (port, now)
        if len(self._answered) > _REMEMBERED_AT_MOST:
            del self._answered[next(iter(self._answered))]

    def note_silence(self, address: str) -> None:
        """Note that a request to an address ended without an answer."""
        if len(self._silent) < STRANGERS_TO_CONVINCE:
            self._silent.add(address)

    def judge(
        self, address: str, *, failed_at: float, now: float, is_proxys_word: bool = False
    ) -> Fault:
        """Judge a request to an address that ended without an answer.

        `is_proxys_word`: the egress proxy refused or was silent. What a proxy says of one receiver
        is believed once it is seen to reach another.
        """
        if self._last_answer_at >= failed_at:
            return Fault.THEIRS
        if self._other_witnesses(address, now):
            if self._failed_probe_began_at >= failed_at:
                return Fault.OURS
            is_late = now > failed_at + UNDECIDED_AT_MOST_SECONDS
            return Fault.THEIRS if is_late else Fault.UNDECIDED
        if is_proxys_word:
            return self._judge_proxy(failed_at, now)
        if self._answered:
            return Fault.THEIRS  # the only one that ever answered: nobody else can be asked
        return self._judge_strangers(failed_at, now)

    def _judge_proxy(self, failed_at: float, now: float) -> Fault:
        """Take a proxy that has reached nobody else for broken, but not for ever."""
        if now < failed_at + WAIT_FOR_STRANGERS_SECONDS:
            return Fault.UNDECIDED
        since = max(self._began_at, self._last_answer_at)
        return Fault.OURS if now - since < STRANGERS_BELIEVED_SECONDS else Fault.THEIRS

    def _judge_strangers(self, failed_at: float, now: float) -> Fault:
        is_young = now - self._began_at < STRANGERS_BELIEVED_SECONDS
        if len(self._silent) >= STRANGERS_TO_CONVINCE and is_young:
            return Fault.OURS
        is_late = now >= failed_at + WAIT_FOR_STRANGERS_SECONDS
        return Fault.THEIRS if is_late else Fault.UNDECIDED

    def _other_witnesses(self, address: str, now: float) -> bool:
        return any(witness != address for witness, _ in self._witnesses(now))

    def _witnesses(self, now: float) -> list[Witness]:
        latest = list(self._answered.items())[-WITNESSES_AT_MOST:]
        return [
            (address, port)
            for address, (port, answered_at) in latest
            if now - answered_at < REMEMBERED_SECONDS
        ]

    def next_probe(self, *, now: float) -> list[Witness]:
        """Return whom to ask for a connection now; nobody while a probe is out, or just was."""
        if self._probe_began_at is not None or now < self._next_probe_at:
            return []
        witnesses = self._witnesses(now)
        if witnesses:
            self._probe_began_at = now
            self._next_probe_at = now + PROBE_PAUSE_SECONDS
        return witnesses

    def note_probe(self, reached: Witness | None, *, now: float) -> None:
        """Take in what a probe found: a witness that could be reached, or `None`."""
        if reached is not None:
            self.note_answer(*reached, now=now)
        elif self._probe_began_at is not None:
            self._failed_probe_began_at = self._probe_began_at
        self._probe_began_at = None
