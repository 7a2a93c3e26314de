"""The JSON Schema keywords whose library version is not safe with a stranger's schema.

Called by `json_schema`. Patterns run on RE2, whose time grows with the text and never faster;
every keyword spends from a `Work`, so that no schema stops a process. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from itertools import islice
from typing import Any, Final

import re2
from jsonschema import Draft202012Validator, TypeChecker, ValidationError
from jsonschema.validators import create

from subscriptions.catalogue.schema_values import (
    are_equal,
    are_unique,
    is_integral,
    is_multiple,
    steps_to_look_at,
)
from subscriptions.refusal import quoted

PATTERN_LIMIT_CHARACTERS: Final = 500

_PROGRAM_LIMIT: Final = 2000
"""Instructions of a compiled pattern: `[a-z]{1,50}@[a-z]{1,50}` has 203, `\\p{L}` some 400."""

_PATTERN_MEMORY_BYTES: Final = 256 * 1024

_SEARCHED_PER_STEP: Final = 1700
"""Characters times instructions that cost what one keyword does, 2.5 µs: 1.4 ns each, measured."""

_INSTRUCTIONS_PER_STEP: Final = 4
"""Of a pattern that is compiled."""

_STEPS_PER_ERROR: Final = 3
"""To make one, that nobody is shown."""

_LOOPS: Final = frozenset({"additionalProperties", "contains", "items", "propertyNames"})
"""Keywords that go through all of an array or object by themselves."""

_APPLY_MANY: Final = frozenset({"allOf", "dependentSchemas", "prefixItems", "properties"})
"""Keywords that apply many schemas: two, though empty, for a step; of other values four."""


class TooMuchWork(Exception):
    """Checking takes more than it may; nothing is known of the data."""


class PatternRefused(ValueError):
    """A pattern cannot be used; `str()` is a sentence for the customer."""


class Work:
    """Steps that may still be taken; one is about a keyword applied to a value (2.5 µs)."""

    def __init__(self, steps: int) -> None:
        self.left = steps

    @contextmanager
    def portion(self, steps: int) -> Iterator[Work]:
        """Give out so many of these steps, or what is left; those not taken come back."""
        given = min(steps, max(0, self.left))
        part = Work(given)
        try:
            yield part
        finally:
            self.left -= given - max(0, part.left)

    def spend(self, steps: int) -> None:
        """Take so many steps; raises `TooMuchWork`."""
        self.left -= steps
        if self.left < 0:
            raise TooMuchWork


_work: ContextVar[Work] = ContextVar("schema_work")


@contextmanager
def working(work: Work) -> Iterator[None]:
    """Let what is checked in the block spend from this."""
    token = _work.set(work)
    try:
        yield
    finally:
        _work.reset(token)


def spend(steps: int) -> None:
    """Take so many steps from the work of the block; raises `TooMuchWork`."""
    _work.get().spend(steps)


class Reference(str):
    """A `$ref` that was followed already: following it by name takes longer than a keyword."""

    __slots__ = ("target",)
    target: Any


@lru_cache(maxsize=256)
def compiled_pattern(pattern: str) -> Any:
    """Return the pattern as RE2 has it; raises `PatternRefused`.

    It is work, unless it was done a moment ago.
    """
    if len(pattern) > PATTERN_LIMIT_CHARACTERS:
        raise PatternRefused(f"A pattern has at most {PATTERN_LIMIT_CHARACTERS} characters.")
    try:
        compiled = re2.compile(pattern, _options())
    except re2.error as error:
        reason = error.args[0].decode() if isinstance(error.args[0], bytes) else error
        raise PatternRefused(
            f"The pattern {quoted(pattern)} is not one of RE2: {reason}."
        ) from None
    if compiled.programsize > _PROGRAM_LIMIT:
        raise PatternRefused(f"The pattern {quoted(pattern)} repeats too much.")
    spend(1 + compiled.programsize // _INSTRUCTIONS_PER_STEP)
    return compiled


def _options() -> Any:
    options = re2.Options()
    options.max_mem = _PATTERN_MEMORY_BYTES
    options.never_capture = True
    options.log_errors = False
    return options


def _is_found(pattern: str, text: str) -> bool:
    compiled = compiled_pattern(pattern)
    spend(1 + len(text) * compiled.programsize // _SEARCHED_PER_STEP)
    return compiled.search(str(text)) is not None


# ---- Keywords: (validator, the keyword's value, instance, its schema) -> errors -----------------

_Errors = Iterator[ValidationError]
_Keyword = Callable[[Any, Any, Any, Any], Any]


def _type(validator: Any, types: Any, instance: Any, _schema: Any) -> _Errors:
    names = [types] if isinstance(types, str) else types
    if not any(validator.is_type(instance, name) for name in names):
        yield ValidationError(f"This is not of the type {' or '.join(map(str, names))}.")


def _pattern(_validator: Any, pattern: str, instance: Any, _schema: Any) -> _Errors:
    if isinstance(instance, str) and not _is_found(pattern, instance):
        yield ValidationError(f"{instance!r} does not match {pattern!r}.")


def _pattern_properties(validator: Any, patterns: Any, instance: Any, _schema: Any) -> _Errors:
    for pattern, schema in patterns.items() if isinstance(instance, dict) else ():
        for name, value in instance.items():
            if _is_found(pattern, name):
                yield from validator.descend(value, schema, path=name, schema_path=pattern)


def _additional_properties(validator: Any, rest: Any, instance: Any, schema: Any) -> _Errors:
    if not isinstance(instance, dict):
        return
    named, patterns = schema.get("properties", {}), schema.get("patternProperties", {})
    for name, value in instance.items():
        if name not in named and not any(_is_found(pattern, name) for pattern in patterns):
            yield from _additional(validator, rest, name, value)


def _additional(validator: Any, rest: Any, name: str, value: Any) -> _Errors:
    if rest is False:
        error = ValidationError("There is no such member.")
        error.path.appendleft(name)
        yield error
    else:
        yield from validator.descend(value, rest, path=name)


def _unique_items(_validator: Any, wanted: Any, instance: Any, _schema: Any) -> _Errors:
    if wanted and isinstance(instance, list) and not are_unique(instance, spend):
        yield ValidationError("Two entries are the same.")


def _multiple_of(validator: Any, divisor: Any, instance: Any, _schema: Any) -> _Errors:
    if validator.is_type(instance, "number") and not is_multiple(instance, divisor, spend):
        yield ValidationError(f"{instance!r} is not a multiple of {divisor!r}.")


def _enum(_validator: Any, values: Any, instance: Any, _schema: Any) -> _Errors:
    if not any(are_equal(value, instance, spend) for value in values):
        yield ValidationError(f"{instance!r} is not one of {values!r}.")


def _const(_validator: Any, value: Any, instance: Any, _schema: Any) -> _Errors:
    if not are_equal(value, instance, spend):
        yield ValidationError(f"{value!r} was expected.")


def _dependent_required(_validator: Any, needs: Any, instance: Any, _schema: Any) -> _Errors:
    for name, needed in needs.items() if isinstance(instance, dict) else ():
        if name in instance:
            spend(len(needed) >> 2)
            for other in needed:
                if other not in instance:
                    yield ValidationError(f"{other!r} is a dependency of {name!r}.")


def _ref(validator: Any, reference: Reference, instance: Any, _schema: Any) -> _Errors:
    yield from validator.descend(instance, reference.target)


# The library's versions gather all errors of each branch, to show none of them here.


def _any_of(validator: Any, branches: Any, instance: Any, _schema: Any) -> _Errors:
    if not any(_fits(validator, branch, instance) for branch in branches):
        yield ValidationError(f"{instance!r} is not valid under any of the given schemas.")


def _one_of(validator: Any, branches: Any, instance: Any, _schema: Any) -> _Errors:
    fitting = islice((branch for branch in branches if _fits(validator, branch, instance)), 2)
    count = len(list(fitting))
    if count != 1:
        said = "any" if count == 0 else "more than one"
        are = "is not" if count == 0 else "is"
        yield ValidationError(f"{instance!r} {are} valid under {said} of the given schemas.")


def _fits(validator: Any, schema: Any, instance: Any) -> bool:
    if isinstance(schema, bool):
        return schema
    if next(validator.descend(instance, schema), None) is None:
        return True
    spend(_STEPS_PER_ERROR)
    return False


_OWN: Final[Mapping[str, _Keyword]] = {
    "type": _type,
    "pattern": _pattern,
    "patternProperties": _pattern_properties,
    "additionalProperties": _additional_properties,
    "uniqueItems": _unique_items,
    "multipleOf": _multiple_of,
    "enum": _enum,
    "const": _const,
    "dependentRequired": _dependent_required,
    "$ref": _ref,
    "anyOf": _any_of,
    "oneOf": _one_of,
}
LEFT_OUT: Final = frozenset({"unevaluatedItems", "unevaluatedProperties"})
"""The library's versions run patterns on Python's engine, and more than once."""


def _counted(name: str, keyword: _Keyword) -> _Keyword:
    loops = name in _LOOPS
    shift = 1 if name in _APPLY_MANY else 2

    def check(validator: Any, value: Any, instance: Any, schema: Any) -> Any:
        steps = 1 + (len(value) >> shift if isinstance(value, list | dict) else 0)
        if loops and isinstance(instance, list | dict):
            steps += len(instance)
        spend(steps + steps_to_look_at(instance))
        return keyword(validator, value, instance, schema)

    return check


def _members(schema: Mapping[str, Any]) -> Any:
    """Return a schema's members, known keywords or not; asked twice for each value it judges.

    The few of an ordinary schema are part of the step of whatever led to it.
    """
    spend(len(schema) >> 3)
    return schema.items()


def _types() -> TypeChecker:
    return Draft202012Validator.TYPE_CHECKER.redefine(
        "integer", lambda _checker, value: is_integral(value)
    )


def _keywords() -> dict[str, _Keyword]:
    library = {**Draft202012Validator.VALIDATORS, **_OWN}
    return {
        name: _counted(name, keyword)
        for name, keyword in library.items()
        if name not in LEFT_OUT | {"format", "$dynamicRef"}  # `format` is an annotation (7.2.1)
    }


def bounded_validator(meta_schema: Mapping[str, Any]) -> Any:
    """Return the class that checks: draft 2020-12, numbers exact, work bounded."""
    return create(
        meta_schema=meta_schema,
        validators=_keywords(),
        type_checker=_types(),
        applicable_validators=_members,
    )
