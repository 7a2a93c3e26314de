"""Pins run.in and dev.in in run.txt and dev.txt, or says which of the two is out of date.

`make lock` writes. `make check` passes `--check`, which compares a fingerprint kept in the
lock's first line: it reads files only, and asks no package index.
"""

from __future__ import annotations

import argparse
import hashlib
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent

SOURCES = {"run.txt": ("run.in",), "dev.txt": ("dev.in", "run.in", "run.txt")}
"""What each lock is made from, in the order in which they must be made."""

COMPILE = (
    *(sys.executable, "-m", "uv", "pip", "compile", "--quiet", "--no-header"),
    # One file for Linux and macOS and every Python from 3.11 on, with one version of each package.
    *("--universal", "--python-version=3.11", "--fork-strategy=fewest"),
    # The pip of Python 3.11 looks for `kombu[redis]` beside a pinned `kombu`: a newer one.
    "--no-strip-extras",
    # Hashes pin the files; by default no index is named, which others might not reach.
    "--generate-hashes",
)


def main() -> None:
    """Write both locks, or check them; exits with a sentence when one is out of date."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing")
    parser.add_argument("--upgrade", action="store_true", help="take the newest versions")
    arguments = parser.parse_args()
    for lock in SOURCES:
        if not arguments.check:
            write(lock, upgrade=arguments.upgrade)
        elif not is_current(lock):
            sys.exit(f"requirements/{lock} does not fit its sources: run `make lock`.")


def write(lock: str, *, upgrade: bool) -> None:
    """Pin what the sources ask for; pins that still fit stay, unless `upgrade`."""
    source = SOURCES[lock][0]
    command = [*COMPILE, f"requirements/{source}", f"--output-file=requirements/{lock}"]
    subprocess.run([*command, *(["--upgrade"] if upgrade else [])], cwd=HERE.parent, check=True)
    path = HERE / lock
    body = path.read_text()
    path.write_text(f"# Made by `make lock` from {source}. {_fingerprint(lock, body)}\n{body}")


def is_current(lock: str) -> bool:
    """Say whether neither the lock nor its sources changed since it was written."""
    header, _, body = (HERE / lock).read_text().partition("\n")
    return header.endswith(_fingerprint(lock, body))


def _fingerprint(lock: str, body: str) -> str:
    digest = hashlib.sha256(body.encode())
    for source in SOURCES[lock]:
        for line in (HERE / source).read_text().splitlines():
            requirement = line.partition("#")[0].strip()  # a better reason is no new requirement
            if requirement:
                digest.update(f"\n{requirement}".encode())
    return f"sha256:{digest.hexdigest()}"


if __name__ == "__main__":
    main()
