"""Decides which retry schedules a subscription may carry: delays in seconds, one per retry.

Called by validation here and by the retry policy of the sending engine. Pure: it must not know
attempts or outcomes.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from subscriptions.refusal import SettingRefused, quoted

PRESETS: Mapping[str, tuple[int, ...]] = MappingProxyType(
    # The schedule that Standard Webhooks implementations have in common: about 28 hours in all.
    {"standard": (5, 300, 1_800, 7_200, 18_000, 36_000, 36_000)}
)

MIN_DELAY_SECONDS = 1
MAX_DELAY_SECONDS = 7 * 24 * 3600
"""A retry must still fall well within the thirty days that history is kept."""

LIMIT_RETRIES = 20


def check_retry_schedule(schedule: object) -> tuple[int, ...]:
    """Return the delays in seconds before each retry, or raise `SettingRefused`.

    Takes a list of whole seconds, a preset's name, or `None` or an empty list for no retries.
    """
    if schedule is None:
        return ()
    if isinstance(schedule, str):
        return _preset(schedule)
    if not isinstance(schedule, list | tuple):
        raise SettingRefused("A retry schedule is a list of seconds, or 'standard'.")
    if len(schedule) > LIMIT_RETRIES:
        raise SettingRefused(f"A retry schedule has at most {LIMIT_RETRIES} delays.")
    return tuple(_check_delay(delay) for delay in schedule)


def _preset(name: str) -> tuple[int, ...]:
    try:
        return PRESETS[name]
    except KeyError:
        raise SettingRefused(f"{quoted(name)} is not a retry schedule; try 'standard'.") from None


def _check_delay(delay: object) -> int:
    if not isinstance(delay, int) or isinstance(delay, bool):
        raise SettingRefused("Each delay of a retry schedule is a whole number of seconds.")
    if not MIN_DELAY_SECONDS <= delay <= MAX_DELAY_SECONDS:
        raise SettingRefused(
            f"Each delay of a retry schedule is {MIN_DELAY_SECONDS} to {MAX_DELAY_SECONDS} "
            "seconds (7 days)."
        )
    return delay
