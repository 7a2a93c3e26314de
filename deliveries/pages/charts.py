"""Turns numbers into the geometry of charts, which templates draw as SVG.

Called by pages. Drawings are `WIDTH` × `HEIGHT` and are stretched to the page's width, so that no
text stands in them. Pure: it must not know what is counted.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

WIDTH: Final = 1000
HEIGHT: Final = 200

_GAP_SHARE: Final = 0.15
"""Of a bar's place, what is left empty beside it."""

_LEAST_HEIGHT: Final = 2.0
"""One failure among thousands is seen."""


@dataclass(frozen=True, slots=True)
class Part:
    """A rectangle of a bar; `kind` is its CSS class."""

    kind: str
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Bar:
    """One place of a bar chart: parts on top of each other, and the whole place for the pointer."""

    x: float
    width: float
    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a line chart as the `d` of an SVG path; empty where nothing was measured."""

    kind: str
    path: str


def round_top(largest: float) -> float:
    """Return where an axis ends: 1, 2 or 5 times a power of ten, not below the largest value."""
    if largest <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(largest))
    return next((power * step for step in (1, 2, 5) if power * step >= largest), power * 10)


def stacked_bars(series: Mapping[str, Sequence[float]], top: float) -> list[Bar]:
    """Stack the series, the first at the bottom; all have one value for each place.

    What is not zero is at least a hair high.
    """
    columns = list(zip(*series.values(), strict=True))
    place = WIDTH / max(1, len(columns))
    return [
        Bar(
            round(number * place, 2),
            round(place, 2),
            tuple(_stack(dict(zip(series, column, strict=True)), number * place, place, top)),
        )
        for number, column in enumerate(columns)
    ]


def _stack(values: Mapping[str, float], x: float, place: float, top: float) -> list[Part]:
    """Return the parts of a bar; a large one leaves room for the small ones above it."""
    shown = {kind: value for kind, value in values.items() if value > 0}
    parts, filled = [], 0.0
    for number, (kind, value) in enumerate(shown.items(), start=1):
        room = HEIGHT - filled - _LEAST_HEIGHT * (len(shown) - number)
        height = min(max(value / top * HEIGHT, _LEAST_HEIGHT), room)
        filled += height
        parts.append(
            Part(
                kind,
                x=round(x + place * _GAP_SHARE / 2, 2),
                y=round(HEIGHT - filled, 2),
                width=round(place * (1 - _GAP_SHARE), 2),
                height=round(height, 2),
            )
        )
    return parts


def line(kind: str, values: Sequence[float | None], top: float) -> Line:
    """Draw values from left to right, each in the middle of its place.

    Where there is none the line is interrupted; a value alone is a short dash.
    """
    place = WIDTH / max(1, len(values))
    pieces, is_down = [], False
    for number, value in enumerate(values):
        if value is None:
            is_down = False
            continue
        x = (number + 0.5) * place
        y = HEIGHT - min(value / top, 1.0) * HEIGHT
        is_alone = not is_down and (number + 1 == len(values) or values[number + 1] is None)
        if is_alone:
            pieces.append(f"M{x - place / 2:.2f} {y:.2f}H{x + place / 2:.2f}")
        else:
            pieces.append(f"{'L' if is_down else 'M'}{x:.2f} {y:.2f}")
        is_down = True
    return Line(kind, "".join(pieces))
