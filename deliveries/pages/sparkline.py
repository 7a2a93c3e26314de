"""Makes a small chart of successes and failures by the hour: the numbers of an SVG.

Successes stand on the line, failures hang from it: they differ by more than their colour. Pure; the
template `subscriptions/sparkline.html` draws.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

STEP: Final = 5
"""From bar to bar; a bar is one less wide."""

HEIGHT: Final = 28

_LEAST: Final = 1.5
"""Of a bar that stands for something: one failure among thousands is to be seen."""


@dataclass(frozen=True, slots=True)
class Bar:
    """An hour."""

    x: int
    top: float
    """Where the successes begin."""
    up: float
    """How high they are."""
    down: float
    """How far the failures hang down."""


@dataclass(frozen=True, slots=True)
class Sparkline:
    """The chart, and what it says in numbers."""

    bars: tuple[Bar, ...]
    line: float
    """Where successes and failures meet."""
    width: int
    succeeded: int
    failed: int


def sparkline(succeeded: Sequence[int], failed: Sequence[int]) -> Sparkline:
    """Draw two rows of counts of the same length, both on the same scale."""
    most, worst = max(succeeded, default=0), max(failed, default=0)
    unit = (HEIGHT - 2 * _LEAST) / ((most + worst) or 1)
    line = round(_LEAST + most * unit, 2) if most + worst else float(HEIGHT - 1)
    bars = tuple(
        _bar(number * STEP, line, good * unit, bad * unit)
        for number, (good, bad) in enumerate(zip(succeeded, failed, strict=True))
    )
    return Sparkline(bars, line, len(bars) * STEP, sum(succeeded), sum(failed))


def _bar(x: int, line: float, good: float, bad: float) -> Bar:
    up = round(max(good, _LEAST), 2) if good else 0.0
    down = round(max(bad, _LEAST), 2) if bad else 0.0
    return Bar(x, round(line - up, 2), up, down)
