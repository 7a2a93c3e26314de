"""What data fits a schema, exactly; and that no schema stops a process or reaches outside."""

from __future__ import annotations

import json
import time
from contextlib import suppress
from typing import Any

import pytest

from subscriptions.catalogue.json_schema import (
    LIMIT_ERRORS,
    STEPS_PER_EVENT,
    Misfit,
    SchemaRefused,
    compile_schema,
)
from subscriptions.catalogue.schema_keywords import TooMuchWork, Work


def misfits(schema: Any, data: str, steps: int = STEPS_PER_EVENT) -> list[Misfit]:
    return compile_schema(json.dumps(schema)).misfits(data, Work(steps))


def places(schema: Any, data: str) -> list[str]:
    return [misfit.pointer for misfit in misfits(schema, data)]


TASK = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "$id": "https://example.com/task",
    "type": "object",
    "required": ["task"],
    "properties": {"task": {"$ref": "#/$defs/task"}},
    "$defs": {
        "task": {
            "type": "object",
            "properties": {
                "id": {"type": "integer", "minimum": 1},
                "tags": {"type": "array", "items": {"type": "string"}, "uniqueItems": True},
                "parent": {"$ref": "#/$defs/task"},
            },
            "additionalProperties": False,
        }
    },
}


def test_data_that_fits_has_no_misfits() -> None:
    assert misfits(TASK, '{"task":{"id":1,"tags":["a","b"],"parent":{"id":2}}}') == []


def test_each_misfit_names_its_place() -> None:
    data = '{"task":{"id":0,"tags":["a",1,"a"],"parent":{"id":"x","na/me~":1}}}'

    assert set(places(TASK, data)) == {
        "/task/id",
        "/task/tags",
        "/task/tags/1",
        "/task/parent/id",
        "/task/parent/na~1me~0",
    }


def test_a_misfit_says_in_a_few_words_what_is_wrong() -> None:
    (misfit,) = misfits({"properties": {"a": {"maxLength": 3}}}, json.dumps({"a": "x" * 100_000}))

    assert misfit.message == f"'{'x' * 60}…' is too long."
    (misfit,) = misfits({"maxItems": 1}, json.dumps([[1] * 10_000, {}]))
    assert misfit.message == "the array is too long."
    assert len(misfits({"items": False, "prefixItems": [True]}, "[1,2]")[0].message) < 100


def test_what_is_nested_is_not_looked_through_to_be_shown() -> None:
    nested = [[[n] * 12] * 12 for n in range(12)]
    (misfit,) = misfits({"maxItems": 0}, json.dumps(nested))
    assert misfit.message == "the array is expected to be empty."
    (misfit,) = misfits({"propertyNames": {"maxLength": 1}}, json.dumps({"x" * 100_000: 1}))
    assert misfit.message == f"'{'x' * 60}…' is too long."


def test_no_more_than_twenty_misfits_are_told() -> None:
    assert len(misfits({"items": {"type": "string"}}, json.dumps([1] * 500))) == LIMIT_ERRORS


# ---- Numbers --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("schema", "data", "fits"),
    [
        ({"type": "integer"}, "123456789012345678901234567890", True),
        ({"const": 123456789012345678901234567890}, "123456789012345678901234567891", False),
        ({"const": 123456789012345678901234567890}, "123456789012345678901234567890", True),
        ({"maximum": 123456789012345678901234567890}, "123456789012345678901234567891", False),
        ({"enum": [9007199254740993]}, "9007199254740992", False),
        ({"type": "integer"}, "1.0", True),
        ({"type": "integer"}, "1e3", True),
        ({"type": "integer"}, "1.5", False),
        ({"type": "integer"}, "true", False),
        ({"type": "number"}, "true", False),
        ({"const": 1}, "true", False),
        ({"const": 1}, "1.0", True),
        ({"multipleOf": 0.1}, "0.3", True),
        ({"multipleOf": 0.1}, "0.35", False),
        ({"multipleOf": 3}, "123456789012345678901234567890", True),
        ({"multipleOf": 7}, "1e400000000", False),
        ({"multipleOf": 2}, "1e400000000", True),
        ({"multipleOf": 1}, "1e-400000000", False),
        ({"minimum": 1}, "1e-999999999", False),
        ({"type": "integer", "minimum": 5}, "9" * 100_000, True),
        ({"uniqueItems": True}, "[1,1.0]", False),
        ({"uniqueItems": True}, '[1,true,0,false,null,"1",[1],{"a":1}]', True),
        ({"uniqueItems": True}, '[{"a":1,"b":[2]},{"b":[2.0],"a":10e-1}]', False),
        ({"uniqueItems": True}, "[0,-0.0]", False),
        ({"uniqueItems": True}, "[100,1e2]", False),
    ],
)
def test_numbers_are_judged_exactly(schema: Any, data: str, fits: bool) -> None:
    assert (misfits(schema, data) == []) is fits


