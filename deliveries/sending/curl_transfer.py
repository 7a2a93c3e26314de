"""One of libcurl's easy handles: how it is set up, and the attempt it is carrying at present.

`curl_transport` owns the handles and drives them. Here is what libcurl is told (once, or per
attempt), what its hooks decide, and how its result becomes an `Exchange`.
"""

from __future__ import annotations

import socket
import time
from ipaddress import ip_address
from typing import Any, Final

import pycurl

from deliveries.sending import curl_errors, verdicts
from deliveries.sending.curl_errors import Circumstances
from deliveries.sending.curl_tunnel import CurlTunnel
from deliveries.sending.kept_connections import KeptConnection, KeptConnections
from deliveries.sending.proxy_address import LocatedProxy
from deliveries.sending.response_reader import ResponseReader
from deliveries.sending.transport import Exchange, Excuse, OutboundRequest, Outcome
from deliveries.sending.verdicts import Verdict
from subscriptions.guard.address_guard import AddressPolicy, IPAddress

# libcurl adds these by itself unless it is told not to; a name without a value removes.
_NO_HEADERS_OF_ITS_OWN: Final = [b"Accept:", b"Content-Type:", b"Expect:", b"User-Agent:"]

_NO_CONNECT_LIMIT_MS: Final = 2**31 - 1
"""The deadline is the limit; libcurl's own default of 300 s shall not be."""

_BODY_WORTH_RELEASING_BYTES: Final = 4096


class Route:
    """An address and port as libcurl wants them; one object per pair, so that `is` compares."""

    __slots__ = ("address", "connect_to", "text")

    def __init__(self, address: IPAddress, port: int) -> None:
        self.address = address
        self.text = str(address)
        literal = f"[{self.text}]" if address.version == 6 else self.text
        self.connect_to = [f"::{literal}:{port}"]
        """Whatever host and port libcurl reads in the URL: connect to these."""


_NO_ROUTE: Final = Route(ip_address("::"), 0)


