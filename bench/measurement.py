"""What a case returns: figures, each the median of some runs, held against what it shall be.

Made by `cases`, kept by `results`, shown by `page`. Pure: it must not know what is measured.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class Target:
    """What a figure shall be at least, or at most."""

    sign: Literal["≥", "≤"]
    limit: float
    is_of_value: bool = False
    """Whether it is the value's, though there is a ratio."""

    def is_met_by(self, value: float) -> bool:
        """Say whether a value is within the target."""
        return value >= self.limit if self.sign == "≥" else value <= self.limit

    def __str__(self) -> str:
        return f"{self.sign} {self.limit:,g}"


def at_least(limit: float) -> Target:
    """Make the target of what shall be high."""
    return Target("≥", limit)


def at_most(limit: float) -> Target:
    """Make the target of what shall be low."""
    return Target("≤", limit)


@dataclass(frozen=True, slots=True)
class Figure:
    """One row of the table."""

    case: str
    metric: str
    unit: str
    value: float
    """The median of the runs."""
    lowest: float
    highest: float
    runs: int
    compared_with: str = ""
    """What the ratio is to, measured in the same run; empty where the value stands for itself."""
    ratio: float | None = None
    ratio_lowest: float | None = None
    ratio_highest: float | None = None
    target: str = ""
    met: bool | None = None
    note: str = ""
    measured_at: str = field(
        default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds")
    )

    @property
    def key(self) -> tuple[str, str]:
        """What tells it from all others."""
        return self.case, self.metric


def figure(
    case: str,
    metric: str,
    samples: Sequence[float],
    *,
    unit: str,
    target: Target | None = None,
    note: str = "",
) -> Figure:
    """Return the figure of some runs' values, which stands for itself."""
    value = statistics.median(samples)
    return Figure(
        case=case,
        metric=metric,
        unit=unit,
        note=note,
        **_spread(samples),
        **_verdict(target, value),
    )


def compared(
    case: str,
    metric: str,
    samples: Sequence[float],
    *,
    unit: str,
    yardstick: str,
    against: Sequence[float],
    target: Target | None = None,
    note: str = "",
) -> Figure:
    """Return the figure of some runs' values, each divided by the yardstick's of the same round.

    The ratio is the median of those, so that what slowed the machine for one round slowed both.
    The target is the ratio's unless it says otherwise.
    """
    ratios = [value / other for value, other in zip(samples, against, strict=True)]
    value, ratio = statistics.median(samples), statistics.median(ratios)
    return Figure(
        case=case,
        metric=metric,
        unit=unit,
        compared_with=f"{yardstick}: {number(statistics.median(against))} {unit}",
        ratio=ratio,
        ratio_lowest=min(ratios),
        ratio_highest=max(ratios),
        note=note,
        **_spread(samples),
        **_verdict(target, value if target and target.is_of_value else ratio),
    )


def _spread(samples: Sequence[float]) -> dict[str, Any]:
    return {
        "value": statistics.median(samples),
        "lowest": min(samples),
        "highest": max(samples),
        "runs": len(samples),
    }


def _verdict(target: Target | None, value: float) -> dict[str, Any]:
    return {} if target is None else {"target": str(target), "met": target.is_met_by(value)}


def number(value: float) -> str:
    """Write a number with three significant digits, and never in powers of ten."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def percentile(values: Sequence[float], percent: float) -> float:
    """Return what so many percent of the values are at most (nearest rank); raises on none."""
    if not values:
        raise ValueError("There is no percentile of nothing.")
    ranked = sorted(values)
    rank = max(1, -(-len(ranked) * percent // 100))  # rounded up
    return ranked[int(rank) - 1]
