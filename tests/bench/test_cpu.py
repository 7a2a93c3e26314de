"""CPU seconds of process trees, those of children that ended included."""

from __future__ import annotations

import os
import subprocess
import sys

from bench.cpu import CpuMeter, ProcessTimes, parse_stat, resident_mb, ticks_of_tree

BURN = "import time\nwhile time.process_time() < 0.3: pass"


def test_a_name_with_spaces_and_parentheses_is_read() -> None:
    numbers = " ".join(str(n) for n in range(5, 60))  # the fields from the fifth on
    assert parse_stat(f"42 (a (b) c) S 7 {numbers}") == ProcessTimes(7, 14 + 15 + 16 + 17)


def test_a_tree_is_a_process_and_all_below_it() -> None:
    processes = {
        1: ProcessTimes(0, 1000),
        10: ProcessTimes(1, 1),
        11: ProcessTimes(10, 2),
        12: ProcessTimes(11, 4),
        20: ProcessTimes(1, 100),
    }
    assert ticks_of_tree(10, processes) == 7
    assert ticks_of_tree(99, processes) == 0


def test_a_child_that_ended_counts_once_it_was_waited_for() -> None:
    meter = CpuMeter({"here": [os.getpid()], "nowhere": []})
    subprocess.run([sys.executable, "-c", BURN], check=True)
    seconds = meter.seconds()
    assert seconds["here"] >= 0.29
    assert seconds["nowhere"] == 0.0
    meter.start()
    assert meter.seconds()["here"] < 0.29


def test_memory_is_told_in_megabytes() -> None:
    assert 5 < resident_mb(os.getpid()) < 5_000
