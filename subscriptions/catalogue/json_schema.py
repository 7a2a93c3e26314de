"""Decides whether data fits a JSON Schema (2020-12), at a bounded cost and without any network.

Called by the catalogue and by ingest. A schema is a stranger's program: what could run for long or
reach outside is refused when it is given, and the rest is stopped when its work is used up. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

from jsonschema import ValidationError
from jsonschema_specifications import REGISTRY
from referencing import Registry, Resource
from referencing.exceptions import Unresolvable
from referencing.jsonschema import DRAFT202012

from subscriptions.catalogue.schema_keywords import (
    LEFT_OUT,
    PatternRefused,
    Reference,
    TooMuchWork,
    Work,
    bounded_validator,
    compiled_pattern,
    spend,
    working,
)
from subscriptions.catalogue.schema_values import NotJson, NumberTooLong, read_exactly
from subscriptions.refusal import quoted

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"

LIMIT_BYTES: Final = 32 * 1024
LIMIT_DEPTH: Final = 32
"""Nested arrays and objects of a schema: each object of the data takes two."""

LIMIT_PATTERNS: Final = 100
"""Different ones of a schema; what they need is kept for the latest 256 only."""

LIMIT_ERRORS: Final = 20

STEPS_PER_EVENT: Final = 50_000
"""Some 0.15 s; an ordinary schema takes three for each value of the data."""

STEPS_PER_BATCH: Final = 500_000
"""Some 1.5 s, for all of a batch's events together."""

STEPS_TO_COMPILE: Final = 200_000

_MESSAGE_LIMIT_CHARACTERS: Final = 300

_CHARACTERS_PER_STEP: Final = 32
"""Of a text that is read."""

_STEPS_PER_SUBSCHEMA: Final = 8
"""For all that is looked at besides the meta-schema."""

_REFUSED: Final = LEFT_OUT | {
    "$anchor",
    "$dynamicRef",
    "$dynamicAnchor",
    "$recursiveRef",
    "$vocabulary",
}

_IN_PLACE_ONE: Final = ("not", "if", "then", "else")
_IN_PLACE_MANY: Final = ("allOf", "anyOf", "oneOf")
"""Keywords that look at the same value again: a circle of these would never end."""


class SchemaRefused(ValueError):
    """A schema is not acceptable; `str()` is a sentence for the customer."""


@dataclass(frozen=True, slots=True)
class Misfit:
    """Where data does not fit a schema."""

    pointer: str
    """A JSON Pointer (RFC 6901) into the data; empty for all of it."""
    message: str


class CompiledSchema:
    """A schema ready for use, by any number of threads."""

    def __init__(self, validator: Any) -> None:
        self._validator = validator

    def misfits(self, text: str, work: Work) -> list[Misfit]:
        """Return where a JSON text does not fit, at most `LIMIT_ERRORS` places.

        Raises `NotJson`, or `TooMuchWork` when that cannot be said within this work.
        """
        try:
            with working(work):
                value = _read(text)
                found = islice(self._validator.iter_errors(value), LIMIT_ERRORS)
                return [_misfit(error) for error in found]
        except (RecursionError, NumberTooLong):
            raise TooMuchWork from None


def compile_schema(text: str, work: Work | None = None) -> CompiledSchema:
    """Return the schema of a text, or raise `SchemaRefused`.

    Raises `TooMuchWork` when the caller's work is used up; without one it has enough of its own.
    """
    own = Work(STEPS_TO_COMPILE) if work is None else work
    try:
        with own.portion(STEPS_TO_COMPILE) as steps, working(steps):
            return _compiled(_read(text))
    except RecursionError:
        raise _too_large() from None
    except TooMuchWork:
        if work is not None and work.left <= 0:
            raise
        raise _too_large() from None
    except NumberTooLong:
        raise SchemaRefused("The schema has a number that is too long.") from None
    except NotJson:
        raise SchemaRefused("The schema is not JSON.") from None


def _too_large() -> SchemaRefused:
    return SchemaRefused("The schema is too large to be checked.")


