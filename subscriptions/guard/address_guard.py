"""Which URLs and addresses may be contacted; the tables are in `special_addresses`.

Pure. Validators call it when a URL is saved, for the customer's comfort; the way out calls it
for each attempt with every address the name resolves to, and that is the boundary. A URL is
parsed here once, and only the result goes on: two parsers can disagree on whom a URL names.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from typing import Final

import idna

from subscriptions.guard.special_addresses import AddressNature, IPAddress, IPNetwork, nature_of
from subscriptions.guard.special_ports import is_allowed_port

__all__ = [
    "AddressPolicy",
    "Destination",
    "IPAddress",
    "IPNetwork",
    "UrlRefused",
    "parse_destination",
]

URL_LIMIT_BYTES: Final = 2048
"""Of the URL as given and as normalised; what browsers, proxies and logs take without cutting."""

_DEFAULT_PORTS: Final = {"http": 80, "https": 443}

_HOST_LIMIT_BYTES: Final = 253  # RFC 1035 2.3.4, less length octets
_LABEL_LIMIT_BYTES: Final = 63
_LABEL: Final = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"  # RFC 1123 2.1, RFC 1035 2.3.4
_HOST_NAME: Final = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_DOTS: Final = re.compile("[.\u3002\uff0e\uff61]")  # UTS 46 takes the wide ones for a dot
# Marks and fillers that show nothing and that UTS 46 drops: what is read would not be what is
# meant. (Format characters are refused everywhere.)
_INVISIBLE: Final = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)
_LOOKS_NUMERIC: Final = re.compile(
    r"(?:.*\.)?(?:[0-9]+|0x[0-9a-f]*)\.*"
)  # inet_aton(3) takes these
_IPV6_LITERAL: Final = re.compile(r"\[([0-9A-Fa-f:.]+)\](.*)")
_PORT: Final = re.compile(r"[1-9][0-9]{0,4}")
_SCHEME: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):(.*)")
_URL_PARTS: Final = re.compile(r"//(?P<authority>[^/?#]*)(?P<path>[^?#]*)(?P<query>[^#]*)(?:#.*)?")

# All but what may stand in a path or query as it is (RFC 3986 3.3, 3.4). Percent-encodings are
# brought to one spelling (6.2.2): HTTP libraries that do so themselves then change nothing.
_TO_ENCODE: Final = re.compile(r"%[0-9A-Fa-f]{2}|[^A-Za-z0-9._~!$&'()*+,;=:@/?-]")
_UNRESERVED: Final = re.compile(r"[A-Za-z0-9._~-]")

# Names that mean something else inside of each network, or nothing outside of it. Not `.test`,
# `.example` and `.invalid`: nothing answers to these, unless an own resolver says so.
_INTERNAL_SUFFIXES: Final = (
    ".localhost",  # RFC 6761 6.3
    ".local",  # RFC 6762 3, mDNS; Kubernetes' cluster.local; many Active Directories
    ".localdomain",  # common in /etc/hosts
    ".localdomain6",
    ".internal",  # ICANN resolution 2024.07.29.06; AWS, Google Cloud, Docker
    ".home.arpa",  # RFC 8375
    ".service.arpa",  # RFC 9665
    ".svc",  # Kubernetes, completed by its search list
    ".corp",  # ICANN resolution 2018.02.04.12: never delegated, since so widely used inside
    ".home",  # likewise
    ".mail",  # likewise
    ".lan",  # RFC 6762 appendix G: private use, as the following
    ".intranet",
    ".private",
    ".intra",
    ".consul",  # Consul's service names
    ".docker",
    ".onion",  # RFC 7686: no name of the DNS
    ".alt",  # RFC 9476: likewise
)


class UrlRefused(ValueError):
    """A URL cannot be used; `str()` is a sentence for the customer.

    `code` is stable: `address`, `ambiguous`, `character`, `host`, `https_only`, `internal_name`,
    `port`, `scheme`, `too_long`, `userinfo`. `operator_detail` says what the customer is not
    told, so that a refusal is no port scanner; empty where there is nothing to hide.
    """

    def __init__(self, code: str, sentence: str, operator_detail: str = "") -> None:
        super().__init__(code, sentence, operator_detail)
        self.code = code
        self.sentence = sentence
        self.operator_detail = operator_detail

    def __str__(self) -> str:
        return self.sentence


@dataclass(frozen=True, slots=True)
class Destination:
    """A URL, parsed once: everything that a transport may use of it."""

    url: str
    """Normalised, ASCII; what is stored and handed to the HTTP library. Parses to itself."""
    scheme: str
    """`http` or `https`."""
    host: str
    """Lower-case ASCII (IDNA) name without a trailing dot, or an address without brackets."""
    port: int
    target: str
    """Path and query as they stand in the request line; begins with a slash."""
    address: IPAddress | None
    """The host, where it is an address; never an IPv4-mapped one."""
    is_internal_name: bool
    """The name means something inside of a network only: one label, `.local`, `.internal`, …"""

    @property
    def host_header(self) -> str:
        """The value of the `Host` header (RFC 9110 7.2)."""
        return _authority(self.scheme, self.host, self.port, self.address)


def parse_destination(url: str, *, https_only: bool = False) -> Destination:
    """Take a URL apart, and refuse what two parsers could read differently.

    The result's `url` parses to an equal result. What the host stands for is not judged here:
    see `AddressPolicy`. Raises `UrlRefused` and nothing else.
    """
    if len(url) > URL_LIMIT_BYTES:  # before the cache, which shall not hold giants
        raise _too_long()
    destination = _parse(url)
    if https_only and destination.scheme != "https":
        raise UrlRefused("https_only", "The URL must begin with https://.")
    return destination


# Each delivery parses its subscription's URL again; at worst 4096 of some 6 kB are kept.
@lru_cache(maxsize=4096)
def _parse(url: str) -> Destination:
    scheme, rest = _split_scheme(_checked_text(url))
    authority, path, query = _split_rest(rest)
    host_text, port = _split_authority(authority, _DEFAULT_PORTS[scheme])
    host, address = _read_host(host_text)
    target = _normal_path(path) + _normal_query(query)
    normal = f"{scheme}://{_authority(scheme, host, port, address)}{target}"
    if len(normal) > URL_LIMIT_BYTES:
        raise _too_long()
    return Destination(
        url=normal,
        scheme=scheme,
        host=host,
        port=port,
        target=target,
        address=address,
        is_internal_name=address is None and _is_internal_name(host),
    )


def _too_long() -> UrlRefused:
    return UrlRefused("too_long", f"The URL is longer than {URL_LIMIT_BYTES} bytes.")


def _checked_text(url: str) -> str:
    # Not printable are controls, separators, lone surrogates and invisible formatting: parsers
    # drop them, cut at them or take them for the end of a header.
    if not url.isprintable() or " " in url:
        raise _hidden_character()
    if "\\" in url:
        raise UrlRefused("ambiguous", "The URL contains a backslash; write %5C if it is meant.")
    return url


def _hidden_character() -> UrlRefused:
    return UrlRefused("character", "The URL contains a space, a line break or a hidden character.")


def _split_scheme(url: str) -> tuple[str, str]:
    match = _SCHEME.fullmatch(url)
    scheme = match[1].lower() if match else ""
    if match is None or scheme not in _DEFAULT_PORTS:
        raise UrlRefused("scheme", "The URL must begin with https:// or http://.")
    return scheme, match[2]


def _split_rest(rest: str) -> tuple[str, str, str]:
    match = _URL_PARTS.fullmatch(rest)
    if match is None or not match["authority"]:
        raise UrlRefused("ambiguous", "After the scheme, two slashes and a host name must follow.")
    authority, path, query = match.group("authority", "path", "query")
    # Old parsers read on to the @ when no slash ends the host: http://one.test?@other.test/.
    if not path and "@" in rest[2 + len(authority) :]:
        raise UrlRefused("ambiguous", "Write a slash after the host name of the URL.")
    return authority, path, query


def _split_authority(authority: str, default_port: int) -> tuple[str, int]:
    if "@" in authority:
        raise UrlRefused("userinfo", "The URL must not contain a user name or a password.")
    bracketed = _IPV6_LITERAL.fullmatch(authority)
    if bracketed:
        host, rest = f"[{bracketed[1]}]", bracketed[2]
    elif "[" in authority or "]" in authority:
        raise _no_host()
    else:
        host, colon, port_text = authority.partition(":")
        rest = colon + port_text
    if not rest:
        return host, default_port
    if (
        not rest.startswith(":")
        or not _PORT.fullmatch(rest, 1)
        or not is_allowed_port(int(rest[1:]))
    ):
        raise UrlRefused("port", "The URL's port is not one that webhooks may be sent to.")
    return host, int(rest[1:])


def _read_host(text: str) -> tuple[str, IPAddress | None]:
    if text.startswith("["):
        return _read_ipv6(text)
    ascii_text = text.lower() if text.isascii() else _to_ascii(text)
    if _LOOKS_NUMERIC.fullmatch(ascii_text):
        return _read_ipv4(text)
    name = ascii_text.removesuffix(".")
    if len(name) > _HOST_LIMIT_BYTES or not _HOST_NAME.fullmatch(name):
        raise _no_host()
    if "xn--" in name and _to_ascii(name) != name:
        raise _no_host()
    return name, None


def _no_host() -> UrlRefused:
    return UrlRefused("host", "The URL's host is not a valid host name.")


def _read_ipv6(text: str) -> tuple[str, IPAddress]:
    try:
        written = IPv6Address(text[1:-1])
    except AddressValueError:
        raise _no_host() from None
    address = written.ipv4_mapped or written
    return str(address), address


def _read_ipv4(text: str) -> tuple[str, IPAddress]:
    """Read the one spelling of an IPv4 address that all parsers agree on: a dotted quad."""
    try:
        return text, IPv4Address(text)
    except AddressValueError:
        raise UrlRefused(
            "host", "The URL's host looks like a number but is not an address such as 192.0.2.1."
        ) from None


def _to_ascii(name: str) -> str:
    """Map and encode a name by UTS 46, non-transitional, and check it by IDNA 2008."""
    labels = _DOTS.split(name)
    # Long names and labels cost idna much time; a mapping that shortens them is no reason.
    if len(name) > _HOST_LIMIT_BYTES + 1 or max(map(len, labels)) > _LABEL_LIMIT_BYTES:
        raise _no_host()
    if _INVISIBLE.search(name):
        raise _hidden_character()
    try:
        return idna.encode(name, uts46=True).decode("ascii")
    except UnicodeError:  # idna's own errors are of this class
        raise _no_host() from None


def _is_internal_name(name: str) -> bool:
    return "." not in name or f".{name}".endswith(_INTERNAL_SUFFIXES)


def _authority(scheme: str, host: str, port: int, address: IPAddress | None) -> str:
    shown_host = f"[{host}]" if isinstance(address, IPv6Address) else host
    return shown_host if port == _DEFAULT_PORTS[scheme] else f"{shown_host}:{port}"


def _normal_path(path: str) -> str:
    """Percent-encode and remove dot segments (RFC 3986 5.2.4), so that no HTTP library does."""
    kept: list[str] = []
    segments = _encoded(path).split("/")[1:] or [""]
    for segment in segments:
        if segment not in {".", ".."}:
            kept.append(segment)
        elif segment == ".." and kept:
            kept.pop()
    if segments[-1] in {".", ".."}:
        kept.append("")  # what ends in a dot segment is a directory
    return "/" + "/".join(kept)


def _normal_query(query: str) -> str:
    return _encoded(query) if len(query) > 1 else ""  # a lone "?" is dropped: libcurl does as well


def _encoded(text: str) -> str:
    return _TO_ENCODE.sub(_encode_match, text)


def _encode_match(match: re.Match[str]) -> str:
    text = match[0]
    if text == "%":
        raise UrlRefused(
            "ambiguous", "The URL contains a % that is no percent-encoding; write %25."
        )
    if text.startswith("%"):
        plain = chr(int(text[1:], 16))
        return plain if _UNRESERVED.fullmatch(plain) else text.upper()
    return "".join(f"%{byte:02X}" for byte in text.encode())


def _never_own(_address: IPAddress) -> bool:
    return False


@dataclass(frozen=True, slots=True)
class AddressPolicy:
    """What one installation may contact: public addresses, less its own, plus what is listed.

    Judging raises `OSError` where `is_own` does: nobody can tell then, and nothing is contacted.
    """

    allowed_networks: tuple[IPNetwork, ...] = ()
    """Open although special or own. A cloud's metadata address only opens when it is listed by
    itself, as /32 or /128. IPv4 addresses inside of IPv6 ones need listing as well."""
    is_own: Callable[[IPAddress], bool] = _never_own
    """Tells the machine's own addresses, public ones included; see `own_addresses`."""
    refused_networks: tuple[IPNetwork, ...] = ()
    """Closed whatever else holds: ranges that are public in form only, an own NAT64 prefix."""

    def check_destination(self, destination: Destination) -> None:
        """Raise `UrlRefused` for what no look-up is needed to refuse."""
        if destination.is_internal_name and not self.allowed_networks:
            raise UrlRefused("internal_name", "The URL's host is not a public host name.")
        if destination.address is not None:
            reason = self.refusal(destination.address)
            if reason is not None:
                raise UrlRefused("address", "The URL's address may not be contacted.", reason)

    def first_refusal(
        self, addresses: Iterable[IPAddress], *, is_internal_name: bool = False
    ) -> str | None:
        """Judge all addresses of a name: one bad address refuses them all."""
        for address in addresses:
            reason = self.refusal(address, is_internal_name=is_internal_name)
            if reason is not None:
                return reason
        return None

    def refusal(self, address: IPAddress, *, is_internal_name: bool = False) -> str | None:
        """Give the operator's words for why not, or `None` if the address may be contacted.

        An internal name only stands for allowed networks. What is embedded is judged as well.
        """
        nature = nature_of(address)
        reason = self._own_refusal(nature, is_internal_name)
        if reason is not None:
            return f"{address}: {reason}"
        for inner in nature.embedded:
            reason = self.refusal(inner, is_internal_name=is_internal_name)
            if reason is not None:
                return f"{address} contains {reason}"
        return None

    def _own_refusal(self, nature: AddressNature, is_internal_name: bool) -> str | None:
        """Judge the address itself, not what is embedded."""
        address = nature.address
        if any(address in network for network in self.refused_networks):
            return "in a network that this installation refuses"
        if nature.metadata_of is not None:
            if self._lists_alone(address):
                return None
            return f"platform service of {nature.metadata_of}"
        if nature.special_range is not None:
            return None if self._lists(address) else nature.special_range
        if is_internal_name and not self._lists(address):
            return "an internal name may only stand for allowed networks"
        if not self._lists(address) and self.is_own(address):
            return "the machine's own address"
        return None

    def _lists(self, address: IPAddress) -> bool:
        return any(address in network for network in self.allowed_networks)

    def _lists_alone(self, address: IPAddress) -> bool:
        return any(
            network.prefixlen == network.max_prefixlen and address in network
            for network in self.allowed_networks
        )
