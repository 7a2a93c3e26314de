"""The page about the encryption key is followed, step by step, in an installation of its own."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

from cryptography.fernet import Fernet

from tests.docs.pages import ROOT, blocks_of

PAGE = "docs/how-to/rotate-the-encryption-key.md"


class Installation:
    """A database of its own, and commands that are run with the keys given."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def run(self, command: str, *keys: str) -> str:
        done = subprocess.run(
            [sys.executable, *shlex.split(command)[1:]],
            cwd=ROOT,
            env={
                "PATH": os.environ["PATH"],
                "DISPATCHER_DATA_DIR": str(self._folder),
                "DISPATCHER_ENCRYPTION_KEYS": ",".join(keys),
            },
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        return done.stdout + done.stderr if done.returncode == 0 else f"failed: {done.stderr}"


def test_the_steps_of_the_page_lead_from_one_key_to_the_next(tmp_path: Path) -> None:
    make_key, rotate, check, accept_loss = [block.text for block in blocks_of(PAGE, "sh")]
    at = Installation(tmp_path)
    old = Fernet.generate_key().decode()
    at.run("python manage.py migrate", old)

    new = at.run(make_key, old).strip()
    assert at.run(check, old, new).startswith("The first key reads everything")
    assert at.run(check, new, old).startswith("failed")
    assert "1 encrypted anew, of 1." in at.run(rotate, new, old)
    assert at.run(check, new).startswith("The first key reads everything")
    assert not at.run("python manage.py migrate", new).startswith("failed")

    another = Fernet.generate_key().decode()
    refused = at.run("python manage.py migrate", another)
    assert "cannot read what this database holds" in refused
    assert accept_loss.strip() in refused.replace("`manage.py", "`python manage.py")
    assert "The first key reads everything" in at.run(accept_loss, another)
    assert not at.run("python manage.py migrate", another).startswith("failed")