def _read(text: str) -> Any:
    spend(len(text) // _CHARACTERS_PER_STEP)
    return read_exactly(text)


def _compiled(schema: Any) -> CompiledSchema:
    if not isinstance(schema, dict):
        raise SchemaRefused("A schema is a JSON object.")
    if _depth_of(schema) > LIMIT_DEPTH:
        raise SchemaRefused(f"The schema is nested deeper than {LIMIT_DEPTH} levels.")
    if schema.pop("$schema", DIALECT) not in {DIALECT, f"{DIALECT}#"}:
        raise SchemaRefused(f"The schema's $schema can only be {DIALECT}.")
    _check_by_meta_schema(schema)
    schema.pop("$id", None)  # nothing refers to it, and the library would at each `$ref`
    subschemas = list(_subschemas(DRAFT202012.create_resource(schema)))
    for subschema in subschemas:
        _check_keywords(subschema)
    _check_patterns(subschemas)
    _follow_references(schema, subschemas)
    _check_it_ends(subschemas)
    return CompiledSchema(_Validator(schema, registry=_NOTHING_ELSE))


def _depth_of(value: Any) -> int:
    if not isinstance(value, dict | list):
        return 0
    inner = value.values() if isinstance(value, dict) else value
    return 1 + max(map(_depth_of, inner), default=0)


def _check_by_meta_schema(schema: Any) -> None:
    error = next(_META_VALIDATOR.iter_errors(schema), None)
    if error is not None:
        place = _pointer(error) or "/"
        raise SchemaRefused(f"The schema is not one of draft 2020-12, at {place}: {_said(error)}")


def _subschemas(resource: Resource[Any]) -> Iterator[dict[str, Any]]:
    """Walk everything in a schema that is one itself; true and false are not told."""
    if isinstance(resource.contents, dict):
        spend(_STEPS_PER_SUBSCHEMA)
        yield resource.contents
        for inner in resource.subresources():
            yield from _subschemas(inner)


def _check_keywords(subschema: Mapping[str, Any]) -> None:
    if used := (_REFUSED | {"$id", "$schema"}).intersection(subschema):
        raise SchemaRefused(f"The keyword '{min(used)}' is not supported here.")


def _check_patterns(subschemas: Iterable[Mapping[str, Any]]) -> None:
    patterns = set[str]()
    for subschema in subschemas:
        patterns.update(subschema.get("patternProperties", ()))
        if "pattern" in subschema:
            patterns.add(subschema["pattern"])
    if len(patterns) > LIMIT_PATTERNS:
        raise SchemaRefused(f"A schema has at most {LIMIT_PATTERNS} patterns.")
    try:
        for pattern in patterns:
            compiled_pattern(pattern)
    except PatternRefused as refusal:
        raise SchemaRefused(str(refusal)) from None


def _follow_references(schema: Mapping[str, Any], subschemas: Iterable[dict[str, Any]]) -> None:
    """Let each `$ref` know its schema: one within the same text, and nothing else."""
    known = {id(subschema) for subschema in subschemas}
    lookup = _NOTHING_ELSE.resolver_with_root(DRAFT202012.create_resource(schema)).lookup
    for subschema in subschemas:
        if "$ref" in subschema:
            reference = Reference(subschema["$ref"])
            reference.target = _target_of(reference, lookup, known)
            subschema["$ref"] = reference


def _target_of(reference: str, lookup: Callable[[str], Any], known: Container[int]) -> Any:
    spend(reference.count("/") ** 2 // 8 + len(reference) // _CHARACTERS_PER_STEP)
    try:
        if reference == "#" or reference.startswith("#/"):
            found = lookup(reference).contents
            if isinstance(found, bool) or id(found) in known:
                return found
    except (Unresolvable, ValueError, LookupError, TypeError):
        pass  # the same sentence for everything that leads nowhere
    raise SchemaRefused(
        f"The $ref {quoted(reference)} must name a schema within this one, such as '#/$defs/task'."
    )


def _check_it_ends(subschemas: Iterable[Mapping[str, Any]]) -> None:
    """Refuse a schema that refers to itself for the same value."""
    done: set[int] = set()
    under_way: set[int] = set()

    def visit(subschema: Any) -> None:
        if isinstance(subschema, bool) or id(subschema) in done:
            return
        if id(subschema) in under_way:
            raise SchemaRefused("The schema refers to itself without end.")
        under_way.add(id(subschema))
        for inner in _in_place(subschema):
            visit(inner)
        under_way.remove(id(subschema))
        done.add(id(subschema))

    for subschema in subschemas:
        visit(subschema)


def _in_place(subschema: Mapping[str, Any]) -> Iterator[Any]:
    if "$ref" in subschema:
        yield subschema["$ref"].target
    for name in _IN_PLACE_ONE:
        if name in subschema:
            yield subschema[name]
    for name in _IN_PLACE_MANY:
        yield from subschema.get(name, ())
    yield from subschema.get("dependentSchemas", {}).values()


# ---- Words --------------------------------------------------------------------------------------


def _misfit(error: ValidationError) -> Misfit:
    return Misfit(_pointer(error), _said(error))


def _pointer(error: ValidationError) -> str:
    steps = (str(step).replace("~", "~0").replace("/", "~1") for step in error.absolute_path)
    return "".join(f"/{step}" for step in steps)


def _said(error: ValidationError) -> str:
    message = error.message
    if len(message) > _MESSAGE_LIMIT_CHARACTERS:
        message = f"{message[:_MESSAGE_LIMIT_CHARACTERS]}…"
    return message if message.endswith((".", "…")) else f"{message}."


# ---- The meta-schema ----------------------------------------------------------------------------


def _meta_schema() -> dict[str, Any]:
    """Return the draft's own meta-schema as one document: checking takes an eighth of the time."""
    parts = [
        resource.contents
        for uri, resource in REGISTRY.items()
        if uri.startswith(DIALECT.rpartition("/")[0])
    ]
    merged: dict[str, Any] = {"type": ["object", "boolean"]}
    for name in ("properties", "$defs"):
        merged[name] = {
            inner: _within_one(schema)
            for part in parts
            for inner, schema in part.get(name, {}).items()
        }
    return merged


def _within_one(value: Any) -> Any:
    """Let what refers to another document, or to all of them, refer to the merged one."""
    if isinstance(value, list):
        return [_within_one(entry) for entry in value]
    if not isinstance(value, dict):
        return value
    inner = {name: _within_one(member) for name, member in value.items()}
    if isinstance(reference := inner.get("$ref"), str):
        inner["$ref"] = f"#{reference.partition('#')[2]}"
    if isinstance(inner.get("$dynamicRef"), str):
        inner["$ref"] = "#"
    return inner


def _meta_validator() -> Any:
    meta_schema = _meta_schema()
    with working(Work(STEPS_TO_COMPILE)):
        subschemas = list(_subschemas(DRAFT202012.create_resource(meta_schema)))
        _follow_references(meta_schema, subschemas)
        return _Validator(meta_schema, registry=_NOTHING_ELSE)


_NOTHING_ELSE: Final[Registry[Any]] = Registry()
_Validator: Final = bounded_validator(REGISTRY.contents(DIALECT))
_META_VALIDATOR: Final = _meta_validator()
