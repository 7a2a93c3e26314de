"""How a view says what its methods take and answer, for the API's description (`api_schema`).

Declarations only, which stand beside the handlers; what is the same for every route (key, scope,
path, errors, common headers) is derived, and not said here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any, Final, TypeVar

from rest_framework import serializers

from subscriptions import idempotency_key

Serializer = type[serializers.BaseSerializer[Any]]


@dataclass(frozen=True, slots=True)
class Header:
    """A header of some operations; `schema` is JSON Schema."""

    name: str
    description: str
    schema: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Operation:
    """What one method of a route takes and answers; see `operation`."""

    answers: Mapping[int, Serializer | None]
    body: Serializer | None = None
    query: Serializer | None = None
    problems: Mapping[int, str] = field(default_factory=dict)
    takes: Sequence[Header] = ()
    gives: Sequence[Header] = ()
    name: str | None = None
    is_list: bool = False


_Handler = TypeVar("_Handler", bound=Callable[..., Any])


def operation(
    *,
    answers: Mapping[int, Serializer | None] | None = None,
    page_of: Serializer | None = None,
    is_conditional: bool = False,
    **rest: Any,
) -> Callable[[_Handler], _Handler]:
    """Describe a handler.

    `answers`: status to serializer (`None`: no body), or `page_of`: 200 with a page of these.
    `body`, `query`: the serializers that check them. `problems`: status to sentence, for those that
    not every route has. `takes`, `gives`: headers. `is_conditional`: `If-Match` is heeded. `name`:
    the operation's id where the path does not make a good one. The docstring's first line is the
    title, the rest the description.
    """
    if page_of is not None:
        answers = {200: page_serializer(page_of)}  # type: ignore[arg-type]  # a class hashes
    described = Operation(answers=answers or {}, is_list=page_of is not None, **rest)
    if is_conditional:
        described = _amended(described, takes=IF_MATCH, problem=(412, CHANGED_MEANWHILE))

    def describe(handler: _Handler) -> _Handler:
        handler.operation = described  # type: ignore[attr-defined]  # a note on the function
        return handler

    return describe


def describe_idempotency(handler: Callable[..., Any]) -> None:
    """Add to a handler's description that it heeds an idempotency key."""
    described = getattr(handler, "operation", None)
    if described is not None:  # else it is a part of a handler, which says so itself
        handler.operation = _amended(  # type: ignore[attr-defined]  # a note on the function
            described,
            takes=IDEMPOTENCY_KEY,
            gives=IDEMPOTENCY_REPLAYED,
            problem=(409, KEY_WAS_USED),
        )


def _amended(
    described: Operation, *, takes: Header, problem: tuple[int, str], gives: Header | None = None
) -> Operation:
    status, sentence = problem
    sentences = [described.problems[status]] if status in described.problems else []
    return replace(
        described,
        takes=[*described.takes, takes],
        gives=[*described.gives, *([gives] if gives else [])],
        problems={**described.problems, status: " ".join([*sentences, sentence])},
    )


@cache
def page_serializer(serializer: Serializer) -> Serializer:
    """Return what describes a page of a list (`cursor_pages.page_response`)."""
    name = serializer.__name__.removesuffix("Serializer")
    members = {
        "__doc__": "A page of a list, newest first.",
        "results": serializer(many=True, help_text="What is on this page."),
        "next": serializers.URLField(
            allow_null=True, help_text="The page of what is older; null on the last one."
        ),
        "previous": serializers.URLField(
            allow_null=True, help_text="The page of what is newer; null on the first one."
        ),
    }
    return type(f"{name}PageSerializer", (serializers.Serializer,), members)


IDEMPOTENCY_KEY: Final = Header(
    idempotency_key.HEADER,
    "Makes repeating safe: the same key with the same content gives the same answer, and has no "
    "second effect. 1 to 255 printable characters.",
    {
        "type": "string",
        "minLength": 1,
        "maxLength": idempotency_key.LIMIT_CHARACTERS,
        "pattern": "^[!-~]([ -~]*[!-~])?$",
        "examples": ["order-4711-paid"],
    },
)
IF_MATCH: Final = Header(
    "If-Match",
    "An `ETag`, several, or `*`: nothing is done unless it is still what was read.",
    {"type": "string", "examples": ["*", '"1f0c2a9b7d4e6a8c0b12"']},
)
ETAG: Final = Header(
    "ETag",
    "Stands for what can be set, not for what the service counts beside it.",
    {"type": "string", "examples": ['"1f0c2a9b7d4e6a8c0b12"']},
)
CHANGED_MEANWHILE: Final = "It was changed since it was read: `ETag` is its present one."
KEY_WAS_USED: Final = "The idempotency key was used with other content."
PREFER: Final = Header(
    "Prefer",
    "`wait=6` (1 to 10 seconds) waits for the delivery to end (RFC 7240). What is not understood "
    "is ignored.",
    {"type": "string", "examples": ["wait=6"]},
)
IDEMPOTENCY_REPLAYED: Final = Header(
    idempotency_key.REPLAYED_HEADER,
    "`true` where the idempotency key was known, and nothing new was stored.",
    {"type": "string", "enum": ["true"]},
)
LOCATION: Final = Header(
    "Location",
    "The path of what was made.",
    {"type": "string", "format": "uri-reference"},
)
PREFERENCE_APPLIED: Final = Header(
    "Preference-Applied", "The wait that was granted.", {"type": "string", "examples": ["wait=6"]}
)
