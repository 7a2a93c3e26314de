"""Decides what follows an attempt: another one after so many seconds, or the delivery's end.

Called by the recording of attempts, which acts on the decision. A decision is a value, chance is
passed in. Pure: it must not know models, clocks or queues.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from deliveries.sending.transport import Excuse, Outcome

JITTER = 0.2
"""Delays vary by this part either way, so that what failed together does not return together."""

RETRY_AFTER_LIMIT_SECONDS = 24 * 3600
"""A receiver may ask for patience up to a day; more is taken as a day."""

OWN_OUTAGE_DELAY_SECONDS = 15
"""Our own network is back soon or is an operator's case; nobody's schedule pays for it."""

GONE = "gone"
"""The reason for deactivating a subscription whose receiver answered 410 Gone."""

NEVER_RETRIED = frozenset({Outcome.SUCCEEDED, Outcome.BLOCKED_ADDRESS, Outcome.NOT_SENDABLE})
"""Outcomes that another attempt would only repeat."""

_STATUSES_WITH_RETRY_AFTER = frozenset({429, 503})
_STATUS_GONE = 410


@dataclass(frozen=True, slots=True)
class Retry:
    """Try again this many seconds from now; `uses_up_try` tells whether the schedule moves on."""

    delay_seconds: float
    uses_up_try: bool = True


@dataclass(frozen=True, slots=True)
class Final:
    """The delivery ends with this attempt; a `deactivate_reason` ends its subscription too."""

    deactivate_reason: str | None = None


RetryDecision = Retry | Final


def decide(
    *,
    outcome: Outcome,
    status_code: int | None,
    tries_used: int,
    schedule: tuple[int, ...],
    retry_after_seconds: int | None,
    is_redelivery: bool,
    excuse: Excuse | None = None,
    jitter: Callable[[], float],
) -> RetryDecision:
    """Decide what follows an attempt that ended.

    `tries_used` counts this one and is at least 1; `schedule` is a checked one; `jitter` gives
    0.0 to 1.0, such as `random.random`. A redelivery has one try. `Retry-After` (as parsed below)
    counts only for 429 and 503, and only lengthens the schedule's delay: an eager receiver cannot
    hurry us, and without a schedule there is nothing to lengthen. What has an `excuse` is repeated
    whatever the schedule says, and uses up no try. A worker that was interrupted
    decides nothing: the claim finds its delivery.
    """
    if outcome is Outcome.OWN_OUTAGE or excuse is Excuse.OWN_OUTAGE:
        return Retry(_jittered(OWN_OUTAGE_DELAY_SECONDS, jitter), uses_up_try=False)
    if excuse is Excuse.STALE_CONNECTION:
        return Retry(0.0, uses_up_try=False)
    if outcome is Outcome.HTTP_ERROR and status_code == _STATUS_GONE:
        return Final(deactivate_reason=GONE)
    if outcome in NEVER_RETRIED or is_redelivery or tries_used > len(schedule):
        return Final()
    delay_seconds = _jittered(schedule[tries_used - 1], jitter)
    if status_code in _STATUSES_WITH_RETRY_AFTER and retry_after_seconds is not None:
        delay_seconds = max(delay_seconds, float(retry_after_seconds))
    return Retry(delay_seconds)


def parse_retry_after(headers: bytes, now: datetime) -> int | None:
    """Return the seconds that a response's header block asks to wait, 0 to a day, or `None`.

    Takes delta-seconds and the three date forms (RFC 9110, sections 10.2.3 and 5.6.7), the first
    header if there are several. A date in the past is 0, longer than a day is a day; negative
    numbers, fractions and rubbish are `None`. `now` is aware.
    """
    found = _RETRY_AFTER.search(headers)
    if found is None:
        return None
    value = found.group(1).decode("ascii", errors="replace").strip()
    if value.isdecimal():
        # Ten digits are beyond the limit already; int() refuses thousands of them.
        return min(int(value.lstrip("0")[:10] or "0"), RETRY_AFTER_LIMIT_SECONDS)
    return _seconds_until(value, now)


def _jittered(delay_seconds: int, jitter: Callable[[], float]) -> float:
    return delay_seconds * (1 + JITTER * (2 * jitter() - 1))


def _seconds_until(http_date: str, now: datetime) -> int | None:
    try:
        moment = parsedate_to_datetime(http_date)
        if moment.tzinfo is None:  # the asctime form names no zone and means UTC
            moment = moment.replace(tzinfo=UTC)
        seconds = int((moment - now).total_seconds())
    except (ValueError, TypeError, OverflowError):
        return None
    return min(max(seconds, 0), RETRY_AFTER_LIMIT_SECONDS)


_RETRY_AFTER = re.compile(rb"^retry-after[ \t]*:([^\r\n]*)", re.IGNORECASE | re.MULTILINE)