@pytest.mark.parametrize("data", ["1e99999999999999999999", "[" + "9" * 5000 + "]"])
def test_a_number_beyond_computing_is_not_judged(data: str) -> None:
    with pytest.raises(TooMuchWork):
        misfits({"multipleOf": 7, "items": {"multipleOf": 7}}, data)


# ---- Schemas that are refused -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("schema", "part"),
    [
        ([], "JSON object"),
        ({"type": "objekt"}, "at /type"),
        ({"properties": {"a": {"minLength": -1}}}, "at /properties/a/minLength"),
        ({"$schema": "http://json-schema.org/draft-07/schema#"}, "$schema can only be"),
        ({"$schema": 5}, "$schema can only be"),
        ({"properties": {"a": {"$schema": "http://json-schema.org/draft-07/schema#"}}}, "$schema"),
        ({"properties": {"a": {"$id": "https://example.com/"}}}, "'$id'"),
        ({"$ref": "https://json-schema.org/draft/2020-12/schema"}, "within this one"),
        ({"$ref": "file:///etc/passwd"}, "within this one"),
        ({"$ref": "http://127.0.0.1:9/"}, "within this one"),
        ({"$ref": "other.json"}, "within this one"),
        ({"$ref": "#/$defs/nothing"}, "within this one"),
        ({"$ref": "#nothing"}, "within this one"),
        ({"$ref": "#/const", "const": {"pattern": "(?=a)"}}, "within this one"),
        ({"$dynamicRef": "#a", "$defs": {"a": {"$dynamicAnchor": "a"}}}, "not supported"),
        ({"unevaluatedProperties": False}, "not supported"),
        ({"unevaluatedItems": False}, "not supported"),
        ({"$ref": "#id", "$defs": {"x": {"$anchor": "id"}}}, "'$anchor' is not supported"),
        ({"allOf": [{"pattern": str(n)} for n in range(101)]}, "at most 100 patterns"),
        ({"pattern": "(?=a)"}, "RE2"),
        ({"pattern": "(a)\\1"}, "RE2"),
        ({"pattern": "("}, "RE2"),
        ({"patternProperties": {"(?!a)": True}}, "RE2"),
        ({"pattern": "[^x]{0,1000}x"}, "repeats too much"),
        ({"pattern": "a" * 501}, "at most 500"),
        (json.loads('{"not":' * 32 + "{}" + "}" * 32), "deeper than 32"),
        ({"$ref": "#"}, "without end"),
        ({"properties": {"a": {"allOf": [{"$ref": "#/properties/a"}]}}}, "without end"),
        ({"$defs": {"a": {"not": {"$ref": "#/$defs/b"}}, "b": {"$ref": "#/$defs/a"}}}, "end"),
    ],
)
def test_a_schema_that_could_not_be_used_is_refused(schema: Any, part: str) -> None:
    with pytest.raises(SchemaRefused) as refusal:
        compile_schema(json.dumps(schema))
    assert part in str(refusal.value)
    assert str(refusal.value).endswith(".")


