"""Runs `publisher` as a process of its own, beside what it asks; used by the cases that publish."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict

from bench.environment import unwatched
from bench.publisher import Load, Published
from tests.compose_file import ROOT


class Publishing:
    """A load that is under way."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bench.publisher", json.dumps(asdict(load))],
            cwd=ROOT,
            env=unwatched(),
            stdout=subprocess.PIPE,
        )

    def wait(self) -> Published:
        """Wait for its end; raises unless everything was taken."""
        said, _ = self._process.communicate(timeout=self._load.seconds + 60)
        if self._process.returncode:
            raise RuntimeError("the publisher failed")
        published = Published(**json.loads(said))
        if set(published.statuses) - {"200", "202"}:
            raise RuntimeError(f"not all was taken: {published.statuses}")
        return published


def publish(load: Load) -> Published:
    """Publish a load, to its end."""
    return Publishing(load).wait()
