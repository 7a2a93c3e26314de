"""Publishes over REST as a careful client does: idempotency keys, patience, and a list of receipts.

Several threads publish at a steady pace until told to finish; what was not acknowledged with 202 is
tried again with the same key, for as long as it takes.
"""

from __future__ import annotations

import itertools
import json
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from uuid import uuid4

import requests

from tests.faults.evidence import Acknowledgement
from tests.faults.processes import DidNotHappen

_PAUSE_SECONDS = 0.2
"""Between tries of one event."""

_TIMEOUT_SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class Project:
    """Where to publish, and with which key."""

    slug: str
    api_key: str
    site: str

    @property
    def url(self) -> str:
        """The address that everything of the project is below."""
        return f"{self.site}/api/v1/projects/{self.slug}"

    @property
    def headers(self) -> dict[str, str]:
        """What every request carries."""
        return {"Authorization": f"Bearer {self.api_key}", "Content-Type": "application/json"}


@dataclass(slots=True)
class Tally:
    """What the driver saw; durations in seconds."""

    acknowledged: list[Acknowledgement] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    """By status; 0 is a connection that failed."""
    seconds: list[float] = field(default_factory=list)
    """How long each request took, whatever came of it."""
    slowest_503: float = 0.0

    @property
    def server_errors(self) -> int:
        """Answers of 5xx."""
        return sum(count for status, count in self.statuses.items() if status >= 500)

    @property
    def p99_seconds(self) -> float:
        """What 99 of 100 requests took at most."""
        return p99(self.seconds)


def p99(seconds: Iterable[float]) -> float:
    """Return what 99 of 100 took at most; 0 where there are none."""
    return percentile(seconds, 99)


def percentile(seconds: Iterable[float], percent: int) -> float:
    """Return what so many of 100 took at most; 0 where there are none."""
    ranked = sorted(seconds)
    return ranked[int(percent / 100 * (len(ranked) - 1))] if ranked else 0.0


class Driver:
    """Steady load on one project; start it, `finish` it, read its `tally`."""

    def __init__(
        self,
        project: Project,
        *,
        per_second: float,
        threads: int = 4,
        data: object = None,
        limit: int | None = None,
    ) -> None:
        self.tally = Tally()
        self.per_second = per_second
        self._name = uuid4().hex[:8]
        self._project = project
        self._data = data
        self._pace_seconds = threads / per_second
        self._numbers: Iterator[int] = itertools.count() if limit is None else iter(range(limit))
        self._lock = threading.Lock()
        self._is_finishing = threading.Event()
        self._is_abandoned = False
        self._threads = [
            threading.Thread(target=self._publish_on, daemon=True) for _ in range(threads)
        ]

    def start(self) -> None:
        """Begin to publish."""
        for thread in self._threads:
            thread.start()

    def finish(self, *, within_seconds: float = 60.0) -> None:
        """Begin nothing new; wait until all that was begun is acknowledged."""
        self._is_finishing.set()
        self.wait(within_seconds=within_seconds)

    def abandon(self) -> None:
        """Begin nothing new, and give up what is not acknowledged."""
        self._is_finishing.set()
        self._is_abandoned = True

    def wait(self, *, within_seconds: float) -> None:
        """Wait until a limited load is done."""
        until = time.monotonic() + within_seconds
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))
        if any(thread.is_alive() for thread in self._threads):
            raise DidNotHappen(f"not all was acknowledged: {dict(self.tally.statuses)}")

    def wait_for_more(self, events: int, *, within_seconds: float = 60.0) -> None:
        """Wait until so many more events are acknowledged."""
        wanted = len(self.tally.acknowledged) + events
        until = time.monotonic() + within_seconds
        while len(self.tally.acknowledged) < wanted:
            if time.monotonic() > until:
                raise DidNotHappen(f"nothing is acknowledged: {dict(self.tally.statuses)}")
            time.sleep(0.02)

    def _publish_on(self) -> None:
        with requests.Session() as session:
            while not self._is_finishing.is_set():
                with self._lock:
                    number = next(self._numbers, None)
                if number is None:
                    return
                began = time.monotonic()
                self._publish(session, number)
                self._is_finishing.wait(max(0.0, began + self._pace_seconds - time.monotonic()))

    def _publish(self, session: requests.Session, number: int) -> None:
        """Publish one event until it is acknowledged."""
        key = f"{self._name}-{number}"
        body = json.dumps({"type": "rig.load", "data": {"n": number, "more": self._data}})
        published_at = time.monotonic()
        while not self._is_abandoned:
            status, event_id = self._try(session, key, body)
            if status == 202:
                done = Acknowledgement(event_id, key, published_at, time.monotonic())
                with self._lock:
                    self.tally.acknowledged.append(done)
                return
            time.sleep(_PAUSE_SECONDS)

    def _try(self, session: requests.Session, key: str, body: str) -> tuple[int, str]:
        began = time.monotonic()
        status, event_id = 0, ""
        try:
            response = session.post(
                f"{self._project.url}/events",
                data=body,
                headers=self._project.headers | {"Idempotency-Key": key},
                timeout=_TIMEOUT_SECONDS,
            )
            status = response.status_code
            if status == 202:
                event_id = response.json()["id"].removeprefix("evt_")
        except requests.RequestException:
            status = 0  # the server is away, or went away under the request
        seconds = time.monotonic() - began
        with self._lock:
            self.tally.statuses[status] += 1
            self.tally.seconds.append(seconds)
            if status == 503:
                self.tally.slowest_503 = max(self.tally.slowest_503, seconds)
        return status, event_id
