"""Runs a page's commands as they are written, in one shell per page.

What differs from a reader's terminal: ports are free ones, `curl` fails on an error answer, a
server goes to the background, and values that a page leaves to the reader (`KEY=whd_…`) are filled
in from what was printed before.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.docs.pages import ROOT, Block

_PLACEHOLDER = re.compile(r"^(\w+)=\S*….*\n", re.MULTILINE)
_END = "-- end of block --"
_PRELUDE = """
set -eu
trap 'kill $(jobs -p) 2>/dev/null; wait' EXIT
curl() { command curl --silent --show-error --fail-with-body --noproxy '*' "$@"; }
"""
_WAIT_FOR_PORT = "until (exec 3<>/dev/tcp/127.0.0.1/%s) 2>/dev/null; do sleep 0.05; done"
_SERVER = "python3 docs/how-to/verify/receiver.py"
_COPIED = {
    "SUBSCRIPTION": r"\bsub_\w+",
    "DELIVERY": r"\bdlv_\w+",
    "RECOVERY": r"\brcv_\w+",
    "SECRET": r"\bwhsec_[\w+/]+=*",
}
"""What a reader would copy out of an answer, and how it looks."""


class Shell:
    """One bash in the repository's root, which keeps its variables from block to block."""

    def __init__(self, values: Mapping[str, str], ports: Mapping[int, int], log: Path) -> None:
        self._values = dict(values)
        self._ports = ports
        self.log = log
        """What a server that the page starts has written."""
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        self._bash = subprocess.Popen(
            ["bash"],
            cwd=ROOT,
            env=os.environ | {"PATH": path, "PYTHONDONTWRITEBYTECODE": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._say(_PRELUDE)

    def run(self, block: Block) -> str:
        """Run a block and return what it printed; asserts that every command succeeded."""
        commands = self._prepared(block.text)
        if commands.startswith(_SERVER):
            waiting = _WAIT_FOR_PORT % commands.split()[-1]
            commands = f"{commands.rstrip()} >{self.log} 2>&1 &\n{waiting}\n"
        self._say(f"{commands}\nprintf '\\n{_END}\\n'\n")
        printed, has_ended = self._read()
        assert has_ended, f"{block.page}:{block.line}\n{block.text}\n{printed}"
        for name, pattern in _COPIED.items():
            if found := re.search(pattern, printed):
                self._values[name] = found[0]
        return printed

    def close(self) -> None:
        """End the shell, and what it has started."""
        assert self._bash.stdin is not None
        assert self._bash.stdout is not None
        self._bash.stdin.close()
        self._bash.wait(30)
        self._bash.stdout.close()

    def _prepared(self, text: str) -> str:
        """Return a block's commands with this run's ports and the reader's values."""
        text = _PLACEHOLDER.sub(lambda found: f"{found[1]}='{self._values[found[1]]}'\n", text)
        for shown, real in self._ports.items():
            text = re.sub(rf"\b{shown}\b", str(real), text)
        return text

    def _say(self, commands: str) -> None:
        assert self._bash.stdin is not None
        self._bash.stdin.write(commands)
        self._bash.stdin.flush()

    def _read(self) -> tuple[str, bool]:
        assert self._bash.stdout is not None
        lines: list[str] = []
        for line in iter(self._bash.stdout.readline, ""):
            if line.rstrip("\n") == _END:
                return "".join(lines), True
            lines.append(line)
        return "".join(lines), False
