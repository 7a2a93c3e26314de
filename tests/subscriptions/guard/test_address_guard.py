"""Which destinations and addresses a policy lets through; `test_destination` has the parsing."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from subscriptions.guard.address_guard import (
    AddressPolicy,
    IPAddress,
    IPNetwork,
    UrlRefused,
    parse_destination,
)

CASES = json.loads((Path(__file__).parent.parent / "data" / "ssrf_cases.json").read_text())
PUBLIC_IPV4 = IPv4Address("93.184.215.14")
PUBLIC_IPV6 = IPv6Address("2606:2800:21f::14")


def allowing(*networks: str, is_own: Callable[[IPAddress], bool] | None = None) -> AddressPolicy:
    listed: tuple[IPNetwork, ...] = tuple(ip_network(network) for network in networks)
    return AddressPolicy(listed) if is_own is None else AddressPolicy(listed, is_own)


def may_contact(policy: AddressPolicy, address: str) -> bool:
    return policy.refusal(ip_address(address)) is None


def may_be_saved(policy: AddressPolicy, url: str) -> bool:
    try:
        policy.check_destination(parse_destination(url))
    except UrlRefused:
        return False
    return True


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['why']}: {case['url'][:40]!r}")
def test_each_known_attack_is_blocked_and_each_plain_url_is_allowed(case: dict[str, str]) -> None:
    assert may_be_saved(AddressPolicy(), case["url"]) == (case["expect"] == "allowed")


def test_the_list_of_known_attacks_is_complete() -> None:
    assert len(CASES) == 93
    assert {case["expect"] for case in CASES} == {"allowed", "blocked"}


class TestAllowList:
    def test_opens_the_listed_address_and_not_its_neighbour(self) -> None:
        policy = allowing("127.0.0.1/32")
        assert may_be_saved(policy, "http://127.0.0.1/")
        assert not may_be_saved(policy, "http://127.0.0.2/")
        assert not may_be_saved(policy, "http://[::1]/")

    def test_opens_a_listed_network(self) -> None:
        policy = allowing("10.1.0.0/16", "fd12:3456::/32", "::1/128")
        assert may_contact(policy, "10.1.255.255")
        assert not may_contact(policy, "10.2.0.0")
        assert may_contact(policy, "fd12:3456::1")
        assert not may_contact(policy, "fd12:3457::1")
        assert may_contact(policy, "::1")

    def test_opens_the_mapped_spelling_of_a_listed_address(self) -> None:
        assert may_contact(allowing("10.0.0.1/32"), "::ffff:10.0.0.1")

    def test_keeps_public_addresses_open(self) -> None:
        assert may_contact(allowing("10.0.0.0/8"), str(PUBLIC_IPV4))
        assert may_contact(allowing("10.0.0.0/8"), str(PUBLIC_IPV6))

    def test_lets_internal_names_be_saved(self) -> None:
        assert not may_be_saved(AddressPolicy(), "http://localhost:8000/")
        assert may_be_saved(allowing("127.0.0.1/32"), "http://localhost:8000/")

    def test_holds_internal_names_to_the_listed_networks(self) -> None:
        policy = allowing("127.0.0.1/32")

        def refusal(address: str) -> str | None:
            return policy.refusal(ip_address(address), is_internal_name=True)

        assert refusal("127.0.0.1") is None
        assert refusal("127.0.0.2")
        assert refusal(str(PUBLIC_IPV4)) == (
            "93.184.215.14: an internal name may only stand for allowed networks"
        )
        assert AddressPolicy().refusal(PUBLIC_IPV4, is_internal_name=True)


class TestRefusedNetworks:
    """Ranges that are public in form only, which nobody but the operator can know."""

    def refusing(self, *networks: str, allowed: tuple[str, ...] = ()) -> AddressPolicy:
        return AddressPolicy(
            allowed_networks=tuple(ip_network(network) for network in allowed),
            refused_networks=tuple(ip_network(network) for network in networks),
        )

    def test_close_a_public_range_and_not_its_neighbour(self) -> None:
        policy = self.refusing("93.184.215.0/24", "2606:2800::/32")
        assert policy.refusal(PUBLIC_IPV4) == (
            "93.184.215.14: in a network that this installation refuses"
        )
        assert not may_contact(policy, str(PUBLIC_IPV6))
        assert may_contact(policy, "93.184.216.0")
        assert may_contact(policy, "2606:2801::")

    def test_win_over_the_allow_list_metadata_included(self) -> None:
        policy = self.refusing("10.1.0.0/16", "169.254.0.0/16", allowed=("10.0.0.0/8", "0.0.0.0/0"))
        assert may_contact(policy, "10.2.0.1")
        assert not may_contact(policy, "10.1.0.1")
        listed_alone = self.refusing("169.254.169.254/32", allowed=("169.254.169.254/32",))
        assert not may_contact(listed_alone, "169.254.169.254")

    def test_close_a_nat64_prefix_of_one_s_own_whatever_is_inside(self) -> None:
        inside = "2606:4700:64::10.0.0.1"
        assert may_contact(AddressPolicy(), inside)  # it looks like any other address
        assert not may_contact(self.refusing("2606:4700:64::/96"), inside)

    @pytest.mark.parametrize("wrapper", ["mapped", "NAT64", "6to4", "ISATAP, global id"])
    def test_close_what_wraps_a_refused_address(self, wrapper: str) -> None:
        policy = self.refusing("93.184.215.0/24", allowed=("::/0",))
        assert not may_contact(policy, WRAPPERS[wrapper](PUBLIC_IPV4))
        assert may_contact(policy, WRAPPERS[wrapper](IPv4Address("8.8.8.8")))


METADATA = """
    169.254.169.254 169.254.169.253 169.254.169.250 169.254.169.255 169.254.170.2 169.254.170.23
    169.254.0.23 169.254.10.10 169.254.42.42 168.63.129.16 100.100.100.200 100.96.0.96 100.80.80.80
    192.0.0.192 fd00:ec2::254 fd00:ec2::253 fd00:ec2::23 fd20:ce::254 fd00:c1::a9fe:a9fe
    fd00:100::100:200 fd00:a9fe:a9fe::1 fd00:42::42 fe80::a9fe:a9fe
