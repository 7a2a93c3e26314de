"""Asks the public database of vulnerabilities about every pinned dependency, by `pip-audit`.

Part of `make check`. Where the network does not lead there it says so, and that is no failure: a
check must not depend on it. What is known to be vulnerable is.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

LOCK = Path(__file__).resolve().parent / "dev.txt"

PATIENCE_SECONDS = 60


def main() -> None:
    """Print what was found; exit with 1 when a pinned version is known to be vulnerable."""
    try:
        found = subprocess.run(
            [*(sys.executable, "-m", "pip_audit", "--require-hashes", "--disable-pip"),
             *("-r", str(LOCK), "--format", "json", "--progress-spinner", "off")],
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
            check=False,
        )  # fmt: skip
        report = json.loads(found.stdout)
    except (subprocess.TimeoutExpired, json.JSONDecodeError):
        report = {"dependencies": []}
    sentence, is_fine = verdict_on(report)
    print(sentence)
    sys.exit(0 if is_fine else 1)


def verdict_on(report: dict[str, Any]) -> tuple[str, bool]:
    """Return what a report says, and whether it may pass."""
    looked_up = [one for one in report["dependencies"] if "vulns" in one]
    lines = [
        f"{one['name']} {one['version']}: {vulnerability['id']}, fixed in "
        f"{', '.join(vulnerability['fix_versions']) or 'no version yet'}"
        for one in looked_up
        for vulnerability in one["vulns"]
    ]
    if lines:
        return "\n".join(["Known to be vulnerable:", *lines]), False
    unknown = len(report["dependencies"]) - len(looked_up)
    if not looked_up:
        return "Not looked up: the database of vulnerabilities cannot be reached from here.", True
    return f"{len(looked_up)} versions have no known vulnerability, {unknown} are unknown.", True


if __name__ == "__main__":
    main()
