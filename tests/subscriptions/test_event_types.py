"""What an event type may be called."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from subscriptions.event_types import LIMIT_CHARACTERS, check_event_type
from subscriptions.refusal import SettingRefused

PHRASE_EVENT_TYPES = (
    Path(__file__).parent.parent / "deliveries" / "data" / "phrase_event_types.txt"
).read_text()


def test_there_are_48_documented_event_types_of_phrase() -> None:
    assert len(PHRASE_EVENT_TYPES.split()) == 48


@pytest.mark.parametrize(
    "name",
    [
        *PHRASE_EVENT_TYPES.split(),
        "Task.update",
        "test:event",
        "Test.event",
        "test.event",
        "order.paid",
        "v2/orders.paid-twice",
        "_",
        "7",
        "a" * LIMIT_CHARACTERS,
    ],
)
def test_names_from_the_field_are_accepted(name: str) -> None:
    assert check_event_type(name) == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".update",
        "Task.",
        "Task..update",
        "Task.:update",
        "Task update",
        " Task.update",
        "Task.update\n",
        "Task.update\r\nX-Evil: 1",
        "Task.*",
        "*",
        "タスク.update",
        "Task\x00",
        "Tásk",
        "٣",  # a digit, but not an ASCII one
        "a" * (LIMIT_CHARACTERS + 1),
        None,
        7,
        ["Task.update"],
    ],
)
def test_what_is_no_event_type_is_refused(name: object) -> None:
    with pytest.raises(SettingRefused):
        check_event_type(name)


def test_the_sentence_shows_the_name_shortened_and_escaped() -> None:
    with pytest.raises(SettingRefused) as caught:
        check_event_type("bad\u202e\n" + "x" * 500)

    assert "'bad\\u202e\\nxxx" in str(caught.value)
    assert len(str(caught.value)) < 250


@given(st.text())
def test_what_passes_can_be_sent_in_a_header(name: str) -> None:
    try:
        check_event_type(name)
    except SettingRefused:
        return
    assert name.isascii()
    assert name.isprintable()
    assert " " not in name
