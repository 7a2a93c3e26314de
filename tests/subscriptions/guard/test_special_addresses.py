"""The table of special ranges, and where IPv4 addresses hide inside of IPv6 ones."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

import pytest

from subscriptions.guard.special_addresses import embedded_addresses, nature_of

SPECIAL_RANGES = """
    0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24
    192.0.2.0/24 192.31.196.0/24 192.52.193.0/24 192.88.99.0/24 192.168.0.0/16 192.175.48.0/24
    198.18.0.0/15 198.51.100.0/24 203.0.113.0/24 224.0.0.0/4 240.0.0.0/4 168.63.129.16/32
    255.255.255.255/32 161.26.0.0/16 166.8.0.0/14
    ::/128 ::1/128 ::/96 ::ffff:0:0:0/96 64:ff9b::/96 64:ff9b:1::/48 100::/64 100:0:0:1::/64
    2001::/23 2001::/32 2001:db8::/32 2002::/16 2620:4f:8000::/48
    3ffe::/16 3fff::/20 5f00::/16 fc00::/7 fe80::/10 fec0::/10 ff00::/8
    ::/3 4000::/2 8000::/1
"""


@pytest.mark.parametrize("network", SPECIAL_RANGES.split())
def test_a_special_range_is_special_from_its_first_to_its_last_address(network: str) -> None:
    special = ip_network(network)
    words = [nature_of(address).special_range or "" for address in (special[0], special[-1])]
    assert all(words)
    # Where one range lies in another, the narrower one gives the words at one of the ends.
    assert any(text.startswith(f"{network}, ") for text in words)


ORDINARY_NEIGHBOURS = """
    1.0.0.0 9.255.255.255 11.0.0.0 100.63.255.255 100.128.0.0 126.255.255.255 128.0.0.0
    161.25.255.255 161.27.0.0 166.7.255.255 166.12.0.0
    168.63.129.15 168.63.129.17 169.253.255.255 169.255.0.0 172.15.255.255 172.32.0.0
    191.255.255.255 192.0.1.0 192.0.3.0 192.31.195.255 192.31.197.0 192.52.192.255 192.52.194.0
    192.88.98.255 192.88.100.0 192.167.255.255 192.169.0.0 192.175.47.255 192.175.49.0
    198.17.255.255 198.20.0.0 198.51.99.255 198.51.101.0 203.0.112.255 203.0.114.0 223.255.255.255
    2000:: 2001:200:: 2001:db7:ffff:ffff:ffff:ffff:ffff:ffff 2001:db9:: 2003::
    2001:ffff:ffff:ffff:ffff:ffff:ffff:ffff 2620:4f:7fff:ffff:ffff:ffff:ffff:ffff 2620:4f:8001::
    3ffd:ffff:ffff:ffff:ffff:ffff:ffff:ffff 3fff:1000:: 3fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff
"""


@pytest.mark.parametrize("address", ORDINARY_NEIGHBOURS.split())
def test_the_neighbours_of_special_ranges_are_ordinary(address: str) -> None:
    nature = nature_of(ip_address(address))
    assert (nature.special_range, nature.metadata_of, nature.embedded) == (None, None, ())


def test_the_narrowest_range_gives_the_words() -> None:
    assert nature_of(ip_address("::1")).special_range == "::1/128, loopback (RFC 4291 2.5.3)"
    assert nature_of(ip_address("255.255.255.255")).special_range == (
        "255.255.255.255/32, limited broadcast (RFC 919)"
    )
    words = nature_of(ip_address("2001::1")).special_range
    assert words is not None
    assert words.startswith("2001::/32, Teredo")


def test_equal_addresses_share_one_value() -> None:
    assert nature_of(ip_address("8.8.8.8")) is nature_of(IPv4Address(0x08080808))
    assert nature_of(ip_address("0.0.0.1")) is not nature_of(ip_address("::1"))


@pytest.mark.parametrize(
    ("address", "embedded"),
    [
        # The example addresses of RFC 6052 2.4, moved to the prefix for local use.
        ("64:ff9b:1:c000:2:2100::", "192.0.2.33"),
        ("64:ff9b:1:3c0:0:221::", "192.0.2.33"),
        ("64:ff9b:1:344:c0:2:2100::", "192.0.2.33"),
        ("64:ff9b:1::192.0.2.33", "192.0.2.33"),
        # What an octet 8 or a suffix hides that should be zero (RFC 6052 2.2) is still found.
        ("64:ff9b:1:c000:ff02:2100::1", "192.0.2.33"),
        ("64:ff9b:1:344:ffc0:2:21ff:ffff", "192.0.2.33"),
        # Zeros are only read as an address where there is no other.
        ("64:ff9b:1::2", "0.0.0.2"),
        ("64:ff9b::192.0.2.33", "192.0.2.33"),
        ("::ffff:0:192.0.2.33", "192.0.2.33"),
        ("::192.0.2.33", "192.0.2.33"),
        ("2002:c000:221::1", "192.0.2.33"),
        # The example of RFC 4380 has the server 65.54.227.120 and the client 192.0.2.45.
        ("2001:0:4136:e378:8000:63bf:3fff:fdd2", "65.54.227.120"),
        ("2001:0:4136:e378:8000:63bf:3fff:fdd2", "192.0.2.45"),
        ("2606:4700::5efe:192.0.2.33", "192.0.2.33"),
        ("2606:4700::200:5efe:192.0.2.33", "192.0.2.33"),
        ("fe80::300:5efe:192.0.2.33", "192.0.2.33"),
        # Nested: a 6to4 prefix and an ISATAP interface.
        ("2002:a00:1:1:0:5efe:192.0.2.33", "192.0.2.33"),
        ("2002:a00:1:1:0:5efe:192.0.2.33", "10.0.0.1"),
    ],
)
def test_an_embedded_ipv4_address_is_found(address: str, embedded: str) -> None:
    assert IPv4Address(embedded) in embedded_addresses(IPv6Address(address))


@pytest.mark.parametrize("address", ["::", "::1", "2606:4700::1111", "fe80::1", "2606::5eff:1:1"])
def test_nothing_is_found_where_nothing_is_embedded(address: str) -> None:
    assert embedded_addresses(IPv6Address(address)) == ()


def test_a_local_translator_with_the_usual_prefix_length_can_be_told_from_the_others() -> None:
    readings = embedded_addresses(IPv6Address("64:ff9b:1::8.8.8.8"))
    assert readings == (IPv4Address("8.8.8.8"),)


def test_a_mapped_address_is_turned_into_the_address_it_stands_for() -> None:
    nature = nature_of(ip_address("::ffff:169.254.169.254"))
    assert nature == nature_of(ip_address("169.254.169.254"))
    assert nature.metadata_of
