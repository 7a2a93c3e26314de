"""A name server on loopback that answers as it is told, name by name, well or badly.

Tests of the resolver and of the door start it; it speaks UDP and knows A and AAAA.
"""

from __future__ import annotations

import heapq
import socket
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import ip_address
from types import TracebackType
from typing import Self

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset

SILENT = -1
"""As `delay_seconds`: no answer at all."""


@dataclass(frozen=True)
class Answer:
    """What a name stands for: addresses of both families, or an error."""

    addresses: tuple[str, ...] = ()
    ttl_seconds: int = 0
    rcode: dns.rcode.Rcode = dns.rcode.NOERROR
    delay_seconds: float = 0.0
    alias: str = ""
    """Where set, the name is an alias (CNAME) of this one, which has the addresses."""


NXDOMAIN = Answer(rcode=dns.rcode.NXDOMAIN)
SERVFAIL = Answer(rcode=dns.rcode.SERVFAIL)
REFUSED = Answer(rcode=dns.rcode.REFUSED)
NO_ADDRESS = Answer()


class DnsStub:
    """Names, and what the next queries for them get; unknown names do not exist."""

    def __init__(self) -> None:
        self._answers: dict[str, list[Answer]] = {}
        self._exceptions: dict[tuple[str, str], Answer] = {}
        self._turns: dict[tuple[str, str], int] = {}
        self._asked_at: dict[tuple[str, str], float] = {}
        self._known: set[tuple[int, str, str]] = set()
        self._lock = threading.Lock()
        self._delayed: list[tuple[float, bytes, tuple[str, int]]] = []
        """A heap of when to send what to whom. No thread for each: there may be thousands."""
        self.queries: list[tuple[str, str]] = []
        """Name and type (`A`, `AAAA`, …) of each query, as they came; one sent again is none."""
        self.is_dead = False
        """While set, nothing is answered at all."""
        self.unknown = NXDOMAIN
        """What names get that were not set."""
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.server = f"127.0.0.1:{self._socket.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def set(self, name: str, *answers: Answer) -> str:
        """Give each query for a name (of each type) the next of the answers; the last one stays."""
        with self._lock:
            self._answers[name] = list(answers)
            for kind in ("A", "AAAA"):
                self._turns.pop((name, kind), None)
        return name

    def set_kind(self, name: str, kind: str, answer: Answer) -> None:
        """Answer queries of one type for a name otherwise than the rest."""
        with self._lock:
            self._exceptions[name, kind] = answer

    def count(self, name: str, kind: str = "A") -> int:
        """Count the queries for a name so far."""
        return self.queries.count((name, kind))

    def close(self) -> None:
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _serve(self) -> None:
        while True:
            try:
                self._socket.settimeout(self._send_what_is_due())
                wire, peer = self._socket.recvfrom(4096)
            except TimeoutError:
                continue
            except OSError:
                return  # closed
            self._answer(dns.message.from_wire(wire), peer)

    def _answer(self, query: dns.message.Message, peer: tuple[str, int]) -> None:
        question = query.question[0]
        name = question.name.to_text(omit_final_dot=True).lower()
        kind = dns.rdatatype.to_text(question.rdtype)
        with self._lock:
            if (query.id, name, kind) not in self._known:
                self._known.add((query.id, name, kind))
                self.queries.append((name, kind))
            answer = self._next_answer(name, kind)
            asked_at = self._asked_at.setdefault((name, kind), time.monotonic())
        if self.is_dead or answer.delay_seconds == SILENT:
            return
        # As a resolver that asks on: who asks again in the meantime waits no longer than the first.
        wire = _respond(query, answer).to_wire()
        heapq.heappush(self._delayed, (asked_at + answer.delay_seconds, wire, peer))

    def _next_answer(self, name: str, kind: str) -> Answer:
        if (name, kind) in self._exceptions:
            return self._exceptions[name, kind]
        answers = self._answers.get(name, [self.unknown])
        turn = self._turns.get((name, kind), 0)
        self._turns[name, kind] = turn + 1
        return answers[min(turn, len(answers) - 1)]

    def _send_what_is_due(self) -> float | None:
        """Return the seconds until there is more to send; `None` while nothing waits."""
        while self._delayed:
            seconds_left = self._delayed[0][0] - time.monotonic()
            if seconds_left > 0:
                return seconds_left
            _, wire, peer = heapq.heappop(self._delayed)
            with suppress(OSError):  # who asked may be gone
                self._socket.sendto(wire, peer)
        return None


def _respond(query: dns.message.Message, answer: Answer) -> dns.message.Message:
    response = dns.message.make_response(query)
    response.flags |= dns.flags.RA
    response.set_rcode(answer.rcode)
    question = query.question[0]
    name = question.name.to_text()
    if answer.alias:
        alias = f"{answer.alias}."
        response.answer.append(dns.rrset.from_text(name, answer.ttl_seconds, "IN", "CNAME", alias))
        name = alias
    version = {dns.rdatatype.A: 4, dns.rdatatype.AAAA: 6}.get(question.rdtype)
    wanted = [text for text in answer.addresses if ip_address(text).version == version]
    if wanted:
        kind = dns.rdatatype.to_text(question.rdtype)
        response.answer.append(dns.rrset.from_text(name, answer.ttl_seconds, "IN", kind, *wanted))
    return response
