"""Payloads are kept exactly as given, or refused with a reason."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from subscriptions.payload import (
    LIMIT_DEPTH,
    PayloadRefused,
    payload_from_json,
    payload_from_python,
)

DATA = Path(__file__).parents[1] / "deliveries" / "data"

TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(min_value=-(10**40), max_value=10**40)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS,
    lambda inner: st.lists(inner) | st.dictionaries(TEXTS, inner),
    max_leaves=20,
)


def code_of_refusal(raw: bytes | str) -> str:
    with pytest.raises(PayloadRefused) as caught:
        payload_from_json(raw)
    assert str(caught.value).endswith(".")
    return caught.value.code


@given(JSON_VALUES, st.booleans(), st.sampled_from([None, 0, 2, "\t"]))
def test_any_json_loses_its_white_space_and_nothing_else(
    value: object, ensure_ascii: bool, indent: int | str | None
) -> None:
    raw = json.dumps(value, ensure_ascii=ensure_ascii, indent=indent)
    compact = json.dumps(value, ensure_ascii=ensure_ascii, separators=(",", ":"))

    for given_as in (raw, raw.encode()):
        payload = payload_from_json(given_as)
        assert payload.text == compact
        assert payload.size_bytes == len(compact.encode())
        assert payload.is_object == isinstance(value, dict)


@given(JSON_VALUES)
def test_any_python_value_of_json_s_types_survives(value: object) -> None:
    payload = payload_from_python(value)

    assert json.loads(payload.text) == value
    assert payload == payload_from_json(payload.text)


@given(
    st.binary()
    | st.text(alphabet='{}[]:,"\\u0d8cDE-+.eE1 \n\tnulltruefaseNaI').map(str.encode)
    | st.text().map(lambda text: json.dumps(text).encode())
)
def test_whatever_comes_in_is_json_or_is_refused(raw: bytes) -> None:
    try:
        payload = payload_from_json(raw)
    except PayloadRefused:
        return
    assert json.loads(payload.text) == json.loads(raw)


@pytest.mark.parametrize(
    "number",
    [
        "123456789012345678901234567890",
        "0.1000",
        "1E+2",
        "-0",
        "-0.0",
        "1e999",
        "1e-400",
        "9" * 10_000,
        "0." + "123" * 2_000,
    ],
)
def test_numbers_stay_digit_by_digit(number: str) -> None:
    text = f'{{"n":{number},"list":[{number}]}}'

    assert payload_from_json(text).text == text


def test_key_order_escapes_and_slashes_stay_as_given() -> None:
    text = r'{"z":"\u3042\/\"あ\t","a":"\ud83d\ude00","\u0061b":[ ]}'

    assert payload_from_json(text).text == text.replace(" ", "")


def test_white_space_inside_strings_stays() -> None:
    assert payload_from_json('{ "a b" : " c : [ 1 , 2 ] " }').text == '{"a b":" c : [ 1 , 2 ] "}'


@pytest.mark.parametrize("name", ["phrase_translations_create.json", "repsona_task_update.json"])
def test_the_documented_samples_are_accepted(name: str) -> None:
    raw = (DATA / name).read_bytes()

    assert json.loads(payload_from_json(raw).text) == json.loads(raw)


@pytest.mark.parametrize("text", ["null", "true", "0", '""', "[]", "{}"])
def test_any_json_value_is_a_payload(text: str) -> None:
    payload = payload_from_json(f" {text}\n")

    assert payload.text == text
    assert payload.is_object == (text == "{}")


@pytest.mark.parametrize(
    "raw",
    [
        "",
        " ",
        "{",
        "[1,]",
        '{"a":1,}',
        "01",
        "1.",
        "+1",
        ".5",
        "'a'",
        "{a:1}",
        "{} {}",
        "truth",
        '"a\nb"',
        '"\\x"',
        "\ufeff{}",
        "// no\n{}",
        "[1 2]",
        "\x0b1",
        '{"a"}',
        "\x00",
        '"\x00"',
    ],
)
def test_malformed_json_is_refused(raw: str) -> None:
    assert code_of_refusal(raw) == "not_json"
    assert code_of_refusal(raw.encode()) == "not_json"


def test_the_sentence_says_where_the_json_is_malformed() -> None:
    with pytest.raises(PayloadRefused, match="line 2, column 6"):
        payload_from_json('{"a": 1,\n "b" 2}')


@pytest.mark.parametrize("raw", ["NaN", "[Infinity]", '{"a":-Infinity}'])
def test_what_is_not_a_number_is_refused(raw: str) -> None:
    assert code_of_refusal(raw) == "not_a_number"


@pytest.mark.parametrize(
    "raw", [b'"\xff"', b'"\xed\xa0\x80"', b'"\xc0\x80"', b'"\xf4\x90\x80\x80"']
)
def test_invalid_utf8_is_refused(raw: bytes) -> None:
    assert code_of_refusal(raw) == "not_utf8"


@pytest.mark.parametrize(
    "raw",
    [
        r'"\ud800"',
        r'"\uDFFF."',
        r'{"\udc00":1}',
        r'"\udc00\ud800"',
        r'["\ud800\u0041"]',
        '"\ud800"',
    ],
)
def test_half_of_a_surrogate_pair_is_refused(raw: str) -> None:
    assert code_of_refusal(raw) == "lone_surrogate"


@pytest.mark.parametrize("raw", [r'"\u0000"', r'{"a\u0000":1}', r'["\\\u0000"]', r'"x\n\u0000"'])
def test_an_escaped_nul_is_refused(raw: str) -> None:
    assert code_of_refusal(raw) == "nul_character"


@pytest.mark.parametrize("text", [r'"\\u0000"', r'"\\\\u0000"', '"u0000"', r'"\u00010000"'])
def test_what_only_looks_like_a_nul_is_accepted(text: str) -> None:
    assert payload_from_json(text).text == text


@pytest.mark.parametrize(
    "raw",
    [
        '{"a":1,"a":1}',
        '{"a":1,"b":2,"a":3}',
        '[{"x":{"a":1,"a":2}}]',
        r'{"a":1,"\u0061":2}',
        '{"":1,"":2}',
    ],
)
def test_a_duplicate_key_is_refused(raw: str) -> None:
    assert code_of_refusal(raw) == "duplicate_key"


def test_the_same_key_in_two_objects_is_no_duplicate() -> None:
    text = '{"a":{"a":1},"b":[{"a":1},{"a":2}]}'

    assert payload_from_json(text).text == text


def test_the_sentence_names_the_duplicate_key() -> None:
    with pytest.raises(PayloadRefused, match='"name"'):
        payload_from_json('{"id":1,"name":2,"name":3}')


@pytest.mark.parametrize(
    ("opening", "closing", "levels"), [("[", "]", 1), ('{"a":', "}", 1), ('[{"[":', "}]", 2)]
)
def test_nesting_is_limited(opening: str, closing: str, levels: int) -> None:
    times = LIMIT_DEPTH // levels
    deepest = opening * times + "1" + closing * times

    assert payload_from_json(deepest).text == deepest
    assert code_of_refusal("[" + deepest + "]") == "too_deep"


@pytest.mark.parametrize("depth", [10_000, 1_000_000])
def test_absurd_nesting_is_refused(depth: int) -> None:
    assert code_of_refusal("[" * depth + "]" * depth) == "too_deep"


def test_many_objects_side_by_side_are_not_deep() -> None:
    text = "[" + ",".join(['{"a":[]}'] * 5_000) + "]"

    assert payload_from_json(text).text == text


@pytest.mark.parametrize("inner", ["[" * 500, "{" * 500, r"\"" + "[" * 500, r"\\", r"\\\"[[" * 99])
def test_brackets_inside_strings_are_not_nesting(inner: str) -> None:
    text = '["' + inner + '",' + ",".join(["[]"] * 101) + "]"

    assert payload_from_json(text).text == text


def test_the_limit_counts_bytes_of_compact_utf8() -> None:
    text = '{"a":"あ"}'  # 8 characters, 11 bytes

    assert payload_from_json(text.replace(":", " : "), limit_bytes=11).size_bytes == 11
    with pytest.raises(PayloadRefused, match=r"11 bytes.*at most 10") as caught:
        payload_from_json(text, limit_bytes=10)
    assert caught.value.code == "too_large"


def test_the_default_limit_is_256_kibibytes() -> None:
    assert payload_from_json('"' + "x" * (262_144 - 2) + '"').size_bytes == 262_144
    assert code_of_refusal('"' + "x" * (262_144 - 1) + '"') == "too_large"
    with pytest.raises(PayloadRefused):
        payload_from_python("x" * (262_144 - 1))


def test_times_uuids_and_decimals_become_strings() -> None:
    value = {
        "utc": datetime(2023, 1, 24, 7, 13, 9, 123456, tzinfo=UTC),
        "tokyo": datetime(2023, 1, 24, 16, 13, 9, tzinfo=timezone(timedelta(hours=9))),
        "london": datetime(2023, 1, 24, 7, 13, 9, tzinfo=ZoneInfo("Europe/London")),
        "naive": datetime(2023, 1, 24, 7, 13, 9),  # noqa: DTZ001  # a caller's own choice
        "date": date(2023, 1, 24),
        "time": time(7, 13),
        "id": UUID("0185e2c5-0000-7000-8000-000000000001"),
        "price": Decimal("0.10000000000000000000000000000000001"),
    }

    assert json.loads(payload_from_python(value).text) == {
        "utc": "2023-01-24T07:13:09.123456Z",
        "tokyo": "2023-01-24T16:13:09+09:00",
        "london": "2023-01-24T07:13:09Z",
        "naive": "2023-01-24T07:13:09",
        "date": "2023-01-24",
        "time": "07:13:00",
        "id": "0185e2c5-0000-7000-8000-000000000001",
        "price": "0.10000000000000000000000000000000001",
    }


def test_python_values_are_written_compactly_without_ascii_escapes() -> None:
    assert payload_from_python({"b": [1, 2.5], "a": "あ/é"}).text == '{"b":[1,2.5],"a":"あ/é"}'


SELF_CONTAINING: list[object] = []
SELF_CONTAINING.append(SELF_CONTAINING)
DEEP: list[object] = []
for _ in range(100_000):
    DEEP = [DEEP]


@pytest.mark.parametrize(
    ("value", "code"),
    [
        (object(), "not_serializable"),
        ({1, 2}, "not_serializable"),
        (b"bytes", "not_serializable"),
        ({("a", 1): 1}, "not_serializable"),
        (SELF_CONTAINING, "not_serializable"),
        (10**5000, "not_serializable"),
        (float("nan"), "not_a_number"),
        ([float("-inf")], "not_a_number"),
        ({1: "a", "1": "b"}, "duplicate_key"),
        ("\ud800", "lone_surrogate"),
        ("a\0b", "nul_character"),
        (DEEP, "too_deep"),
    ],
    ids=lambda part: part if isinstance(part, str) and part.isidentifier() else "value",
)
def test_python_values_without_a_faithful_form_are_refused(value: object, code: str) -> None:
    with pytest.raises(PayloadRefused) as caught:
        payload_from_python(value)

    assert caught.value.code == code
