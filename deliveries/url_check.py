"""Says whether requests to a URL would be let out: the checks of saving, then those of sending.

Called by API and form, while somebody types. It is the door itself that judges, with a transport
that sends nothing: the words are those that a delivery would show, and tell no more. They do tell a
name that leads inside from one that does not exist, as a test's do; hence a project has one look-up
a second, so that nobody tries a long list of our names.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from django.conf import settings

from deliveries.costly_requests import Kind, turn
from deliveries.sending.door import Door
from deliveries.sending.request_head import NO_HEAD
from deliveries.sending.resolve import Resolver
from deliveries.sending.transport import Exchange, OutboundRequest, Outcome
from subscriptions.guard.address_guard import Destination, IPAddress, UrlRefused
from subscriptions.guard.outbound_policy import address_policy
from subscriptions.models import Project
from subscriptions.subscription_settings import check_url

LOOK_UPS: Final = Kind("url-checks", longest_seconds=2, least_rest_seconds=1)
"""Each may wait for a name server as long as a delivery would, which is seldom."""

_ALLOWED: Final = "Requests to this URL may be sent."


class Verdict(StrEnum):
    """What became of a check: stable codes, the last three those of an attempt's outcome."""

    ALLOWED = "allowed"
    """It may be saved, its name resolves, and all of its addresses may be contacted."""
    REFUSED = "refused"
    """It cannot be saved."""
    BLOCKED_ADDRESS = "blocked_address"
    """The name leads to an address that may not be contacted."""
    DNS_FAILED = "dns_failed"
    """The name does not resolve, or has too many addresses."""
    UNKNOWN = "unknown"
    """We cannot tell at present: that is our own resolver's fault, or our network's."""


@dataclass(frozen=True, slots=True)
class UrlCheck:
    """What can be said of a URL without sending anything there."""

    verdict: Verdict
    sentence: str
    """For the customer."""
    code: str | None = None
    """Of the error that saving would give, where it is refused."""
    url: str | None = None
    """As it would be stored; `None` where it is refused."""


def judge_url(project: Project, url: str) -> UrlCheck:
    """Judge a URL as saving and sending would; waits for its name, and raises `Busy`."""
    try:
        destination = check_url(url, project)
    except UrlRefused as refusal:
        return UrlCheck(Verdict.REFUSED, refusal.sentence, code=refusal.code)
    with turn(project, LOOK_UPS):
        exchange = _try_door(project, destination)
    verdict = _VERDICTS.get(exchange.outcome, Verdict.UNKNOWN)
    return UrlCheck(verdict, exchange.error or _ALLOWED, url=destination.url)


_VERDICTS: Final = {
    Outcome.SUCCEEDED: Verdict.ALLOWED,
    Outcome.BLOCKED_ADDRESS: Verdict.BLOCKED_ADDRESS,
    Outcome.DNS_FAILED: Verdict.DNS_FAILED,
}


def _try_door(project: Project, destination: Destination) -> Exchange:
    """Go as far as a request would before anything is sent."""
    deadline_seconds = settings.DISPATCHER_REQUEST_DEADLINE_SECONDS
    door = Door(
        transport=_NothingIsSent(),
        resolver=Resolver(servers=settings.DISPATCHER_DNS_SERVERS or None),
        policy=address_policy(),
        deadline_seconds=deadline_seconds,
    )
    try:
        door.submit(OutboundRequest(None, str(project.pk), destination, NO_HEAD, body=b""))
        while not (ended := door.collect(deadline_seconds)):
            pass  # the door ends every request, at its deadline at the latest
        return ended[0]
    finally:
        door.close()


class _NothingIsSent:
    """A transport that takes what the door lets out for sent, and sends nothing."""

    def __init__(self) -> None:
        self._ended: list[Exchange] = []
        self._news = threading.Event()

    def submit(
        self,
        request: OutboundRequest,
        *,
        address: IPAddress,  # noqa: ARG002  # as the contract has it
        deadline_seconds: float,  # noqa: ARG002
        connect_seconds: float | None = None,  # noqa: ARG002
        dns_ms: int | None = None,
    ) -> None:
        """Note that the door let it out."""
        self._ended.append(Exchange(request, Outcome.SUCCEEDED, dns_ms=dns_ms))

    def collect(self, timeout_seconds: float) -> list[Exchange]:
        """Return what was let out; wait for a look-up's end if there is nothing."""
        if not self._ended:
            self._news.wait(timeout_seconds)
        self._news.clear()
        ended, self._ended = self._ended, []
        return ended

    def wake(self) -> None:
        """End a wait."""
        self._news.set()

    def close(self) -> None:
        """Do nothing: there is nothing to give back."""