@pytest.mark.parametrize(
    "text",
    [
        '{"required":[' + ",".join(["{}"] * 8000) + "]}",
        '{"enum":[' + ",".join(["{}"] * 8000) + "]}",
        '{"$defs":{' + ",".join(f'"{n}":{{"type":"string"}}' for n in range(1200)) + "}}",
        '{"allOf":' * 16 + "[]" + "}" * 16,
    ],
)
def test_a_schema_of_any_content_is_judged_quickly(text: str) -> None:
    began_at = time.thread_time()
    with suppress(SchemaRefused):
        compile_schema(text)
    assert time.thread_time() - began_at < 3


# ---- Schemas that would take for ever -------------------------------------------------------


@pytest.mark.parametrize("text", ["{bad", "", "NaN", '{"minimum":Infinity}', "[" * 100_000])
def test_a_schema_that_is_not_even_json_is_refused(text: str) -> None:
    with pytest.raises(SchemaRefused):
        compile_schema(text)


def test_compiling_spends_the_callers_work() -> None:
    text = json.dumps({"properties": {f"p{n}": {"type": "array"} for n in range(100)}})
    work = Work(100_000)
    compile_schema(text, work)
    assert 1000 < 100_000 - work.left < 10_000
    with pytest.raises(TooMuchWork):
        compile_schema(text, Work(1000))


NESTED = '{"n":' * 50 + "1" + "}" * 50
BINARY = {"properties": {"n": {"anyOf": [{"$ref": "#"}, {"$ref": "#"}], "minLength": 1}}}


@pytest.mark.parametrize(
    ("schema", "data"),
    [
        ({**BINARY, "required": ["z"]}, NESTED),
        ({"properties": {"n": {"oneOf": [{"$ref": "#"}, {"$ref": "#"}]}}}, NESTED),
        ({"items": {"enum": ["a" * n for n in range(200)]}}, json.dumps([1] * 60_000)),
        ({"items": {}}, json.dumps([1] * 60_000)),
        ({"uniqueItems": True}, json.dumps([[n] for n in range(60_000)])),
        ({"items": {"pattern": "[^x]{0,200}x"}}, json.dumps(["a" * 1000 + "x"] * 200)),
        ({"patternProperties": {f"^{n}.*z": True for n in range(100)}},
         json.dumps({str(n): 1 for n in range(10_000)})),
        ({"anyOf": [{"items": {"type": "string"}}] * 40}, json.dumps([1] * 10_000)),
    ],
)  # fmt: skip
def test_work_that_explodes_is_stopped(schema: Any, data: str) -> None:
    began_at = time.thread_time()
    with pytest.raises(TooMuchWork):
        misfits(schema, data)
    assert time.thread_time() - began_at < 5


@pytest.mark.parametrize("pattern", ["(a+)+$", "(a|a)*b", "^(([a-z])+.)+[A-Z]([a-z])+$"])
def test_a_pattern_that_stops_other_engines_takes_no_time(pattern: str) -> None:
    began_at = time.thread_time()
    misfits({"pattern": pattern}, json.dumps("a" * 100_000 + "!"))
    assert time.thread_time() - began_at < 1


def test_data_as_deep_as_any_is_judged() -> None:
    schema = {"properties": {"n": {"$ref": "#"}}, "type": ["object", "integer"]}
    assert misfits(schema, '{"n":' * 100 + "1" + "}" * 100) == []


def test_what_is_too_deep_to_be_judged_breaks_nothing() -> None:
    schema = {"allOf": [{"allOf": [{"allOf": [{"properties": {"n": {"$ref": "#"}}}]}]}]}
    with pytest.raises(TooMuchWork):
        misfits(schema, '{"n":' * 100 + "1" + "}" * 100)


def test_the_work_of_a_batch_is_bounded_as_a_whole() -> None:
    work = Work(1000)
    schema = compile_schema('{"items":{"type":"integer"}}')
    schema.misfits("[1,2,3,4,5,6,7,8,9]", work)
    assert 900 < work.left < 1000
    with pytest.raises(TooMuchWork):
        schema.misfits(json.dumps([1] * 500), work)
