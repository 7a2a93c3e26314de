"""Settings are read from JSON that means one thing only."""

from __future__ import annotations

import pytest

from subscriptions.rest.strict_json import NotStrictJson, parse_json


def test_values_are_read_as_json_says() -> None:
    raw = '{"a": [1, -2.5, true, null, "ü\\n\\ud83d\\ude00"]}'.encode()

    assert parse_json(raw) == {"a": [1, -2.5, True, None, "ü\n😀"]}


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (b"", "not_json"),
        (b"{", "not_json"),
        (b'{"a": 1,}', "not_json"),
        (b"[1,]", "not_json"),
        (b"{'a': 1}", "not_json"),
        (b'{"a": 1} {"b": 2}', "not_json"),
        (b'{"a": "\n"}', "not_json"),
        (b'{"a": 01}', "not_json"),
        (b"// comment\n{}", "not_json"),
        (b"\xef\xbb\xbf{}", "not_json"),
        ('{"a": "ü"}'.encode("latin-1"), "not_utf8"),
        ('{"a": 1}'.encode("utf-16"), "not_utf8"),
        (b'{"a": 1, "a": 1}', "duplicate_key"),
        (b'[{"b": {"a": 1, "\\u0061": 2}}]', "duplicate_key"),
        (b'{"a": NaN}', "not_a_number"),
        (b'{"a": -Infinity}', "not_a_number"),
        (b'{"a": 1e999}', "not_a_number"),
        (b'{"a": ' + b"9" * 5000 + b"}", "not_a_number"),
        (b'{"a": ["x\\u0000"]}', "nul_character"),
        (b'{"\\u0000": 1}', "nul_character"),
        (b'{"a": "\\ud800"}', "lone_surrogate"),
        (b'{"\\udfff": 1}', "lone_surrogate"),
        (b"[" * 100_000, "too_deep"),
        (b"[" * 900 + b"]" * 900, "too_deep"),
    ],
)
def test_what_could_be_read_in_two_ways_is_refused(raw: bytes, code: str) -> None:
    with pytest.raises(NotStrictJson) as caught:
        parse_json(raw)

    assert caught.value.code == code
    assert str(caught.value).endswith(".")


def test_a_backslash_before_u0000_is_no_nul_character() -> None:
    assert parse_json(rb'"\\u0000"') == r"\u0000"
