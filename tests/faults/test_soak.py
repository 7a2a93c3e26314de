"""How the soak judges what processes held: growth is found, and an allocator's noise is none."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.processes import ROOT, Usage
from tests.faults.soak import Sample, judge, slope
from tests.faults.stack import EmbeddedStack


def held(memory_kb: Callable[[int], float], *, per_second: int = 60) -> list[Sample]:
    """Twenty minutes of samples, by the memory after so many seconds."""
    return [
        Sample(float(at), at * per_second, Usage(int(memory_kb(at)), descriptors=40, threads=12))
        for at in range(0, 1200, 10)
    ]


def test_steady_growth_is_over_the_bound_and_told_per_million_events() -> None:
    figures, problems = judge("web", held(lambda at: 100_000 + at * 2048 / 3600))
    assert "+2.00 MB/h (+9.3 MB per million events)" in figures
    assert problems == ["web grows by 2.00 MB an hour"]


def test_growth_in_steps_is_growth() -> None:
    _, problems = judge("web", held(lambda at: 100_000 + at // 200 * 200))
    assert len(problems) == 1


@pytest.mark.parametrize("sawtooth_kb", [100, 300])
def test_garbage_that_comes_and_goes_is_no_growth(sawtooth_kb: int) -> None:
    _, problems = judge("web", held(lambda at: 100_000 + sawtooth_kb * (at % 170) / 170))
    assert problems == []


def test_one_sample_amid_a_burst_is_no_growth() -> None:
    _, problems = judge("web", held(lambda at: 150_000 if at == 1190 else 100_000))
    assert problems == []


def test_points_at_one_time_have_no_slope() -> None:
    assert slope([(1.0, 5.0), (1.0, 7.0)]) == 0.0


def test_processes_are_given_the_allocator_settings_of_the_image(tmp_path: Path) -> None:
    value = EmbeddedStack(tmp_path).environment["MALLOC_ARENA_MAX"]
    assert f"MALLOC_ARENA_MAX={value} " in (ROOT / "Dockerfile").read_text()
