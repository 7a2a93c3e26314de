"""The rig's side of the receiver: starts it, tells it how to behave, reads what it logged."""

from __future__ import annotations

import json
import socket
import sys
import time
import urllib.error
import urllib.request
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tests.faults.processes import DidNotHappen, Program


@dataclass(frozen=True, slots=True)
class Behaviour:
    """How a path answers: `answer`, `hang` (never) or `reset` (RST)."""

    kind: str = "answer"
    status: int = 204
    delay_seconds: float = 0.0
    headers: dict[str, str] = field(default_factory=dict)


AT_ONCE = Behaviour()
SOON = Behaviour(delay_seconds=0.25)
AFTER_A_SECOND = Behaviour(delay_seconds=1.0)


@dataclass(frozen=True, slots=True)
class Receipt:
    """One request that arrived; times are on the monotonic clock, which all processes share."""

    path: str
    event_id: str
    """The hexadecimal part of `webhook-id`."""
    signature: str
    """`webhook-timestamp` and `webhook-signature`: tells attempts of one delivery apart."""
    complaint: str
    """What the reference library says is wrong with the signature; empty when nothing is."""
    at: float
    answered_at: float | None
    status: int | None
    """What was answered; `None` for a request that was hung up on, or is still open."""
    was_heard: bool
    """Whether the sender was still there to hear the answer."""

    @property
    def is_success(self) -> bool:
        """Whether the receiver did its work, heard or not: that is what can happen twice."""
        return self.status is not None and 200 <= self.status < 300


class Receiver:
    """The receiver process of one stack."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.port = free_port()
        self.origin = f"http://127.0.0.1:{self.port}"
        self._instructions = folder / "receiver.json"
        self._log = folder / "receiver.jsonl"
        self._told: dict[str, dict[str, Any]] = {}
        self._instructions.write_text("{}")
        self._log.touch()
        arguments = [str(self.port), str(self._instructions), str(self._log)]
        self.program = Program(
            "receiver",
            [sys.executable, "-m", "tests.faults.receiver", *arguments],
            environment=environment,
            folder=folder,
        )
        self._offset = 0
        self._lines: list[dict[str, Any]] = []

    def start(self) -> None:
        """Start it and wait until it answers."""
        self.program.start()
        until = time.monotonic() + 30
        while not self._answers():
            if time.monotonic() > until:
                raise DidNotHappen(f"the receiver did not start:\n{self.program.said()}")
            time.sleep(0.05)

    def tell(
        self, path: str, behaviour: Behaviour | None = None, *, secrets: list[str] | None = None
    ) -> None:
        """Change how a path behaves or which secrets verify there, from the next request on."""
        told = self._told.setdefault(path, {"secrets": [], "behaviour": {}})
        if behaviour is not None:
            told["behaviour"] = asdict(behaviour)
        if secrets is not None:
            told["secrets"] = secrets
        self._instructions.write_text(json.dumps(self._told))
        if self.program.is_running and not self._answers():
            raise DidNotHappen("the receiver does not listen to instructions")

    def receipts(self, prefix: str) -> list[Receipt]:
        """Return what arrived so far at paths that begin so, in the order of arrival."""
        self._read_on()
        answers = {line["n"]: line for line in self._lines if line["kind"] == "answer"}
        return [
            _receipt(line, answers.get(line["n"]))
            for line in self._lines
            if line["kind"] == "request" and line["path"].startswith(prefix)
        ]

    def forget(self) -> None:
        """Let go of what was read: the run it belonged to is over."""
        self._read_on()
        self._lines.clear()

    def _read_on(self) -> None:
        with self._log.open("rb") as log:
            log.seek(self._offset)
            data = log.read()
        whole = data[: data.rfind(b"\n") + 1]
        self._offset += len(whole)
        self._lines += [json.loads(line) for line in whole.splitlines()]

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.origin}/-/reload", timeout=5) as response:
                return bool(response.status == 204)
        except (urllib.error.URLError, OSError):
            return False


def _receipt(request: dict[str, Any], answer: dict[str, Any] | None) -> Receipt:
    pairs = (line.partition(": ") for line in request["head"].split("\r\n")[1:])
    headers = {name.lower(): value for name, _, value in pairs}
    return Receipt(
        path=request["path"],
        event_id=headers.get("webhook-id", "").removeprefix("evt_"),
        signature=f"{headers.get('webhook-timestamp')} {headers.get('webhook-signature')}",
        complaint=request["complaint"],
        at=request["at"],
        answered_at=answer["at"] if answer else None,
        status=answer["status"] if answer else None,
        was_heard=bool(answer and answer["heard"]),
    )


def free_port() -> int:
    """Find a port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
