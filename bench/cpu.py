"""Counts the CPU seconds of processes and of all that they started, from /proc.

Called by the cases around what they measure. Linux only: elsewhere there is no /proc to read.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")
_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class ProcessTimes:
    """A process's parent, and its CPU time in ticks with that of children it has waited for."""

    parent: int
    ticks: int


def parse_stat(text: str) -> ProcessTimes:
    """Read `/proc/<pid>/stat`: the name may hold spaces and parentheses, what follows does not."""
    fields = text.rpartition(")")[2].split()  # state, parent, …; utime is the 12th of these
    return ProcessTimes(parent=int(fields[1]), ticks=sum(map(int, fields[11:15])))


def ticks_of_tree(root: int, processes: Mapping[int, ProcessTimes]) -> int:
    """Add up a process and all its descendants; 0 when it has ended.

    A child that ended is in its parent's times once it was waited for, so PostgreSQL's backends are
    never lost: the postmaster waits for each.
    """
    children: defaultdict[int, list[int]] = defaultdict(list)
    for pid, process in processes.items():
        children[process.parent].append(pid)
    total, waiting = 0, [root]
    while waiting:
        pid = waiting.pop()
        if pid in processes:
            total += processes[pid].ticks
            waiting += children[pid]
    return total


class CpuMeter:
    """CPU seconds that named process trees take from `start` on."""

    def __init__(self, roots: Mapping[str, Iterable[int]]) -> None:
        """`roots` gives the processes of each name, such as `worker`."""
        self._roots = {name: tuple(pids) for name, pids in roots.items()}
        self._before = self._read()

    def start(self) -> None:
        """Count from now on."""
        self._before = self._read()

    def seconds(self) -> dict[str, float]:
        """Return what each took since `start`."""
        now = self._read()
        return {name: (now[name] - self._before[name]) / _TICKS_PER_SECOND for name in now}

    def _read(self) -> dict[str, int]:
        processes = _all_processes()
        return {
            name: sum(ticks_of_tree(pid, processes) for pid in pids)
            for name, pids in self._roots.items()
        }


def _all_processes() -> dict[int, ProcessTimes]:
    found = {}
    for path in _PROC.glob("[0-9]*/stat"):
        try:
            found[int(path.parent.name)] = parse_stat(path.read_text())
        except OSError:
            continue  # it has ended meanwhile
    return found


def resident_mb(pid: int) -> float:
    """Return how much memory a process holds, in MB of 2^20 bytes."""
    status = (_PROC / str(pid) / "status").read_text()
    (line,) = (line for line in status.splitlines() if line.startswith("VmRSS:"))
    return int(line.split()[1]) / 1024
