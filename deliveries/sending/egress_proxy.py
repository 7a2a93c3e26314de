"""The egress proxy: how its setting is read, and what is said to it for a tunnel to an address.

Both transports and the probe send all that they send through it, where one is set (ADR 14). Values
only; where the proxy is at present is `proxy_address`'s to know.
"""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import unquote, urlsplit

from deliveries.sending import verdicts
from deliveries.sending.verdicts import Verdict
from subscriptions.guard.address_guard import IPAddress

HEAD_LIMIT_BYTES: Final = 16 * 1024
"""Of the proxy's answer to CONNECT."""

_STATUS_LINE: Final = re.compile(rb"HTTP/1\.[01] ([1-5][0-9]{2})(?: [^\0\r\n]*)?\r?\n")
_PLAIN: Final = re.compile(r"[!-~]+")
_SHAPE: Final = "write http://host:port or http://user:password@host:port, and nothing behind it"

_FORBIDDEN: Final = 403
_PROXY_AUTHENTICATION_REQUIRED: Final = 407
_GATEWAY_TIMEOUT: Final = 504

# Smokescreen says 407 where it may not connect; with this header it is not about credentials.
_DENIAL: Final = re.compile(rb"^x-smokescreen-error[ \t]*:", re.IGNORECASE | re.MULTILINE)


@dataclass(frozen=True, slots=True)
class EgressProxy:
    """A proxy that makes tunnels (CONNECT, RFC 9110 section 9.3.6), spoken to in plain HTTP."""

    host: str
    """A name, looked up as the system does, or an address without brackets."""
    port: int
    credentials: str = field(default="", repr=False)
    """`user:password`; empty: none are sent."""

    @property
    def authorization(self) -> list[str]:
        """The header line that carries the credentials, if there are any."""
        if not self.credentials:
            return []
        encoded = base64.b64encode(self.credentials.encode()).decode("ascii")
        return [f"Proxy-Authorization: Basic {encoded}"]


def parse_egress_proxy(text: str) -> EgressProxy:
    """Read `http://user:password@host:port`; raises `ValueError`, which never quotes it."""
    if not _PLAIN.fullmatch(text):
        raise ValueError(f"{_SHAPE}; encode what is not plain ASCII as %XX")
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise ValueError(_SHAPE) from None
    if parts.scheme != "http":
        raise ValueError("only http:// proxies are supported; the tunnel inside is encrypted")
    if not host or not port or parts.path.strip("/") or parts.query or parts.fragment:
        raise ValueError(_SHAPE)
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    if ":" in user or not (user + password).isprintable():
        raise ValueError("the user name has a colon, or the credentials a control character")
    return EgressProxy(host, port, f"{user}:{password}" if user or password else "")


def connect_request(proxy: EgressProxy, address: IPAddress, port: int) -> bytes:
    """Ask for a tunnel to exactly this address: no name is left for the proxy to resolve."""
    authority = f"[{address}]:{port}" if address.version == 6 else f"{address}:{port}"
    lines = [f"CONNECT {authority} HTTP/1.1", f"Host: {authority}", *proxy.authorization]
    return "\r\n".join([*lines, "", ""]).encode("ascii")


def status_of(head: bytes) -> int | None:
    """Return the status of an answer to CONNECT, or `None` where it is not HTTP."""
    match = _STATUS_LINE.match(head)
    return int(match[1]) if match else None


def has_tunnel(head: bytes) -> bool:
    """Tell whether the proxy's answer says that the tunnel is there."""
    return (status_of(head) or 0) // 100 == 2


def verdict_on(head: bytes) -> Verdict:
    """Judge an answer to CONNECT that is no tunnel; see ADR 14."""
    status = status_of(head)
    if status is None:
        return verdicts.PROXY_FAILED
    if status == _FORBIDDEN:
        return verdicts.PROXY_FORBIDS
    if status == _PROXY_AUTHENTICATION_REQUIRED and _DENIAL.search(head):
        return verdicts.PROXY_FORBIDS
    if status == _GATEWAY_TIMEOUT:
        return verdicts.PROXY_GIVES_UP
    return verdicts.PROXY_CANNOT if status >= 500 else verdicts.PROXY_FAILED


def explain(head: bytes) -> str:
    """Say for the operator's log what the proxy answered, on one line."""
    first_line = head.partition(b"\n")[0][:200].strip().decode("latin-1")
    return f"egress proxy to CONNECT: {first_line!a}" if first_line else "egress proxy: no answer"
