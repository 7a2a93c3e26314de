"""Opens a connection to exactly the address that was judged, and sends one attempt's bytes over it.

`requests_pool` hands each attempt a new connection or one that is idle. Here are the second wall
(the address is judged again when a socket is opened), TLS, and the deadline of each phase.
"""

from __future__ import annotations

import socket
import ssl
import time
from dataclasses import dataclass
from functools import cached_property
from ipaddress import ip_address
from typing import Any

from urllib3.connection import HTTPConnection

from deliveries.sending import egress_proxy, verdicts
from deliveries.sending.deadline_watch import DeadlineWatch
from deliveries.sending.proxy_address import LocatedProxy
from deliveries.sending.proxy_tunnel import ask_for_tunnel
from deliveries.sending.requests_answer import Answer
from deliveries.sending.requests_attempt import Attempt, AttemptEnded, Stage
from subscriptions.guard.address_guard import AddressPolicy, IPAddress


@dataclass(frozen=True, slots=True)
class Origin:
    """Whom a connection was opened to; it is used for no other."""

    scheme: str
    host: str
    port: int
    address: IPAddress


class Authorities:
    """The certificate authorities that are trusted: a PEM file, read when it is first needed."""

    def __init__(self, ca_file: str) -> None:
        self._ca_file = ca_file

    @cached_property
    def context(self) -> ssl.SSLContext:
        """What connections are secured with; raises `OSError` if the file cannot be used."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # checks certificates and names
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols(["http/1.1"])
        context.load_verify_locations(self._ca_file)
        return context


class PinnedConnection(HTTPConnection):
    """A connection, with or without TLS; carries one attempt at a time, several in turn."""

    def __init__(
        self,
        origin: Origin,
        *,
        policy: AddressPolicy,
        authorities: Authorities,
        watch: DeadlineWatch,
        proxy: LocatedProxy | None = None,
    ) -> None:
        super().__init__(str(origin.address), origin.port)
        self.origin = origin
        self._policy = policy
        self._authorities = authorities
        self._watch = watch
        self._proxy = proxy
        self._answer: Answer | None = None

    def take(self, attempt: Attempt) -> None:
        """Carry this attempt from now on; it is the connection's first unless it is connected."""
        self._attempt = attempt
        self._answer = None

    @property
    def may_be_kept(self) -> bool:
        """Whether a next attempt can follow; to be asked when the answer was read to its end."""
        return (
            self.sock is not None
            and self._answer is not None
            and self._answer.may_be_kept
            and self._attempt.send_error is None
        )

    def let_go(self) -> None:
        """Spare the connection the deadline of the attempt that has ended on it."""
        if self.sock is not None:
            self._watch.let_go(self.sock)

    def close(self) -> None:
        """Close the connection; what is guarded is let go first."""
        self.let_go()
        super().close()

    # ---- Getting ready -------------------------------------------------------------------------

    def get_ready(self) -> None:
        """Connect unless the connection is there; raises `AttemptEnded`."""
        attempt = self._attempt
        try:
            if self.sock is None:
                self._open()
            else:
                attempt.is_reused = True
            attempt.enter(Stage.READY)
            self._guard(self.sock)
        except OSError as error:
            raise attempt.failure(error) from error

    def _open(self) -> None:
        context = self._context() if self.origin.scheme == "https" else None
        self._check_address(self.origin.address)
        if self._proxy is None:
            opened = self._connect(self.origin.address, self.origin.port)
            self._check_address(ip_address(opened.getpeername()[0]))
        else:
            opened = self._connect_through(self._proxy)
        if context is not None:
            self._secure(opened, context)

    def _connect(self, address: IPAddress, port: int) -> socket.socket:
        opened = socket.socket(socket.AF_INET6 if address.version == 6 else socket.AF_INET)
        self.sock = opened  # from here on `close` closes it
        self._attempt.enter(Stage.CONNECTING)
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._guard(opened)
        opened.connect((str(address), port))
        return opened

    def _connect_through(self, located: LocatedProxy) -> socket.socket:
        """Connect to the proxy, and have it make a tunnel to the judged address."""
        self._attempt.is_proxied = True
        address = located.address
        if address is None:
            raise AttemptEnded(verdicts.PROXY_FAILED, "the egress proxy's name leads nowhere")
        try:
            opened = self._connect(address, located.proxy.port)
            self._attempt.enter(Stage.TUNNELLING)
            head = ask_for_tunnel(opened, located.proxy, self.origin.address, self.origin.port)
        except OSError:
            located.note_failure(address)
            raise
        if not egress_proxy.has_tunnel(head):
            raise AttemptEnded(egress_proxy.verdict_on(head), egress_proxy.explain(head))
        return opened

    def _context(self) -> ssl.SSLContext:
        try:
            return self._authorities.context
        except OSError as error:  # no fault of the receiver
            raise AttemptEnded(
                verdicts.OUR_RESOURCES, f"certificate authorities: {error}"
            ) from error

    def _check_address(self, address: IPAddress) -> None:
        """The second wall: only the judged address, and only if it still may be contacted."""
        attempt = self._attempt
        if address != attempt.address:
            raise AttemptEnded(verdicts.BLOCKED, f"{address}: not the address that was judged")
        is_internal_name = attempt.request.url.is_internal_name
        reason = self._policy.refusal(address, is_internal_name=is_internal_name)
        if reason is not None:
            raise AttemptEnded(verdicts.BLOCKED, reason)

    def _secure(self, opened: socket.socket, context: ssl.SSLContext) -> None:
        self._attempt.enter(Stage.SECURING)
        self._watch.let_go(opened)
        # The handshake waits until the watch knows the socket that it happens on.
        secured = context.wrap_socket(
            opened,
            server_hostname=self.origin.host,
            do_handshake_on_connect=False,
            suppress_ragged_eofs=False,
        )
        self.sock = secured
        self._guard(secured)
        secured.do_handshake()

    def _guard(self, guarded: socket.socket) -> None:
        """Give the present stage its time, and no more."""
        until = self._attempt.stage_ends_at
        guarded.settimeout(max(0.001, until - time.monotonic()))
        self._watch.guard(guarded, until=until)

    # ---- Sending and receiving -----------------------------------------------------------------

    def request(self, *args: Any, **options: Any) -> None:
        """Send the request; if it breaks off, an answer may have come before."""
        try:
            super().request(*args, **options)
        except OSError as error:
            self._attempt.send_error = error
        except ValueError as error:  # http.client refuses a header, before any byte is sent
            raise AttemptEnded(verdicts.OUR_SETUP, str(error)) from error

    def send(self, data: Any) -> None:
        """Send bytes; from here on the receiver may have seen some."""
        self._attempt.was_sent = True
        super().send(data)

    def response_class(  # type: ignore[override]  # all that http.client does with it is call it
        self, read_from: socket.socket, *, method: str
    ) -> Answer:
        """Begin to receive the answer."""
        self._answer = Answer(read_from, attempt=self._attempt, method=method)
        return self._answer
