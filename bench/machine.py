"""Says what the figures were measured on: the machine, and the versions of what ran."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import pycurl

_LIBRARIES = ("django", "celery", "psycopg", "granian", "pycurl", "requests")


def describe() -> dict[str, str]:
    """Return names and values, in the order in which they are shown."""
    return {
        "Processor": f"{_processor()}, {os.cpu_count()} cores",
        "Memory": f"{_memory_gb():.0f} GB",
        "System": f"{platform.system()} {platform.release()}, {platform.machine()}",
        "Python": platform.python_version(),
        "Libraries": ", ".join(f"{name} {version(name)}" for name in _LIBRARIES),
        "libcurl": pycurl.version_info()[1],
        "PostgreSQL": "18, as it comes: fsync and synchronous_commit on, shared_buffers 128 MB",
        "Commit": _commit(),
    }


def file_system(folder: Path) -> str:
    """Return what a folder is kept on, such as `ext4` or `ext4 with discard`.

    `discard` tells the disk of everything that is deleted, and each flush waits meanwhile.
    """
    mounts = [line.split() for line in _lines("/proc/self/mounts")]
    places = {place: (kind, options) for _, place, kind, options, *_ in mounts}
    for parent in (folder.resolve(), *folder.resolve().parents):
        if found := places.get(str(parent)):
            kind, options = found
            return f"{kind} with discard" if "discard" in options.split(",") else kind
    return "an unknown file system"


def _processor() -> str:
    for line in _lines("/proc/cpuinfo"):
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or "unknown processor"


def _memory_gb() -> float:
    for line in _lines("/proc/meminfo"):
        if found := re.match(r"MemTotal:\s+(\d+) kB", line):
            return int(found[1]) / 1024**2
    return 0.0


def _lines(path: str) -> Iterator[str]:
    file = Path(path)
    if file.exists():
        yield from file.read_text().splitlines()


def _commit() -> str:
    asked = subprocess.run(
        ["git", "describe", "--always", "--dirty"],  # noqa: S607  # wherever it is installed
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        check=False,
    )
    return asked.stdout.strip() or "unknown"
