"""How an event becomes a body, in each wire format."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deliveries.sending import compose
from deliveries.sending.compose import ComposedBody, NotComposable, compose_body
from subscriptions import wire_formats
from subscriptions.payload import envelope_from_json, payload_from_json
from tests.subscriptions.test_payload import JSON_VALUES, TEXTS

DATA = Path(__file__).parent.parent / "data"
CREATED_AT = datetime(2023, 1, 24, 7, 13, 9, 987654, tzinfo=UTC)
TRICKY = '{"z":1.50,"a":[123456789012345678901234567890,"\\u3042\\/"],"名":"前"}'


def composed(wire_format: str, data: str = TRICKY, **options: Any) -> ComposedBody:
    options = {"event_type": "Task.update", "created_at": CREATED_AT, **options}
    return compose_body(wire_format, data=data, **options)


def text_of(wire_format: str, data: str = TRICKY, **options: Any) -> str:
    return composed(wire_format, data, **options).body.decode()


def vector_body(scheme: str) -> str:
    vectors: list[dict[str, str]] = json.loads((DATA / "signatures.json").read_text())
    return next(vector["body"] for vector in vectors if vector["scheme"] == scheme)


def test_the_tables_of_choices_and_of_functions_have_the_same_rows() -> None:
    assert list(compose.WIRE_FORMATS) == list(wire_formats.WIRE_FORMATS)


def test_repsona_s_documented_sample_is_reproduced_byte_for_byte() -> None:
    sample = envelope_from_json((DATA / "repsona_task_update.json").read_bytes())
    data = payload_from_json(sample["event"]).text

    assert text_of("repsona", data) == vector_body("repsona")


def test_phrase_s_documented_sample_is_reproduced_byte_for_byte() -> None:
    data = payload_from_json((DATA / "phrase_translations_create.json").read_bytes()).text

    assert text_of("phrase", data, event_type="translations:create") == vector_body("phrase")


@pytest.mark.parametrize("wire_format", ["standard", "stripe"])
def test_standard_and_stripe_wrap_the_payload_with_type_and_time(wire_format: str) -> None:
    assert text_of(wire_format) == (
        f'{{"type":"Task.update","timestamp":"2023-01-24T07:13:09Z","data":{TRICKY}}}'
    )


def test_repsona_wraps_the_payload_with_its_type() -> None:
    assert text_of("repsona") == f'{{"type":"Task.update","event":{TRICKY}}}'


@pytest.mark.parametrize("wire_format", ["raw", "github"])
def test_raw_and_github_send_the_payload_itself(wire_format: str) -> None:
    assert text_of(wire_format) == TRICKY
    assert text_of(wire_format, "null") == "null"


def test_phrase_is_one_flat_object_with_raw_members_in_order() -> None:
    assert text_of("phrase", event_type="jobs:start") == (
        '{"event":"jobs:start","message":"jobs:start",' + TRICKY[1:]
    )


@given(st.sampled_from(list(compose.WIRE_FORMATS)), st.dictionaries(TEXTS, JSON_VALUES), TEXTS)
def test_every_body_is_json_that_holds_the_payload(
    wire_format: str, payload: dict[str, Any], description: str
) -> None:
    data = json.dumps(payload, ensure_ascii=False)

    body = json.loads(composed(wire_format, data, description=description).body)

    match wire_format:
        case "phrase":
            assert body.pop("event") == "Task.update"
            assert body.pop("message")
            payload.pop("event", None)
            payload.pop("message", None)
            assert list(body.items()) == list(payload.items())
        case "raw" | "github":
            assert body == payload
        case "repsona":
            assert body == {"type": "Task.update", "event": payload}
        case _:
            assert body == {
                "type": "Task.update",
                "timestamp": "2023-01-24T07:13:09Z",
                "data": payload,
            }


@pytest.mark.parametrize(
    ("moment", "shown"),
    [
        (datetime(2023, 1, 24, 16, 13, 9, tzinfo=timezone(timedelta(hours=9))), "07:13:09Z"),
        (datetime(2023, 1, 24, 7, 13, 9, 999_999, tzinfo=UTC), "07:13:09Z"),
        (datetime(2023, 1, 24, 0, 0, 0, tzinfo=UTC), "00:00:00Z"),
    ],
)
def test_the_timestamp_is_in_whole_seconds_of_utc(moment: datetime, shown: str) -> None:
    body = json.loads(composed("standard", created_at=moment).body)

    assert body["timestamp"] == "2023-01-24T" + shown


def test_a_time_without_zone_is_refused() -> None:
    with pytest.raises(NotComposable):
        composed("standard", created_at=CREATED_AT.replace(tzinfo=None))


@pytest.mark.parametrize(
    ("data", "description", "message", "is_derivable"),
    [
        ('{"message":"from data"}', "described", '"from data"', True),
        ('{"message":""}', "described", '""', True),
        ('{"message":{"deep": 1}}', "described", '{"deep": 1}', True),
        ('{"message":null}', 'a "described" type', '"a \\"described\\" type"', False),
        ("{}", "説明", '"説明"', False),
        ("{}", "", '"Task.update"', False),
    ],
)
def test_phrase_s_message_comes_from_data_else_description_else_type(
    data: str, description: str, message: str, is_derivable: bool
) -> None:
    result = composed("phrase", data, description=description)

    assert result.body.decode() == f'{{"event":"Task.update","message":{message}}}'
    assert result.is_derivable == is_derivable


def test_phrase_s_event_is_the_type_whatever_the_payload_says() -> None:
    data = '{"a":1,"event":"forged","message":"m","b":2}'

    assert text_of("phrase", data) == '{"event":"Task.update","message":"m","a":1,"b":2}'


@pytest.mark.parametrize(
    "data",
    ["[]", '"text"', "null", "7", "", '{"a":', '{"a":1}}', '{"a":' + "[" * 100_000, "{\ud800}"],
    ids=lambda data: data[:8].encode("ascii", "replace").decode(),
)
def test_phrase_refuses_what_is_no_object(data: str) -> None:
    with pytest.raises(NotComposable):
        composed("phrase", data)


def test_bodies_that_the_event_and_the_format_give_again_are_derivable() -> None:
    for wire_format in ("standard", "repsona", "stripe", "github", "raw"):
        assert composed(wire_format, description="may change").is_derivable
    assert not composed("repsona", repsona_fields=True).is_derivable


@pytest.mark.parametrize(
    ("event_type", "data", "fields"),
    [
        ("Task.update", '{"id":9,"task":{"id":2}}', '"model":"Task","modelId":2,"action":"update"'),
        (
            "Note.create",
            '{"note":{"id":"n-1"}}',
            '"model":"Note","modelId":"n-1","action":"create"',
        ),
        (
            "TaskLink.delete",
            '{"taskLink":{"id":123456789012345678901}}',
            '"model":"TaskLink","modelId":123456789012345678901,"action":"delete"',
        ),
        ("Task.update", '{"id":9}', '"model":"Task","modelId":null,"action":"update"'),
        ("Task.update", '{"task":[]}', '"model":"Task","modelId":null,"action":"update"'),
        ("Task.update", "[1]", '"model":"Task","modelId":null,"action":"update"'),
        ("ping", '{"ping":{"id":1}}', '"model":"ping","modelId":1,"action":null'),
    ],
)
def test_repsona_fields_tell_model_id_and_action(event_type: str, data: str, fields: str) -> None:
    body = text_of("repsona", data, event_type=event_type, repsona_fields=True)

    assert body == f'{{"type":"{event_type}",{fields},"event":{data}}}'


@pytest.mark.parametrize("wire_format", list(compose.WIRE_FORMATS))
def test_half_of_a_surrogate_pair_is_refused_in_every_format(wire_format: str) -> None:
    with pytest.raises(NotComposable):
        composed(wire_format, '{"a":"\ud800"}')


def test_half_of_a_surrogate_pair_in_a_description_is_refused() -> None:
    with pytest.raises(NotComposable):
        composed("phrase", "{}", description="\udfff")


def test_an_unknown_wire_format_is_refused() -> None:
    with pytest.raises(NotComposable):
        composed("telegram")
