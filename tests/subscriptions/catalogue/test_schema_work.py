"""Every keyword spends as much as it does: steps are counted here, not seconds."""

from __future__ import annotations

import json
from typing import Any

import pytest

from subscriptions.catalogue.json_schema import compile_schema
from subscriptions.catalogue.schema_keywords import TooMuchWork, Work

MANY = 100_000_000
NAMES = [f"n{number}" for number in range(1000)]
WIDE = json.dumps(dict.fromkeys(NAMES, 1))
LONG_NUMBER = "9" * 200_000


def spent(schema: Any, data: str) -> int:
    """Return the steps beyond those that reading the data takes."""
    work = Work(MANY)
    compile_schema(json.dumps(schema)).misfits(data, work)
    return MANY - work.left - len(data) // 32


@pytest.mark.parametrize(
    ("schema", "data", "least"),
    [
        ({"uniqueItems": True}, json.dumps([[0] * 20_000]), 20_000),
        ({"uniqueItems": True}, json.dumps([{"a": [{"b": 1}]}] * 1000), 4000),
        ({"uniqueItems": True}, f"[{LONG_NUMBER}]", 150),
        ({"enum": [[0] * 5000]}, json.dumps([0] * 5000), 5000),
        ({"const": [[[0] * 5000]]}, json.dumps([[[0] * 5000]]), 5000),
        ({"const": dict.fromkeys(NAMES, 0)}, json.dumps(dict.fromkeys(NAMES, 0)), 1000),
        (
            {"patternProperties": {f"^{n}$": True for n in range(50)}},
            json.dumps({str(n): 1 for n in range(50, 150)}),
            5000,
        ),
        (
            {
                "additionalProperties": True,
                "patternProperties": {f"^{n}$": True for n in range(50)},
            },
            json.dumps({str(n): 1 for n in range(50, 150)}),
            10_000,
        ),
        ({"dependentRequired": {"n0": NAMES}}, WIDE, 250),
        ({"dependentSchemas": {name: {} for name in NAMES}}, WIDE, 500),
        ({"required": NAMES}, WIDE, 250),
        ({"properties": {name: {} for name in NAMES}}, WIDE, 500),
        ({"propertyNames": {"minLength": 1}}, WIDE, 2000),
        ({"prefixItems": [{}] * 1000}, json.dumps([1] * 1000), 500),
        ({"allOf": [{}] * 1000}, "1", 500),
        ({"contains": {"type": "string"}, "minContains": 0}, json.dumps([1] * 1000), 2000),
        ({"items": {f"x{n}": 1 for n in range(1000)}}, json.dumps([1] * 100), 20_000),
        ({"not": {f"x{n}": 1 for n in range(1000)}}, "1", 100),
        ({"type": "integer"}, LONG_NUMBER, 150),
        ({"minimum": 1, "maximum": 2}, LONG_NUMBER, 300),
        ({"pattern": "z"}, json.dumps("x" * 200_000), 100),
        ({"multipleOf": int("7" * 900)}, "1e999999999999", 400),
    ],
)
def test_a_keyword_spends_in_proportion_to_what_it_does(schema: Any, data: str, least: int) -> None:
    assert spent(schema, data) >= least


def test_reading_data_is_work() -> None:
    work = Work(MANY)
    compile_schema("{}").misfits("[" + ",".join(["[]"] * 50_000) + "]", work)
    assert MANY - work.left > 4000


def test_what_multiplies_a_keyword_multiplies_its_work() -> None:
    schema = {"$defs": {"e": {"uniqueItems": True}}, "allOf": [{"$ref": "#/$defs/e"}] * 10}
    with pytest.raises(TooMuchWork):
        compile_schema(json.dumps(schema)).misfits(json.dumps([[0] * 20_000]), Work(50_000))


def test_a_branch_that_fits_not_is_left_at_its_first_error() -> None:
    schema = {"anyOf": [{"items": {"properties": {"a": {"type": "string"}}}}, True]}
    assert spent(schema, json.dumps([{"a": 1}] * 1000)) < 1200


def test_following_a_reference_costs_the_same_however_it_is_written() -> None:
    deep: Any = {"type": "integer"}
    for _ in range(28):
        deep = {"not": deep}
    near = {"$defs": {"e": {"type": "integer"}}, "items": {"$ref": "#/$defs/e"}}
    far = {"$defs": {"e": deep}, "items": {"$ref": "#/$defs/e" + "/not" * 28}}
    data = json.dumps([1] * 1000)
    assert spent(near, data) == spent(far, data)


def test_numbers_that_are_written_differently_are_the_same_entry() -> None:
    ones = ["1e1000000", "10e999999", "0.1e1000001"]
    schema = compile_schema('{"uniqueItems":true}')
    assert schema.misfits(f"[{ones[0]},{ones[1]}]", Work(1000)) != []
    assert schema.misfits(f"[{ones[1]},{ones[2]}]", Work(1000)) != []
    assert schema.misfits("[1,-1,1e1,1e-1,0,1.5,15]", Work(1000)) == []
    assert schema.misfits("[0,0e5]", Work(1000)) != []
