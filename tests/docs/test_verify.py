"""The verifiers that people copy accept what is signed here and elsewhere, and refuse the rest."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from deliveries.sending.signing import ToSign, sign
from subscriptions.secrets.secret_format import generate_secret
from tests.docs.pages import ROOT

FOLDER = ROOT / "docs" / "how-to" / "verify"
VECTORS = json.loads((ROOT / "tests" / "deliveries" / "data" / "signatures.json").read_text())
BODY = '{"type":"Task.update","data":{"名前":"タスク 😀"}}'.encode()

COMMANDS = {
    "verify.py": [sys.executable],
    "verify.mjs": ["node"],
    "verify.go": ["go"],
    "Verify.java": ["javac"],
    "verify.rb": ["ruby"],
}


COMPILE_GO = ("go", "build", "-o")


@dataclass(frozen=True)
class Sent:
    """A request as a verifier sees it; `now` is the receiver's clock, `None` the machine's."""

    secret: str
    message_id: str
    timestamp: str
    signatures: str
    body: bytes
    now: int | None = None


def signed(*secrets: str, age_seconds: int = 0) -> Sent:
    """Make a request of the dispatcher's own."""
    sent_at = int(time.time()) - age_seconds
    headers = dict(sign(["standard"], ToSign("evt_1", sent_at, "Task.update", BODY, secrets)))
    return Sent(secrets[-1], "evt_1", str(sent_at), headers["webhook-signature"], BODY)


@pytest.fixture(params=COMMANDS)
def program(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The command that runs one verifier; a fresh machine has Python only."""
    name: str = request.param
    command = COMMANDS[name]
    if shutil.which(command[0]) is None:
        pytest.skip(f"{name} was not run: there is no `{command[0]}` on this machine")
    # Compiled once rather than for every request.
    folder = tmp_path_factory.getbasetemp()
    match name:
        case "verify.go":
            return _made([*COMPILE_GO, folder / "verify", FOLDER / name], folder / "verify")
        case "Verify.java":
            _made(["javac", "-d", folder, FOLDER / name], folder / "Verify.class")
            return ["java", "-cp", str(folder), "Verify"]
    return [*command, str(FOLDER / name)]


def _made(compiling: Sequence[str | Path], made: Path) -> list[str]:
    if not made.exists():
        subprocess.run(compiling, check=True, capture_output=True)
    return [str(made)]


def accepts(program: list[str], sent: Sent) -> bool:
    result = subprocess.run(
        [*program, sent.message_id, sent.timestamp, sent.signatures]
        + ([] if sent.now is None else [str(sent.now)]),
        input=sent.body,
        env=os.environ | {"WEBHOOK_SECRET": sent.secret, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        check=False,
    )
    if result.returncode:  # refused, and not fallen over
        assert b"not verified" in result.stderr, result.stderr.decode()
    return result.returncode == 0


def test_a_verifier_accepts_what_another_library_signed(program: list[str]) -> None:
    vectors = [vector for vector in VECTORS if vector["scheme"] == "standard"]
    assert len(vectors) == 2
    for vector in vectors:
        for secret in vector["secrets"]:
            headers = vector["headers"]
            sent = Sent(
                secret,
                headers["webhook-id"],
                headers["webhook-timestamp"],
                headers["webhook-signature"],
                vector["body"].encode(),
                now=vector["timestamp"] + 60,
            )
            assert accepts(program, sent)
            assert not accepts(program, replace(sent, now=vector["timestamp"] + 301))


def test_a_verifier_accepts_ours_with_either_secret_of_a_rotation(program: list[str]) -> None:
    new, old = generate_secret(), generate_secret()
    sent = signed(new, old)

    assert accepts(program, sent)
    assert accepts(program, replace(sent, secret=new))
    assert not accepts(program, replace(sent, secret=generate_secret()))


def test_a_verifier_refuses_what_was_changed(program: list[str]) -> None:
    sent = signed(generate_secret())

    assert accepts(program, sent)
    for changed in (
        replace(sent, body=sent.body + b" "),
        replace(sent, message_id="evt_2"),
        replace(sent, timestamp=str(int(sent.timestamp) - 1)),
        replace(sent, timestamp="soon"),
        replace(sent, timestamp=""),
        replace(sent, signatures=sent.signatures[:-1]),
        replace(sent, signatures=sent.signatures.removeprefix("v1,")),
        replace(sent, signatures="v1,é"),
        replace(sent, signatures=""),
    ):
        assert not accepts(program, changed), changed


@pytest.mark.parametrize("age_seconds", [301, -320])
def test_a_verifier_refuses_an_old_timestamp_and_one_to_come(
    program: list[str], age_seconds: int
) -> None:
    assert not accepts(program, signed(generate_secret(), age_seconds=age_seconds))
