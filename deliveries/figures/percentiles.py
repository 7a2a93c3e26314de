"""Tells percentiles of durations that were measured in groups of different weight.

Called by `stats`. Pure: it must not know what took that long.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def percentiles(
    groups: Iterable[tuple[Sequence[int], float]], ranks: Sequence[float]
) -> list[int] | None:
    """Return the value at each rank (above 0, up to 1; ascending), by the nearest-rank method.

    A group is values and what they stand for: of each group its share counts, however few of it
    were measured. `None` when there are no values at all.
    """
    weighted = [
        (value, stands_for / len(values)) for values, stands_for in groups for value in values
    ]
    if not weighted:
        return None
    weighted.sort()
    total = sum(weight for _, weight in weighted)
    found: list[int] = []
    reached = 0.0
    for value, weight in weighted:
        reached += weight
        # A little less will do: the sum of many floats is not exactly the whole.
        while len(found) < len(ranks) and reached >= ranks[len(found)] * total * (1 - 1e-9):
            found.append(value)
    return found
