"""One attempt of the `requests` transport: how far it came, what was read, and what it meant.

The connection and the answer note their progress here, and ask what an error means; at the end it
becomes an `Exchange`. No HTTP library: its exceptions are translated where they are raised.
"""

from __future__ import annotations

import ssl
import time
from enum import IntEnum

from deliveries.sending import verdicts
from deliveries.sending.response_reader import ResponseReader
from deliveries.sending.transport import Exchange, Excuse, OutboundRequest
from deliveries.sending.verdicts import Verdict
from subscriptions.guard.address_guard import IPAddress


class Stage(IntEnum):
    """How far an attempt came; an error means something else in each."""

    OPENING = 0
    """No socket yet."""
    CONNECTING = 1
    TUNNELLING = 2
    """The egress proxy was asked for a tunnel."""
    SECURING = 3
    """The TCP connection is there, the TLS handshake under way."""
    READY = 4
    """The request may go out."""


class AttemptEnded(Exception):
    """An attempt has come to its end; neither urllib3 nor requests knows it, so it passes."""

    def __init__(self, verdict: Verdict, detail: str) -> None:
        super().__init__(verdict.error, detail)
        self.verdict = verdict
        self.detail = detail


class Attempt:
    """One request on its way to one address; used by one thread at a time."""

    def __init__(
        self,
        request: OutboundRequest,
        *,
        address: IPAddress,
        deadline_seconds: float,
        connect_seconds: float | None,
        dns_ms: int | None,
    ) -> None:
        self.request = request
        self.address = address
        self.reader = ResponseReader()
        self.stage = Stage.OPENING
        self.is_proxied = False
        """Its connection is, or is to be, a tunnel through the egress proxy."""
        self.is_reused = False
        """On a connection that carried a request before."""
        self.was_sent = False
        self.send_error: OSError | None = None
        """Broke the sending off; an answer may be there all the same."""
        self._dns_ms = dns_ms
        self._deadline_seconds = deadline_seconds
        self._connect_seconds = connect_seconds
        self._started_at = time.monotonic()
        self._entered_at: dict[Stage, float] = {}
        self._body_error = ""

    # ---- Time ----------------------------------------------------------------------------------

    @property
    def seconds_left(self) -> float:
        """What the deadline leaves, for whatever comes."""
        return self._started_at + self._deadline_seconds - time.monotonic()

    @property
    def stage_ends_at(self) -> float:
        """Until when the present stage has time, on the monotonic clock."""
        return self._started_at + self._stage_seconds

    @property
    def _stage_seconds(self) -> float:
        """The time that the stages up to the present one have together."""
        if self.stage < Stage.READY and self._connect_seconds is not None:
            return min(self._connect_seconds, self._deadline_seconds)
        return self._deadline_seconds

    def enter(self, stage: Stage) -> None:
        """Note that a stage begins."""
        self.stage = stage
        self._entered_at[stage] = time.monotonic()

    # ---- Ends ----------------------------------------------------------------------------------

    def failure(self, error: OSError | EOFError) -> AttemptEnded:
        """Say what an error means that came before the answer's headers were complete."""
        words = f"{self.stage.name.lower()}: {type(error).__name__}: {error}"
        return AttemptEnded(self._verdict_on(error), words)

    def _verdict_on(self, error: OSError | EOFError) -> Verdict:
        is_late = isinstance(error, TimeoutError) or time.monotonic() >= self.stage_ends_at
        if self.is_proxied and self.stage in {Stage.CONNECTING, Stage.TUNNELLING}:
            is_silent = is_late and self.stage is Stage.TUNNELLING
            return verdicts.PROXY_GIVES_UP if is_silent else verdicts.PROXY_FAILED
        if is_late:
            return self._timeout()
        if self.stage is Stage.READY:
            return self._verdict_on_silence(error)
        os_errno = getattr(error, "errno", None) or 0
        if self.stage is not Stage.SECURING:
            return verdicts.judge_connecting(os_errno)
        if isinstance(error, ssl.SSLCertVerificationError):
            return verdicts.judge_certificate(error.verify_code)
        return verdicts.HANDSHAKE

    def _verdict_on_silence(self, error: OSError | EOFError) -> Verdict:
        is_end = isinstance(error, EOFError)
        is_alert = isinstance(error, ssl.SSLError) and "ALERT" in (error.reason or "")
        if self.reader.first_byte_at is not None:
            return verdicts.CLOSED_IN_HEADERS if is_end else verdicts.BROKEN_OFF
        if is_alert:  # with TLS 1.3, that a certificate is wanted comes after our handshake
            return verdicts.HANDSHAKE
        if self.is_reused:
            return verdicts.HUNG_UP_INSTEAD
        return verdicts.NO_ANSWER if is_end else verdicts.BROKEN_OFF

    def _timeout(self) -> Verdict:
        is_ready = self.stage is Stage.READY
        allowed_seconds = self._stage_seconds
        if is_ready or self._connect_seconds is None:
            allowed_seconds += (self._dns_ms or 0) / 1000
        return verdicts.judge_timeout(
            is_connected=self.stage >= Stage.SECURING,
            is_secured=is_ready or self.request.url.scheme == "http",
            has_answer_begun=self.reader.first_byte_at is not None,
            allowed_seconds=allowed_seconds,
        )

    def break_off_body(self, detail: str) -> None:
        """Note that the body did not come to its end; the outcome stands."""
        self._body_error = detail

    def exchange(self, ended: AttemptEnded | None = None) -> Exchange:
        """Turn the attempt into its exchange; a complete answer decides, however it ended."""
        reader = self.reader
        if ended is None or reader.status_code is not None:
            verdict, detail = verdicts.judge_status(reader.status_code or 0), self._body_error
        else:
            verdict, detail = ended.verdict, ended.detail
        return Exchange(
            request=self.request,
            outcome=verdict.outcome,
            error=verdict.error,
            # Errors quote what the receiver sent; a log line shall stay one line.
            operator_detail=detail.encode("unicode_escape").decode("ascii"),
            status_code=reader.status_code,
            duration_ms=round((time.monotonic() - self._started_at) * 1000) + (self._dns_ms or 0),
            dns_ms=self._dns_ms,
            connect_ms=self._ms_of(Stage.CONNECTING),
            tls_ms=self._ms_of(Stage.SECURING),
            first_byte_ms=_ms_between(self._entered_at.get(Stage.READY), reader.first_byte_at),
            remote_address=str(self.address) if self._has_reached_out(verdict) else None,
            http_version=reader.http_version,
            response_headers=reader.headers,
            response_body=reader.body,
            is_truncated=reader.is_truncated or (detail != "" and reader.has_body_due),
            request_was_sent=self.was_sent,
            excuse=Excuse.STALE_CONNECTION if verdict is verdicts.HUNG_UP_INSTEAD else None,
            ended_at_proxy=verdict.is_at_proxy,
        )

    def _has_reached_out(self, verdict: Verdict) -> bool:
        return bool(self._entered_at) and verdict is not verdicts.PROXY_FAILED

    def _ms_of(self, stage: Stage) -> int | None:
        """Return a stage's length; what the tunnel took is part of connecting."""
        stages = {stage, Stage.TUNNELLING}
        later = (at for each, at in self._entered_at.items() if each > stage and each not in stages)
        return _ms_between(self._entered_at.get(stage), next(later, None))


def _ms_between(start: float | None, end: float | None) -> int | None:
    return None if start is None or end is None else round((end - start) * 1000)
