"""Programs that the rig starts, kills, freezes and measures: each a process group with a log.

Called by `stack` and by the faults themselves. Knows nothing of the product.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
_PROC = Path("/proc")
_LEASH = ("setpriv", "--pdeathsig", "KILL")
"""Ends a program when the rig ends, however that happens; Linux only."""


class DidNotHappen(AssertionError):
    """Something that was waited for did not come about in time."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What a process group holds."""

    memory_kb: int
    descriptors: int
    threads: int


class Program:
    """A command that can be started again and again, in a process group of its own."""

    def __init__(
        self, name: str, command: Sequence[str], *, environment: Mapping[str, str], folder: Path
    ) -> None:
        self.name = name
        self.command = list(command)
        self.environment = dict(environment)
        self.log = folder / f"{name}.log"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The group's leader."""
        assert self._process, f"{self.name} was never started"
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """Whether the leader lives; a frozen one does."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start it, unless it runs."""
        if self.is_running:
            return
        leash = _LEASH if shutil.which(_LEASH[0]) else ()
        with self.log.open("ab") as output:
            self._process = subprocess.Popen(
                [*leash, *self.command],
                cwd=ROOT,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to every process of the group; to none when all have gone."""
        try:
            os.killpg(self.pid, number)
        except ProcessLookupError:
            return

    def kill(self) -> None:
        """End the whole group at once, with no chance to tidy up."""
        if self._process is None:
            return
        self.signal(signal.SIGKILL)
        self._process.wait(10)

    def stop(self, *, within_seconds: float) -> float:
        """Ask the leader to end; return the seconds it took, or raise `DidNotHappen`."""
        if not self.is_running:
            return 0.0
        assert self._process
        began = time.monotonic()
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(within_seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise DidNotHappen(f"{self.name} was still there {within_seconds} s later") from None
        return time.monotonic() - began

    def wait(self, seconds: float) -> int:
        """Wait until it has ended by itself; return its exit status."""
        assert self._process
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise DidNotHappen(f"{self.name} did not end within {seconds} s") from None

    def freeze(self) -> None:
        """Stop the group's clocks, so to speak; `thaw` lets it go on."""
        self.signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let a frozen group go on."""
        self.signal(signal.SIGCONT)

    def said(self) -> str:
        """All that it logged so far."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def usage(self) -> Usage:
        """Measure the group now; zeros where there is no /proc to read."""
        parts = [part for pid in _members(self.pid) if (part := _usage_of(pid))]
        return Usage(
            memory_kb=sum(part.memory_kb for part in parts),
            descriptors=sum(part.descriptors for part in parts),
            threads=sum(part.threads for part in parts),
        )


def children_of(pid: int) -> list[int]:
    """Return the direct children of a process."""
    return [int(path.name) for path in _PROC.glob("[0-9]*") if _stat(path)[1:2] == [str(pid)]]


def _members(group: int) -> list[int]:
    return [int(path.name) for path in _PROC.glob("[0-9]*") if _stat(path)[2:3] == [str(group)]]


def _stat(process: Path) -> list[str]:
    """State, parent, group, …: what stands behind the program's name, which may hold spaces."""
    try:
        return (process / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []  # it has ended


def _usage_of(pid: int) -> Usage | None:
    folder = _PROC / str(pid)
    try:
        status = dict(
            line.split(":\t", 1)
            for line in (folder / "status").read_text().splitlines()
            if ":" in line
        )
        return Usage(
            memory_kb=int(status["VmRSS"].split()[0]),
            descriptors=len(os.listdir(folder / "fd")),
            threads=int(status["Threads"]),
        )
    except (OSError, KeyError):
        return None  # it has ended
