"""A publish request's body is split into members whose text is left alone."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from subscriptions.payload import (
    LIMIT_DEPTH,
    PayloadRefused,
    envelope_from_json,
    payload_from_json,
    payload_from_member,
)
from tests.subscriptions.test_payload import JSON_VALUES, TEXTS


def test_members_keep_their_text() -> None:
    raw = (
        b'{"type": "Task.update", "data": {"n": 1.50, "N": 123456789012345678901, "s": "\\u3042"}}'
    )

    assert envelope_from_json(raw) == {
        "type": b'"Task.update"',
        "data": b'{"n":1.50,"N":123456789012345678901,"s":"\\u3042"}',
    }


@given(st.dictionaries(TEXTS, JSON_VALUES), st.booleans())
def test_each_member_is_what_it_would_be_alone(members: dict[str, object], is_ascii: bool) -> None:
    raw = json.dumps(members, ensure_ascii=is_ascii, indent=1)

    envelope = envelope_from_json(raw)

    assert list(envelope) == list(members)
    for name, value in members.items():
        alone = payload_from_json(json.dumps(value, ensure_ascii=is_ascii))
        assert envelope[name] == alone.text.encode()
        assert payload_from_member(envelope[name]) == alone


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b'"\\u0000"', "nul_character"),
        (b"[" * (LIMIT_DEPTH + 1) + b"]" * (LIMIT_DEPTH + 1), "too_deep"),
        (b'"xxxxxxxxxx"', "too_large"),
    ],
)
def test_a_member_is_judged_by_what_an_envelope_leaves_open(data: bytes, code: str) -> None:
    member = envelope_from_json(b'{"data": ' + data + b"}")["data"]
    with pytest.raises(PayloadRefused) as refusal:
        payload_from_member(member, limit_bytes=10 if code == "too_large" else 1000)
    assert refusal.value.code == code


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (b"[]", "not_an_object"),
        (b'"{}"', "not_an_object"),
        (b"null", "not_an_object"),
        (b"", "not_json"),
        (b'{"type":"a"', "not_json"),
        (b'{"type":NaN}', "not_a_number"),
        (b'{"type":"a","type":"b"}', "duplicate_key"),
        (b'{"type":"a","ty\\u0070e":"b"}', "duplicate_key"),
        (b'{"data":{"a":1,"a":2}}', "duplicate_key"),
        (b'{"\xff":1}', "not_utf8"),
        (b'{"data":"\\ud800"}', "lone_surrogate"),
        (b'{"data":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "too_deep"),
    ],
    ids=lambda part: part if isinstance(part, str) else "raw",
)
def test_what_is_no_envelope_is_refused(raw: bytes, code: str) -> None:
    with pytest.raises(PayloadRefused) as caught:
        envelope_from_json(raw)

    assert caught.value.code == code


def test_the_envelope_is_no_level_of_the_payload() -> None:
    deepest = b"[" * LIMIT_DEPTH + b"]" * LIMIT_DEPTH

    assert payload_from_json(envelope_from_json(b'{"data":' + deepest + b"}")["data"])
    with pytest.raises(PayloadRefused, match="deeper"):
        payload_from_json(envelope_from_json(b'{"data":[' + deepest + b"]}")["data"])