class CurlTransfer:
    """An easy handle with its hooks; carries one attempt at a time, many in turn."""

    def __init__(
        self,
        *,
        policy: AddressPolicy,
        kept: KeptConnections,
        ca_file: str,
        max_idle_seconds: int,
        proxy: LocatedProxy | None = None,
    ) -> None:
        self._policy = policy
        self._kept = kept
        self._response = ResponseReader()
        self.curl = pycurl.Curl()
        self._set_up(ca_file, max_idle_seconds)
        reader = self._response
        self._tunnel = (
            None
            if proxy is None
            else CurlTunnel(self.curl, proxy, take_header_line=reader.take_header_line)
        )
        # What the handle is set to at present: setting an option again costs as much as the
        # first time.
        self._url = ""
        self._route = _NO_ROUTE
        self._timeout_ms = 0
        self._connect_ms = 0
        self._forbids_reuse = False
        self._is_fresh = False

    def _set_up(self, ca_file: str, max_idle_seconds: int) -> None:
        reader = self._response
        for option, value in (
            (pycurl.NOSIGNAL, 1),
            (pycurl.PROTOCOLS, pycurl.PROTO_HTTP | pycurl.PROTO_HTTPS),
            (pycurl.FOLLOWLOCATION, 0),
            (pycurl.PROXY, ""),  # not the environment's; `CurlTunnel` sets ours
            (pycurl.NETRC, pycurl.NETRC_IGNORED),
            (pycurl.PATH_AS_IS, 1),
            (pycurl.HTTP09_ALLOWED, 0),
            (pycurl.HTTP_CONTENT_DECODING, 0),
            (pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_2TLS),
            (pycurl.TCP_NODELAY, 1),
            (pycurl.MAXAGE_CONN, max_idle_seconds),
            (pycurl.DNS_CACHE_TIMEOUT, 0),  # only ever asked for addresses
            (pycurl.SSLVERSION, pycurl.SSLVERSION_TLSv1_2),
            (pycurl.SSL_VERIFYPEER, 1),
            (pycurl.SSL_VERIFYHOST, 2),
            (pycurl.CAINFO, ca_file),
            (pycurl.OPENSOCKETFUNCTION, self._on_open_socket),
            (pycurl.PREREQFUNCTION, self._on_ready),
            (pycurl.HEADERFUNCTION, reader.take_header_line),
            (pycurl.WRITEFUNCTION, reader.take_body),
        ):
            self.curl.setopt(option, value)

    def begin(
        self,
        request: OutboundRequest,
        route: Route,
        *,
        deadline_seconds: float,
        connect_seconds: float | None,
        dns_ms: int | None,
    ) -> None:
        """Set the handle up for an attempt; raises `pycurl.error`."""
        self.request = request
        self._dns_ms = dns_ms
        self._started_at = time.monotonic()
        self._deadline_seconds = deadline_seconds
        self._connect_seconds = connect_seconds
        curl = self.curl
        lines = request.head.lines
        lines += _NO_HEADERS_OF_ITS_OWN
        curl.setopt(pycurl.HTTPHEADER, lines)
        curl.setopt(pycurl.POSTFIELDS, request.body)
        url = request.url
        if url.url != self._url:
            curl.setopt(pycurl.URL, url.url)
            # Wait for HTTP/2 rather than open a connection per request. Without TLS nothing tells
            # the version before the first answer: everybody would wait for that one.
            curl.setopt(pycurl.PIPEWAIT, url.scheme == "https")
            self._url = url.url
        if route is not self._route:
            curl.setopt(pycurl.CONNECT_TO, route.connect_to)
            self._route = route
        forbids_reuse = self._kept.is_distrusted(url.host, url.port)
        if forbids_reuse != self._forbids_reuse:
            curl.setopt(pycurl.FORBID_REUSE, forbids_reuse)
            self._forbids_reuse = forbids_reuse
        self._forget_the_former()
        self._set_times(deadline_seconds, connect_seconds)
        self._set_fresh(forbids_reuse)

    def begin_afresh(self) -> bool:
        """Set up again for the same attempt on a new connection, if there is time left.

        Only for `is_on_dead_connection`: not a byte of the request has gone out.
        """
        spent = time.monotonic() - self._started_at
        left = self._deadline_seconds - spent
        if left <= 0:
            return False
        self._response.clear()
        self._forget_the_former()
        self._set_times(left, self._connect_seconds)
        self._set_fresh(True)
        return True

    def _forget_the_former(self) -> None:
        self._opened: int | None = None
        """A socket that was opened for this attempt and is not ready yet."""
        self._has_opened = False
        self._connection: KeptConnection | None = None
        self._is_connection_shared = False
        self._was_alive: bool | None = None
        """Whether the connection still was, when a new one had to be opened beside it."""
        self._ready_at: float | None = None
        self._stopped_by: Verdict | None = None
        self._detail = ""
        if self._tunnel is not None:
            self._tunnel.begin()
        self.is_on_dead_connection = False

    def _set_times(self, deadline_seconds: float, connect_seconds: float | None) -> None:
        timeout_ms = max(1, round(deadline_seconds * 1000))
        connect_ms = (
            _NO_CONNECT_LIMIT_MS if connect_seconds is None else round(connect_seconds * 1000)
        )
        if timeout_ms != self._timeout_ms:
            self.curl.setopt(pycurl.TIMEOUT_MS, timeout_ms)
            self._timeout_ms = timeout_ms
        if connect_ms != self._connect_ms:
            self.curl.setopt(pycurl.CONNECTTIMEOUT_MS, max(1, connect_ms))
            self._connect_ms = connect_ms

    def _set_fresh(self, is_fresh: bool) -> None:
        if is_fresh != self._is_fresh:
            self.curl.setopt(pycurl.FRESH_CONNECT, is_fresh)
            self._is_fresh = is_fresh

    def _on_open_socket(self, _purpose: int, wanted: Any) -> int:
        """The second wall: open a socket to the pinned address only, and only if it still may be.

        With a proxy all sockets go to its address; the tunnel is for the pinned one. libcurl
        swallows exceptions of its hooks, so they are kept for the exchange.
        """
        route = self._route
        if self._tunnel is not None:
            self._tunnel.expect_answer()
        if self._ready_at is not None:
            # libcurl has just given the former connection up; while it takes its leave there,
            # the peer will hang up in any case.
            self._was_alive = self._is_alive()
        try:
            address = ip_address(wanted.addr[0])
            if address != self._first_hop:
                return self._refuse(f"{address}: not the address that was judged")
            is_internal_name = self.request.url.is_internal_name
            reason = self._policy.refusal(route.address, is_internal_name=is_internal_name)
            if reason is not None:
                return self._refuse(reason)
            opened = socket.socket(wanted.family, wanted.socktype, wanted.protocol).detach()
        except (OSError, ValueError) as error:
            self._detail = f"opening a socket: {error}"
            if isinstance(error, OSError) and verdicts.is_our_shortage(error):
                self._stopped_by = verdicts.OUR_RESOURCES
            return int(pycurl.SOCKET_BAD)
        self._opened = opened
        self._has_opened = True
        return opened

    @property
    def _first_hop(self) -> IPAddress:
        return self._route.address if self._tunnel is None else self._tunnel.address

    def _refuse(self, reason: str) -> int:
        self._detail = reason
        self._stopped_by = verdicts.BLOCKED
        return int(pycurl.SOCKET_BAD)

    def _on_ready(self, *ends: Any) -> int:
        """Let the request go out on a connection that is ready, if it may."""
        if self._ready_at is not None and not self._was_declined_unread():
            # The kept-alive connection died, and libcurl is about to send the request again.
            self._stopped_by = verdicts.HUNG_UP_INSTEAD
            return int(pycurl.PREREQFUNC_ABORT)
        has_right_text = self._tunnel is None and ends[0] == self._route.text  # the quick way
        if not has_right_text and ip_address(ends[0]) != self._first_hop:
            self._refuse(f"{ends[0]}: not the address that was judged")
            return int(pycurl.PREREQFUNC_ABORT)
        opened, self._opened = self._opened, None
        if opened is not None:
            self._connection = self._kept.add(ends, opened)
        else:
            self._connection = self._kept.get(ends)
            if self._connection is not None and self._is_dead(self._connection):
                self.is_on_dead_connection = True
                return int(pycurl.PREREQFUNC_ABORT)
        self._is_connection_shared = opened is None
        self._ready_at = time.monotonic()
        if self._tunnel is not None:
            self._tunnel.note_ready()
        return int(pycurl.PREREQFUNC_OK)

    def _is_dead(self, connection: KeptConnection) -> bool:
        is_http = self.request.url.scheme == "http"
        return self._kept.is_dead(connection, expects_silence=is_http)

    def _was_declined_unread(self) -> bool:
        """Tell whether a living peer has declined the request that was sent, without reading it.

        HTTP/2 has words for that (RFC 9113, section 8.7), and servers that retire a connection
        after a thousand requests use them. On a new connection libcurl repeats a request for
        this reason only; on one that was used before, for the connection's death as well.
        """
        if not self._is_connection_shared:
            return True
        connection = self._connection
        if connection is None or not connection.speaks_http2:
            self._kept.distrust(self.request.url.host, self.request.url.port)
            return False
        return self._is_alive() if self._was_alive is None else self._was_alive

    def _is_alive(self) -> bool:
        return self._connection is not None and not self._connection.has_hung_up

    def finish(self, error_number: int, words: str) -> Exchange:
        """Turn the ended transfer into an exchange, and let go of the request."""
        response = self._response
        verdict = self._judge(error_number, words)
        connect_ms, tls_ms = self._connect_phases()
        has_detail = error_number != 0 or verdict.outcome is not Outcome.SUCCEEDED
        exchange = Exchange(
            request=self.request,
            outcome=verdict.outcome,
            error=verdict.error,
            operator_detail=self._explain(error_number, words) if has_detail else "",
            status_code=response.status_code,
            duration_ms=round((time.monotonic() - self._started_at) * 1000) + (self._dns_ms or 0),
            dns_ms=self._dns_ms,
            connect_ms=connect_ms,
            tls_ms=tls_ms,
            first_byte_ms=self._first_byte_ms(),
            remote_address=self._remote_address(verdict),
            http_version=response.http_version,
            response_headers=response.headers,
            response_body=response.body,
            is_truncated=response.is_truncated or (error_number != 0 and response.has_body_due),
            request_was_sent=self._ready_at is not None,
            excuse=self._excuse(verdict),
            ended_at_proxy=verdict.is_at_proxy,
        )
        if self._connection is not None and exchange.http_version == "2":
            self._connection.speaks_http2 = True
        self._let_go()
        return exchange

    def _judge(self, error_number: int, words: str) -> Verdict:
        response = self._response
        if response.status_code is not None:
            return verdicts.judge_status(response.status_code)
        if response.has_headers_over_limit:
            return verdicts.HEADERS_TOO_LARGE
        if self._stopped_by is not None:
            return self._stopped_by
        if error_number == 0:
            return verdicts.CLOSED_IN_HEADERS  # libcurl takes an end of file for a blank line
        circumstances = self._circumstances(words)
        if self._tunnel is not None and self._ready_at is None:
            is_connected = circumstances.is_connected
            at_proxy = self._tunnel.verdict_on(error_number, is_connected=is_connected)
            if at_proxy is not None:
                self._detail = self._detail or self._tunnel.detail
                return at_proxy
        return curl_errors.verdict_on(error_number, circumstances)

    def _excuse(self, verdict: Verdict) -> Excuse | None:
        """Excuse a kept connection's end; one that many HTTP/2 requests shared did not die idle."""
        if verdict is not verdicts.HUNG_UP_INSTEAD:
            return None
        was_shared = self._connection is not None and self._connection.speaks_http2
        return None if was_shared else Excuse.STALE_CONNECTION

    def _circumstances(self, words: str) -> Circumstances:
        curl = self.curl
        is_http = self.request.url.scheme == "http"
        return Circumstances(
            os_errno=curl.getinfo(pycurl.OS_ERRNO),
            verify_result=curl.getinfo(pycurl.SSL_VERIFYRESULT),
            is_connected=self._ready_at is not None or curl.getinfo(pycurl.CONNECT_TIME_T) > 0,
            is_secured=self._ready_at is not None
            or is_http
            or curl.getinfo(pycurl.APPCONNECT_TIME_T) > 0,
            has_answer_begun=self._response.first_byte_at is not None,
            allowed_seconds=self._allowed_seconds(),
            words=words,
        )

    def _allowed_seconds(self) -> float:
        """Tell the limit that a timeout ran into, what look-ups took included."""
        connect_seconds = self._connect_seconds
        if self._ready_at is None and connect_seconds is not None:
            return min(connect_seconds, self._deadline_seconds)
        return self._deadline_seconds + (self._dns_ms or 0) / 1000

    def _connect_phases(self) -> tuple[int | None, int | None]:
        """Return the lengths of the TCP and TLS handshakes, in ms, if this transfer made them."""
        if not self._has_opened:
            return None, None
        connected_us = self.curl.getinfo(pycurl.CONNECT_TIME_T)
        if connected_us == 0:
            return None, None
        secured_us = self.curl.getinfo(pycurl.APPCONNECT_TIME_T)
        if self._tunnel is not None and self._tunnel.made_at is not None:
            connected_us = round((self._tunnel.made_at - self._started_at) * 1_000_000)
        connect_ms = round((connected_us - self.curl.getinfo(pycurl.NAMELOOKUP_TIME_T)) / 1000)
        tls_ms = round((secured_us - connected_us) / 1000) if secured_us else None
        return connect_ms, tls_ms

    def _first_byte_ms(self) -> int | None:
        first_byte_at = self._response.first_byte_at
        if self._ready_at is None or first_byte_at is None:
            return None
        return round((first_byte_at - self._ready_at) * 1000)

    def _remote_address(self, verdict: Verdict) -> str | None:
        """Return whom the attempt reached out to; nobody, if not even the proxy took it."""
        has_reached_out = self._ready_at is not None or self._has_opened
        is_lost = verdict is verdicts.PROXY_FAILED
        return self._route.text if has_reached_out and not is_lost else None

    def _explain(self, error_number: int, words: str) -> str:
        parts = [self._detail, f"libcurl {error_number}: {words}" if error_number else ""]
        text = "; ".join([part for part in parts if part])
        # libcurl quotes what the receiver sent; a log line shall stay one line.
        return text.encode("unicode_escape").decode("ascii")

    def _let_go(self) -> None:
        # Handles wait in a pool, and shall not keep what may be megabytes until their next turn.
        if len(self.request.body) > _BODY_WORTH_RELEASING_BYTES:
            self.curl.setopt(pycurl.POSTFIELDS, b"")
        del self.request
        self._response.clear()
