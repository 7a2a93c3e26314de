"""What a subscription may choose about its wire."""

from __future__ import annotations

import pytest

from subscriptions.event_types import check_event_type
from subscriptions.refusal import SettingRefused
from subscriptions.wire_formats import (
    SIGNATURE_SCHEMES,
    WIRE_FORMATS,
    check_schemes,
    check_wire_format,
    default_schemes,
    default_test_event_type,
)


@pytest.mark.parametrize("name", WIRE_FORMATS)
def test_every_wire_format_has_schemes_and_a_test_event_that_are_accepted(name: str) -> None:
    assert check_wire_format(name) == name
    assert check_schemes(default_schemes(name)) == default_schemes(name)
    assert check_event_type(default_test_event_type(name))


@pytest.mark.parametrize(
    ("wire_format", "schemes", "test_event_type"),
    [
        ("standard", ("standard",), "test.event"),
        ("repsona", ("repsona",), "Test.event"),
        ("phrase", ("phrase",), "test:event"),
        ("stripe", ("stripe",), "test.event"),
        ("github", ("github",), "test.event"),
        ("raw", ("standard",), "test.event"),
    ],
)
def test_a_preset_brings_its_own_signature_and_test(
    wire_format: str, schemes: tuple[str, ...], test_event_type: str
) -> None:
    assert default_schemes(wire_format) == schemes
    assert default_test_event_type(wire_format) == test_event_type


def test_only_phrase_needs_an_object() -> None:
    assert [row.name for row in WIRE_FORMATS.values() if row.needs_object] == ["phrase"]


def test_several_schemes_can_be_sent_at_once_in_the_given_order() -> None:
    everything = [name for name in SIGNATURE_SCHEMES if name != "phrase-hex"]

    assert check_schemes(everything) == tuple(everything)
    assert check_schemes(["stripe", "standard"]) == ("stripe", "standard")


@pytest.mark.parametrize("names", [["phrase", "phrase-hex"], ["standard", "standard"]])
def test_two_schemes_with_one_header_are_refused_by_name(names: list[str]) -> None:
    with pytest.raises(SettingRefused) as caught:
        check_schemes(names)

    assert all(repr(name) in str(caught.value) for name in names)


@pytest.mark.parametrize("names", [None, [], "standard", ["md5"], [None], [["standard"]], {}])
def test_what_is_no_list_of_schemes_is_refused(names: object) -> None:
    with pytest.raises(SettingRefused):
        check_schemes(names)


@pytest.mark.parametrize("name", [None, "", "Standard", "svix", 1, [], "standard "])
def test_an_unknown_wire_format_is_refused(name: object) -> None:
    with pytest.raises(SettingRefused, match="standard, repsona, phrase, stripe, github, raw"):
        check_wire_format(name)
