"""What an address is by itself: which special range, which cloud's metadata, which IPv4 inside.

Tables and pure look-ups for `address_guard`, which decides by them. Python's own `is_private` and
`is_global` are no policy: they change between versions, and let multicast and NAT64 through.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from typing import Final

IPAddress = IPv4Address | IPv6Address
IPNetwork = IPv4Network | IPv6Network


@dataclass(frozen=True, slots=True)
class AddressNature:
    """What an address is, whatever an installation allows."""

    address: IPAddress
    """The address that is judged: IPv4-mapped IPv6 is the IPv4 address it stands for, a zone is
    dropped."""
    embedded: tuple[IPv4Address, ...]
    """IPv4 addresses that a translator, relay or tunnel may forward to."""
    metadata_of: str | None
    """Whose platform service answers there."""
    special_range: str | None
    """The special range it lies in, and why, in words for the operator."""


# network, why it is no place for a webhook, where that is written. The first row that fits wins.
# Kept by hand from the IANA special-purpose registries, which also list ranges that are globally
# reachable but serve no customer (AS112, AMT, anycast relays): these are refused as well.
_SPECIAL_RANGES: Final = (
    ("0.0.0.0/8", "this network; Linux takes 0.0.0.0 for the machine itself", "RFC 791 3.2"),
    ("10.0.0.0/8", "private network", "RFC 1918"),
    ("100.64.0.0/10", "carrier-grade NAT, also used by overlay networks", "RFC 6598"),
    ("127.0.0.0/8", "loopback", "RFC 1122 3.2.1.3"),
    (
        "168.63.129.16/32",
        "platform address inside Azure, public only in form",
        "Azure documentation",
    ),
    ("161.26.0.0/16", "IBM Cloud's inner services, public only in form", "IBM documentation"),
    ("166.8.0.0/14", "IBM Cloud's service endpoints, public only in form", "IBM documentation"),
    ("169.254.0.0/16", "link-local, where clouds put their platform services", "RFC 3927"),
    ("172.16.0.0/12", "private network", "RFC 1918"),
    ("192.0.0.0/24", "IETF protocol assignments", "RFC 6890"),
    ("192.0.2.0/24", "documentation", "RFC 5737"),
    ("192.31.196.0/24", "AS112 sink for reverse look-ups", "RFC 7535"),
    ("192.52.193.0/24", "multicast tunnel relays", "RFC 7450"),
    ("192.88.99.0/24", "6to4 relay, given up", "RFC 7526"),
    ("192.168.0.0/16", "private network", "RFC 1918"),
    ("192.175.48.0/24", "AS112 sink for reverse look-ups", "RFC 7534"),
    ("198.18.0.0/15", "benchmarks of network devices", "RFC 2544"),
    ("198.51.100.0/24", "documentation", "RFC 5737"),
    ("203.0.113.0/24", "documentation", "RFC 5737"),
    ("224.0.0.0/4", "multicast", "RFC 5771"),
    ("255.255.255.255/32", "limited broadcast", "RFC 919"),
    ("240.0.0.0/4", "reserved, class E", "RFC 1112 4"),
    ("::/128", "unspecified; Linux takes it for the machine itself", "RFC 4291 2.5.2"),
    ("::1/128", "loopback", "RFC 4291 2.5.3"),
    ("::/96", "IPv4-compatible, given up", "RFC 4291 2.5.5.1"),
    ("::ffff:0:0:0/96", "IPv4-translated", "RFC 2765 2.1"),
    ("64:ff9b::/96", "NAT64: the network forwards to the IPv4 address inside", "RFC 6052 2.1"),
    ("64:ff9b:1::/48", "NAT64 for local use", "RFC 8215"),
    ("100::/64", "discard", "RFC 6666"),
    ("100:0:0:1::/64", "dummy prefix", "RFC 9780"),
    ("2001::/32", "Teredo: forwards to the IPv4 addresses inside", "RFC 4380"),
    ("2001::/23", "IETF protocol assignments", "RFC 2928"),
    ("2001:db8::/32", "documentation", "RFC 3849"),
    ("2002::/16", "6to4: forwards to the IPv4 address inside", "RFC 3056"),
    ("2620:4f:8000::/48", "AS112 sink for reverse look-ups", "RFC 7534"),
    ("3ffe::/16", "6bone, returned", "RFC 3701"),
    ("3fff::/20", "documentation", "RFC 9637"),
    ("5f00::/16", "segment routing identifiers", "RFC 9602"),
    ("fc00::/7", "unique local", "RFC 4193"),
    ("fe80::/10", "link-local", "RFC 4291 2.5.6"),
    ("fec0::/10", "site-local, given up", "RFC 3879"),
    ("ff00::/8", "multicast", "RFC 4291 2.7"),
    # What is left of IPv6: only 2000::/3 was ever handed out as global unicast.
    ("::/3", "not global unicast", "RFC 4291 2.4"),
    ("4000::/2", "not global unicast", "RFC 4291 2.4"),
    ("8000::/1", "not global unicast", "RFC 4291 2.4"),
)

# Whoever may POST there may act as the machine. An allow-list opens these only one by one, so
# that allowing 10.0.0.0/8 or 0.0.0.0/0 in a cloud does not hand out the machine's credentials.
_METADATA_ADDRESSES: Final = {
    "169.254.169.254": "AWS, Azure, Google Cloud, OpenStack and most others",
    "169.254.169.253": "AWS (DNS)",
    "169.254.169.250": "Rancher",
    "169.254.169.255": "Akamai",
    "169.254.170.2": "AWS (ECS task credentials)",
    "169.254.170.23": "AWS (EKS pod identity)",
    "169.254.0.23": "Tencent Cloud",
    "169.254.10.10": "Tencent Cloud",
    "169.254.42.42": "Scaleway",
    "168.63.129.16": "Azure (WireServer)",
    "100.100.100.200": "Alibaba Cloud",
    "100.96.0.96": "Volcano Engine",
    "100.80.80.80": "UCloud",
    "192.0.0.192": "Oracle Cloud",
    "fd00:ec2::254": "AWS",
    "fd00:ec2::253": "AWS (DNS)",
    "fd00:ec2::23": "AWS (EKS pod identity)",
    "fd20:ce::254": "Google Cloud",
    "fd00:c1::a9fe:a9fe": "Oracle Cloud",
    "fd00:100::100:200": "Alibaba Cloud",
    "fd00:a9fe:a9fe::1": "Akamai",
    "fd00:42::42": "Scaleway",
    "fe80::a9fe:a9fe": "OpenStack",
}

_RANGES: Final = tuple(
    (ip_network(network), f"{network}, {why} ({source})")
    for network, why, source in _SPECIAL_RANGES
)
_METADATA: Final = {ip_address(text): owner for text, owner in _METADATA_ADDRESSES.items()}

# IPv4-compatible, IPv4-translated, NAT64: see their rows above.
_IPV4_IN_LAST_32_BITS: Final = tuple(
    IPv6Network(text) for text in ("::/96", "::ffff:0:0:0/96", "64:ff9b::/96")
)
_NAT64_LOCAL: Final = IPv6Network("64:ff9b:1::/48")
_TEREDO: Final = IPv6Network("2001::/32")
_6TO4: Final = IPv6Network("2002::/16")
_NOT_AN_EMBEDDING: Final = frozenset({IPv6Address("::"), IPv6Address("::1")})

# RFC 5214 6.1: interface ids 0000:5efe and 0200:5efe; masked are the "universal" and "group" bits.
_ISATAP_MASK: Final = 0xFCFF_FFFF
_ISATAP_ID: Final = 0x0000_5EFE

# Of all 4 billion addresses a sender meets few, again and again; a row is about 0.5 kB.
_CACHE_ROWS: Final = 8192


def nature_of(address: IPAddress) -> AddressNature:
    """Say what this address is; the same value comes back for equal addresses."""
    # The packed form hashes and compares in C: four times as fast as the address as a key.
    return _nature_of_packed(address.packed)


@lru_cache(maxsize=_CACHE_ROWS)
def _nature_of_packed(packed: bytes) -> AddressNature:
    address = ip_address(packed)
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return AddressNature(
        address=address,
        embedded=embedded_addresses(address) if isinstance(address, IPv6Address) else (),
        metadata_of=_METADATA.get(address),
        special_range=next((words for network, words in _RANGES if address in network), None),
    )


def embedded_addresses(address: IPv6Address) -> tuple[IPv4Address, ...]:
    """List the IPv4 addresses inside of an IPv6 address, other than the IPv4-mapped form's."""
    number = int(address)
    found: list[IPv4Address] = []
    if address in _NOT_AN_EMBEDDING:
        return ()
    if any(address in network for network in _IPV4_IN_LAST_32_BITS):
        found.append(_ipv4_at(number, 96))
    elif address in _NAT64_LOCAL:
        found.extend(_readings_of_local_nat64(number))
    elif address in _6TO4:
        found.append(_ipv4_at(number, 16))
    elif address in _TEREDO:
        found.append(_ipv4_at(number, 32))  # the server
        found.append(_ipv4_at(number ^ 0xFFFF_FFFF, 96))  # the client, stored inverted
    if (number >> 32) & _ISATAP_MASK == _ISATAP_ID:
        found.append(_ipv4_at(number, 96))
    return tuple(found)


def _ipv4_at(number: int, bit: int) -> IPv4Address:
    """Read 32 bits that begin `bit` bits from the left of a 128-bit number."""
    return IPv4Address((number >> (96 - bit)) & 0xFFFF_FFFF)


def _readings_of_local_nat64(number: int) -> list[IPv4Address]:
    """Read an address of 64:ff9b:1::/48 in each way RFC 6052 2.2 has for prefixes of 48 to 96 bits.

    Nothing in the address says how long the translator's prefix is, so each reading must pass.
    The shorter forms skip octet 8. Readings in 0.0.0.0/8 are dropped where there are others: they
    come of reading zeros of the prefix or suffix, and a packet to there arrives nowhere.
    """
    without_octet_8 = (number >> 64 << 64) | ((number & (1 << 56) - 1) << 8)
    last_32_bits = _ipv4_at(number, 96)
    readings = [*(_ipv4_at(without_octet_8, bit) for bit in (48, 56, 64)), last_32_bits]
    return [reading for reading in readings if int(reading) >> 24] or [last_32_bits]
