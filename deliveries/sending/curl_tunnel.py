"""One easy handle's way through the egress proxy: what libcurl is told of it, and what came of it.

`curl_transfer` has one where a proxy is set. libcurl makes the tunnel (CONNECT) to the judged
address, for http:// as well, and speaks to the receiver inside of it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from ipaddress import ip_address
from typing import Final

import pycurl

from deliveries.sending import curl_errors, egress_proxy, verdicts
from deliveries.sending.proxy_address import LocatedProxy
from deliveries.sending.verdicts import Verdict

# libcurl would name itself and its libraries; a name without a value removes.
_NO_HEADERS_OF_ITS_OWN: Final = ["User-Agent:", "Proxy-Connection:"]
_NOWHERE: Final = ip_address("::")

TakesLine = Callable[[bytes], int | None]


class CurlTunnel:
    """The tunnel of the attempt that a handle is carrying at present."""

    def __init__(
        self, curl: pycurl.Curl, located: LocatedProxy, *, take_header_line: TakesLine
    ) -> None:
        self._curl = curl
        self._located = located
        self._take_receivers_line = take_header_line
        self.address = _NOWHERE
        """The proxy's, which all sockets are opened to."""
        self.begin()
        for option, value in (
            (pycurl.PROXYTYPE, pycurl.PROXYTYPE_HTTP),
            (pycurl.HTTPPROXYTUNNEL, 1),
            (pycurl.NOPROXY, ""),  # the environment's list does not count
            (pycurl.HEADEROPT, pycurl.HEADER_SEPARATE),  # the request's headers are not the proxy's
            (pycurl.PROXYHEADER, [*located.proxy.authorization, *_NO_HEADERS_OF_ITS_OWN]),
            (pycurl.HEADERFUNCTION, self._take_header_line),
        ):
            curl.setopt(option, value)

    def begin(self) -> None:
        """Forget the former attempt, and go by where the proxy is now."""
        self.expect_answer()
        address = self._located.address
        if address is not None and address != self.address:
            literal = f"[{address}]" if address.version == 6 else str(address)
            self._curl.setopt(pycurl.PROXY, f"http://{literal}:{self._located.proxy.port}")
            self.address = address

    def expect_answer(self) -> None:
        """Note that a socket is being opened: what comes next is the proxy's.

        libcurl may open one for a request that was on another before; the proxy's "200" shall not
        be taken for the receiver's.
        """
        self._head = bytearray()
        self.made_at: float | None = None
        """When the proxy said that the tunnel was there; not on a connection that is used again."""
        self._is_receivers_turn = False

    def note_ready(self) -> None:
        """Note that what comes from now on is the receiver's."""
        self._is_receivers_turn = True

    def _take_header_line(self, line: bytes) -> int | None:
        """Keep the lines that are the proxy's own to ourselves; `None` means that all is well."""
        if self._is_receivers_turn:
            return self._take_receivers_line(line)
        if len(self._head) + len(line) > egress_proxy.HEAD_LIMIT_BYTES:
            return 0
        self._head += line
        if line in (b"\r\n", b"\n") and egress_proxy.has_tunnel(bytes(self._head)):
            self.made_at = time.monotonic()
        return None

    def verdict_on(self, error_number: int, *, is_connected: bool) -> Verdict | None:
        """Judge an attempt that did not come to be ready; `None` where the tunnel was there."""
        if self.made_at is not None:
            return None
        if self._head:
            verdict = egress_proxy.verdict_on(bytes(self._head))
        elif error_number == curl_errors.OPERATION_TIMEDOUT and is_connected:
            verdict = verdicts.PROXY_GIVES_UP
        else:
            verdict = verdicts.PROXY_FAILED
        if verdict is verdicts.PROXY_FAILED:
            self._located.note_failure(self.address)
        return verdict

    @property
    def detail(self) -> str:
        """What the proxy said, for the operator; empty once the tunnel was there."""
        return "" if self.made_at is not None else egress_proxy.explain(bytes(self._head))