"""


class TestMetadataAddresses:
    @pytest.mark.parametrize("address", METADATA.split())
    def test_stay_closed_when_a_network_around_them_is_listed(self, address: str) -> None:
        length = 31 if "." in address else 127
        around = str(ip_network(f"{address}/{length}", strict=False))
        for network in (around, "0.0.0.0/0", "::/0"):
            assert not may_contact(allowing(network), address)

    @pytest.mark.parametrize("address", METADATA.split())
    def test_open_when_they_are_listed_by_themselves(self, address: str) -> None:
        assert may_contact(allowing(address), address)
        assert not may_contact(AddressPolicy(), address)

    def test_one_that_is_listed_opens_no_other(self) -> None:
        assert not may_contact(allowing("169.254.170.2", "0.0.0.0/0"), "169.254.169.254")

    def test_stay_closed_inside_of_a_listed_translation_prefix(self) -> None:
        assert not may_contact(allowing("64:ff9b::/96"), "64:ff9b::169.254.169.254")


class TestOwnAddresses:
    def test_are_refused_although_public(self) -> None:
        policy = allowing(is_own=lambda address: address == PUBLIC_IPV4)
        assert policy.refusal(PUBLIC_IPV4) == "93.184.215.14: the machine's own address"
        assert may_contact(policy, "93.184.215.15")

    def test_are_refused_in_their_mapped_spelling(self) -> None:
        policy = allowing(is_own=lambda address: address == PUBLIC_IPV4)
        assert not may_contact(policy, "::ffff:93.184.215.14")

    def test_are_opened_by_the_allow_list(self) -> None:
        policy = allowing("93.184.215.14/32", is_own=lambda _address: True)
        assert may_contact(policy, "93.184.215.14")
        assert not may_contact(policy, "93.184.215.15")


class TestNamesWithSeveralAddresses:
    def test_one_bad_address_refuses_all_wherever_it_stands(self) -> None:
        bad = ip_address("10.0.0.1")
        orders: list[list[IPAddress]] = [[bad, PUBLIC_IPV4], [PUBLIC_IPV4, PUBLIC_IPV6, bad]]
        for addresses in orders:
            reason = AddressPolicy().first_refusal(addresses)
            assert reason == "10.0.0.1: 10.0.0.0/8, private network (RFC 1918)"

    def test_good_addresses_pass(self) -> None:
        assert AddressPolicy().first_refusal([PUBLIC_IPV4, PUBLIC_IPV6]) is None

    def test_the_internal_name_rule_applies_to_each(self) -> None:
        policy = allowing("10.0.0.0/8")
        addresses = [ip_address("10.0.0.1"), PUBLIC_IPV4]
        assert policy.first_refusal(addresses) is None
        assert policy.first_refusal(addresses, is_internal_name=True)


class TestWhatTheCustomerIsTold:
    def test_is_one_sentence_for_all_addresses_while_the_operator_gets_the_rule(self) -> None:
        sentences = set()
        for url in ("http://10.0.0.1/", "http://[fe80::1]/", "http://169.254.169.254/"):
            with pytest.raises(UrlRefused) as caught:
                AddressPolicy().check_destination(parse_destination(url))
            sentences.add((caught.value.code, str(caught.value)))
            assert caught.value.operator_detail
        assert sentences == {("address", "The URL's address may not be contacted.")}

    def test_survives_a_process_border(self) -> None:
        refused = UrlRefused("address", "The URL's address may not be contacted.", "10.0.0.1: …")
        copy = pickle.loads(pickle.dumps(refused))  # noqa: S301 - our own bytes
        assert (copy.code, str(copy), copy.operator_detail) == (
            refused.code,
            str(refused),
            refused.operator_detail,
        )


def test_a_zone_does_not_change_the_verdict() -> None:
    assert may_contact(AddressPolicy(), f"{PUBLIC_IPV6}%eth0")
    assert not may_contact(AddressPolicy(), "fe80::1%eth0")
    assert may_contact(allowing("::1/128"), "::1%lo")


# How an IPv4 address can stand inside of an IPv6 one: RFC 4291 2.5.5, RFC 2765 2.1, RFC 6052 2.2,
# RFC 3056 2, RFC 4380 4, RFC 5214 6.1.
def _hex(address: IPv4Address) -> str:
    digits = f"{int(address):08x}"
    return f"{digits[:4]}:{digits[4:]}"


def _local_nat64(address: IPv4Address, prefix_bits: int) -> str:
    octets = [0] * 16
    octets[:6] = bytes.fromhex("0064ff9b0001")
    place = prefix_bits // 8
    for octet in address.packed:
        place += place == 8
        octets[place] = octet
        place += 1
    return str(IPv6Address(bytes(octets)))


WRAPPERS: dict[str, Callable[[IPv4Address], str]] = {
    "mapped": lambda inner: f"::ffff:{inner}",
    "translated": lambda inner: f"::ffff:0:{inner}",
    "NAT64": lambda inner: f"64:ff9b::{inner}",
    "local NAT64, /48": lambda inner: _local_nat64(inner, 48),
    "local NAT64, /56": lambda inner: _local_nat64(inner, 56),
    "local NAT64, /64": lambda inner: _local_nat64(inner, 64),
    "local NAT64, /96": lambda inner: f"64:ff9b:1::{inner}",
    "6to4": lambda inner: f"2002:{_hex(inner)}::1",
    "Teredo server": lambda inner: f"2001:0:{_hex(inner)}:8000:63bf:f7f7:f7f7",
    "Teredo client": lambda inner: (
        f"2001:0:4136:e378:8000:63bf:{_hex(IPv4Address(0xFFFF_FFFF ^ int(inner)))}"
    ),
    "ISATAP, local id": lambda inner: f"2606:4700::5efe:{inner}",
    "ISATAP, global id": lambda inner: f"fd12:3456::200:5efe:{inner}",
    "compatible": lambda inner: f"::{inner}",
}

NOTABLE_IPV4 = """
    127.0.0.1 10.0.0.1 169.254.169.254 168.63.129.16 192.168.0.1 0.0.0.2 8.8.8.8 100.100.100.200
    224.0.0.1 255.255.255.255 93.184.215.14 172.31.0.1 1.0.0.0
