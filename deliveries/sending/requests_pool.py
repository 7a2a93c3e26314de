"""Leads requests' adapter to pinned connections, and keeps those that may be used again.

`requests_transport` sends each attempt through the adapter. What requests and urllib3 would do of
their own accord (proxies, retries, URLs spelled anew, verification by their rules) ends here.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, cast

from requests import PreparedRequest
from requests.adapters import HTTPAdapter
from requests.structures import CaseInsensitiveDict
from urllib3 import HTTPConnectionPool, Retry
from urllib3.util import SKIP_HEADER

from deliveries.sending.kept_connections import KeptConnections
from deliveries.sending.requests_attempt import Attempt
from deliveries.sending.requests_connection import Origin, PinnedConnection
from deliveries.sending.transport import OutboundRequest


class IdleConnections:
    """Connections between two attempts; from any thread."""

    def __init__(self, *, limit: int, max_idle_seconds: float) -> None:
        self._limit = limit
        self._max_idle_seconds = max_idle_seconds
        self._lock = threading.Lock()
        self._oldest_first: dict[PinnedConnection, float] = {}
        self._by_origin: dict[Origin, list[PinnedConnection]] = {}

    def take(self, origin: Origin) -> PinnedConnection | None:
        """Return a connection that is still alive, the one used last."""
        self.drop_old()
        while True:
            with self._lock:
                of_origin = self._by_origin.get(origin)
                if not of_origin:
                    return None
                connection = of_origin[-1]
                self._forget(connection)
            if connection.is_connected:
                return connection
            connection.close()

    def give(self, connection: PinnedConnection) -> None:
        """Keep a connection; beyond the limit the oldest makes way."""
        with self._lock:
            self._oldest_first[connection] = time.monotonic()
            self._by_origin.setdefault(connection.origin, []).append(connection)
            is_over = len(self._oldest_first) > self._limit
            oldest = self._forget(next(iter(self._oldest_first))) if is_over else None
        if oldest is not None:
            oldest.close()

    def drop_old(self, *, older_than_seconds: float | None = None) -> None:
        """Close what has been idle for too long."""
        limit = self._max_idle_seconds if older_than_seconds is None else older_than_seconds
        moment = time.monotonic() - limit
        old = []
        with self._lock:
            while self._oldest_first:
                connection, since = next(iter(self._oldest_first.items()))
                if since > moment:
                    break
                old.append(self._forget(connection))
        for connection in old:
            connection.close()

    def _forget(self, connection: PinnedConnection) -> PinnedConnection:
        del self._oldest_first[connection]
        of_origin = self._by_origin[connection.origin]
        of_origin.remove(connection)
        if not of_origin:
            del self._by_origin[connection.origin]
        return connection


class AttemptPool(HTTPConnectionPool):
    """What urllib3 takes one attempt's connection from, and gives it back to."""

    def __init__(
        self,
        attempt: Attempt,
        origin: Origin,
        *,
        idle: IdleConnections,
        distrust: KeptConnections,
        open_to: Callable[[Origin], PinnedConnection],
    ) -> None:
        super().__init__(origin.host, origin.port)
        self._attempt = attempt
        self._origin = origin
        self._idle = idle
        self._distrust = distrust
        self._open_to = open_to

    def _get_conn(self, timeout: float | None = None) -> PinnedConnection:  # noqa: ARG002  # urllib3's
        connection = None
        if not self._distrust.is_distrusted(self._origin.host, self._origin.port):
            connection = self._idle.take(self._origin)
        connection = connection or self._open_to(self._origin)
        connection.take(self._attempt)
        return connection

    def _validate_conn(self, conn: Any) -> None:
        conn.get_ready()

    def _put_conn(self, conn: Any) -> None:
        if conn is None:
            return  # closed by urllib3
        conn.let_go()
        if conn.may_be_kept:
            self._idle.give(conn)
        else:
            conn.close()


class PreparedAttempt(PreparedRequest):
    """An attempt's request, as it is: requests would spell the URL anew and add headers."""

    def __init__(self, attempt: Attempt) -> None:
        super().__init__()
        request = attempt.request
        self.attempt = attempt
        self.method = "POST"
        self.url = request.url.url
        self.headers = _headers(request)
        self.body = request.body


def _headers(request: OutboundRequest) -> CaseInsensitiveDict[str | bytes]:
    headers = CaseInsensitiveDict[str | bytes](request.head.fields)
    for name in ("Accept-Encoding", "User-Agent"):
        headers.setdefault(name, SKIP_HEADER)  # urllib3 would add its own
    return headers


class PinningAdapter(HTTPAdapter):
    """requests' adapter, for `PreparedAttempt`s only: without environment, proxies or retries."""

    def __init__(
        self, *, idle: IdleConnections, open_to: Callable[[Origin], PinnedConnection]
    ) -> None:
        super().__init__(max_retries=Retry(total=False))
        self._idle = idle
        self._distrust = KeptConnections()
        self._open_to = open_to

    def get_connection_with_tls_context(
        self, request: PreparedRequest, *_: object, **__: object
    ) -> AttemptPool:
        """Return the attempt's own way to its connection."""
        attempt = _attempt_of(request)
        return AttemptPool(
            attempt,
            self.origin_of(attempt),
            idle=self._idle,
            distrust=self._distrust,
            open_to=self._open_to,
        )

    def origin_of(self, attempt: Attempt) -> Origin:
        """Say whom an attempt's connection is to be opened to."""
        url = attempt.request.url
        return Origin(url.scheme, url.host, url.port, attempt.address)

    def distrust(self, attempt: Attempt) -> None:
        """Open a connection of its own for each request to this receiver, for a while."""
        self._distrust.distrust(attempt.request.url.host, attempt.request.url.port)

    def cert_verify(self, *_: object, **__: object) -> None:
        """Leave verification to the connection."""

    def request_url(self, request: PreparedRequest, *_: object, **__: object) -> str:
        """Return what stands in the request line."""
        return _attempt_of(request).request.url.target

    def close(self) -> None:
        """Close all idle connections."""
        self._idle.drop_old(older_than_seconds=0)


def _attempt_of(request: PreparedRequest) -> Attempt:
    return cast(PreparedAttempt, request).attempt
