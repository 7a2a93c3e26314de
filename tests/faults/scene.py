"""What a fault is given to work with: a running stack under load, and a place for its findings.

Made by `runner` for each run. A fault acts, says when it is over, and checks what only it knows.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import requests

from tests.faults.driver import Driver, Project
from tests.faults.evidence import Evidence
from tests.faults.processes import Program
from tests.faults.receipts import Behaviour, Receipt, Receiver
from tests.faults.stack import EmbeddedStack, ProductionStack, Stack, eventually

SHARED_SECONDS = 1.5
"""After which each worker has some of what is due: it looks once a second, woken or not."""

SETTLE_SECONDS = 120.0
"""After the fault, by when every delivery has to have ended."""

PAUSES_SECONDS = 720.0
"""What five interruptions in a row cost at most, leases included; a sixth has no time to happen."""


@dataclass(slots=True)
class Scene:
    """One run of one fault."""

    stack: Stack
    project: Project
    driver: Driver
    runs: int
    scale: float = 1.0
    """How long what takes its time may take; the fast tests have less of it."""
    bound: int = 0
    """Duplicates that this run may have."""
    must_succeed: set[str] = field(default_factory=set)
    """Paths whose receivers are healthy: every delivery there has to succeed."""
    problems: list[str] = field(default_factory=list)
    """What did not hold, besides what the reconciler finds."""
    notes: list[str] = field(default_factory=list)
    """Measured figures worth a place in the table."""
    over_at: float | None = None
    unjudged: set[str] = field(default_factory=set)
    """Paths whose rows were changed by hand: receipts there cannot be held against them."""
    later: list[Callable[[Evidence], None]] = field(default_factory=list)
    """Checks that need the evidence."""

    @property
    def production(self) -> ProductionStack:
        """The stack of a fault that only production can have."""
        assert isinstance(self.stack, ProductionStack)
        return self.stack

    @property
    def embedded(self) -> EmbeddedStack:
        """The stack of a fault that only the embedded home can have."""
        assert isinstance(self.stack, EmbeddedStack)
        return self.stack

    @property
    def receiver(self) -> Receiver:
        """The stack's receiver."""
        return self.stack.receiver

    # ---- Acting -----------------------------------------------------------------------------

    def subscribe(
        self, name: str, behaviour: Behaviour, *, url: str = "", **settings: Any
    ) -> dict[str, Any]:
        """Add a subscription to everything at `/{project}/{name}`; returns the API's answer."""
        path = f"/{self.project.slug}/{name}"
        return subscribe(self.stack, self.project, path, behaviour, url=url, **settings)

    def call(self, method: str, path: str, body: object = None) -> Any:
        """Call a route of the project's API; anything but 2xx is a mistake of the rig's."""
        return call(self.project, method, path, body)

    def kill(self, worker: Program) -> None:
        """SIGKILL a worker; what it had in flight may come twice."""
        worker.kill()
        self.allow_for_interrupted()

    def allow_for_interrupted(self) -> None:
        """Bound duplicates by c: what a dead worker held has an `interrupted` attempt."""
        if self._allow_for_interrupted not in self.later:
            self.later.insert(0, self._allow_for_interrupted)

    def _allow_for_interrupted(self, evidence: Evidence) -> None:
        count = sum(attempt.outcome == "interrupted" for attempt in evidence.attempts)
        self.check(count > 0, "nothing was interrupted: the fault did not strike")
        self.bound += count

    def in_flight(self) -> int:
        """Count the deliveries that some worker holds."""
        return self.stack.database.count(self.project.slug, "sending")

    def unfinished(self) -> int:
        """Count the deliveries that have not ended."""
        return self.stack.database.count(self.project.slug, "pending", "sending")

    def receipts(self) -> list[Receipt]:
        """What has arrived at the project's subscriptions so far."""
        return self.receiver.receipts(f"/{self.project.slug}/")

    def wait_for_receipts(self, more: int, *, within_seconds: float = 30.0) -> float:
        """Wait until so many more requests have arrived; return the seconds it took."""
        wanted = len(self.receipts()) + more
        return eventually(
            lambda: len(self.receipts()) >= wanted,
            f"{more} more requests at the receiver",
            within_seconds=within_seconds,
        )

    def pause(self, seconds: float) -> None:
        """Let the fault last; at least a second."""
        time.sleep(max(1.0, seconds * self.scale))

    def wait_until_busy(self, deliveries: int = 5) -> None:
        """Wait until workers hold some deliveries, each of them: the first may all be with one."""
        eventually(
            lambda: self.in_flight() >= deliveries,
            f"{deliveries} deliveries in flight",
            within_seconds=30,
        )
        time.sleep(SHARED_SECONDS)

    def wait_out_pauses(self) -> None:
        """End the fault, and wait for what it interrupted again and again.

        The third interruption in a row, and each after it, is followed by a pause (ADR 15).
        """
        self.over()
        self.driver.finish()
        eventually(
            lambda: self.unfinished() == 0,
            "what was interrupted again and again is sent",
            within_seconds=PAUSES_SECONDS,
        )

    def settle(self) -> None:
        """Wait until every delivery of the run has ended."""
        settle(self.stack, self.project)

    def forget_path(self, name: str) -> None:
        """Leave a subscription's path out of the reconciliation."""
        self.unjudged.add(f"/{self.project.slug}/{name}")

    # ---- Judging ----------------------------------------------------------------------------

    def over(self) -> None:
        """Say that the fault has ended: recovery is counted from now on."""
        self.over_at = time.monotonic()

    def check(self, holds: bool, sentence: str) -> None:
        """Keep a sentence about what does not hold."""
        if not holds:
            self.problems.append(sentence)

    def check_below(self, value: float, limit: float, what: str, unit: str = "s") -> None:
        """Note a figure, and keep a sentence when it is over its limit."""
        self.notes.append(f"{what} {value:.2f} {unit}")
        self.check(value <= limit, f"{what}: {value:.2f} {unit}, at most {limit:g} {unit} allowed")


def settle(stack: Stack, project: Project) -> None:
    """Wait until every delivery of a project has ended."""
    eventually(
        lambda: stack.database.count(project.slug, "pending", "sending") == 0,
        "every delivery has ended",
        within_seconds=SETTLE_SECONDS,
        every_seconds=0.25,
    )


def subscribe(
    stack: Stack,
    project: Project,
    path: str,
    behaviour: Behaviour,
    *,
    url: str = "",
    **settings: Any,
) -> dict[str, Any]:
    """Make a subscription to everything, over REST; tell the receiver, unless it is elsewhere."""
    body = {"url": url or stack.receiver.origin + path, "event_types": ["*"], **settings}
    made: dict[str, Any] = call(project, "POST", "/subscriptions", body)
    if not url:
        stack.receiver.tell(path, behaviour, secrets=[made["secret"]])
    return made


def call(project: Project, method: str, path: str, body: object = None) -> Any:
    """Call a route of the project's API; anything but 2xx is a mistake of the rig's."""
    response = requests.request(
        method,
        project.url + path,
        data=None if body is None else json.dumps(body),
        headers=project.headers,
        timeout=20,
    )
    assert response.ok, f"{method} {path}: {response.status_code} {response.text[:500]}"
    return response.json() if response.content else None
