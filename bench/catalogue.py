"""All cases, in the order in which they run and are shown."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Final

from bench.cases import (
    history,
    isolation,
    latency,
    memory,
    pruning,
    publishing,
    scale_out,
    sending,
)
from bench.measurement import Figure
from bench.options import Options


@dataclass(frozen=True, slots=True)
class Case:
    """One case of the benchmark."""

    name: str
    title: str
    description: str
    """In Markdown: what its module says of it."""
    run: Callable[[Options], list[Figure]]


def _case(module: ModuleType) -> Case:
    words = (module.__doc__ or "").partition(": ")[2].strip()  # it begins with its title
    return Case(module.CASE, module.TITLE, words[:1].upper() + words[1:], module.run)


CASES: Final = {
    case.name: case
    for case in map(
        _case,
        (sending, publishing, latency, isolation, history, memory, pruning, scale_out),
    )
}