"""
LISTED = "0.0.0.0/0 10.0.0.0/8 127.0.0.1/32 169.254.169.254/32 ::/0 64:ff9b::/96 fc00::/7"

notable_ipv4 = st.sampled_from([IPv4Address(text) for text in NOTABLE_IPV4.split()])
allow_lists = st.lists(st.sampled_from(LISTED.split()), max_size=3)


@pytest.mark.parametrize("wrapper", WRAPPERS)
@settings(deadline=None)
@given(
    inner=notable_ipv4 | st.ip_addresses(v=4),
    listed=allow_lists,
    is_internal_name=st.booleans(),
    own=notable_ipv4,
)
@example(IPv4Address("127.0.0.1"), ["::/0"], False, PUBLIC_IPV4)
@example(IPv4Address("93.184.215.14"), ["::/0"], False, PUBLIC_IPV4)
@example(IPv4Address("8.8.8.8"), ["::/0"], True, PUBLIC_IPV4)
def test_what_wraps_an_ipv4_address_gets_the_same_or_a_stricter_verdict(
    wrapper: str, inner: Any, listed: list[str], is_internal_name: bool, own: IPv4Address
) -> None:
    # The low ones have other meanings: :: and ::1; "not there" in the shorter NAT64 forms.
    assume(int(inner) > 1 if wrapper == "compatible" else True)
    assume(int(inner) >> 24 if wrapper in list(WRAPPERS)[3:6] else True)
    policy = allowing(*listed, is_own=lambda address: address == own)
    outer = IPv6Address(WRAPPERS[wrapper](inner))
    if policy.refusal(inner, is_internal_name=is_internal_name) is not None:
        assert policy.refusal(outer, is_internal_name=is_internal_name) is not None


@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_wrapped_public_addresses_pass_where_the_wrapping_itself_is_listed(wrapper: str) -> None:
    wrapped = WRAPPERS[wrapper](IPv4Address("8.8.8.8"))
    assert may_contact(allowing("::/0"), wrapped)


@pytest.mark.parametrize("wrapper", [name for name in WRAPPERS if name != "mapped"])
def test_wrapped_private_addresses_need_listing_as_well(wrapper: str) -> None:
    wrapped = WRAPPERS[wrapper](IPv4Address("10.0.0.1"))
    assert not may_contact(allowing("::/0"), wrapped)
    assert may_contact(allowing("::/0", "10.0.0.0/8"), wrapped)


@settings(deadline=None)
@given(st.ip_addresses())
def test_what_python_calls_not_global_is_refused(address: IPAddress) -> None:
    if not address.is_global or address.is_multicast:
        assert AddressPolicy().refusal(address) is not None


@settings(deadline=None)
@given(st.ip_addresses(v=4))
def test_a_mapped_address_is_judged_as_the_ipv4_address_it_is(address: IPv4Address) -> None:
    mapped = IPv6Address(f"::ffff:{address}")
    verdict = AddressPolicy().refusal(address)
    assert (AddressPolicy().refusal(mapped) is None) == (verdict is None)
