"""What operations of the API's description share: errors, headers, path parameters, the key.

Used by `api_schema`, which refers to them from every operation; a new noun's id and tag go here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from rest_framework import serializers

from subscriptions.event_types import LIMIT_CHARACTERS, PATTERN
from subscriptions.rest.problems import MEDIA_TYPE, title_of

TAGS: Final[Mapping[str, str]] = {
    "Projects": "The tenants: operators make them, owners set them up.",
    "Members": "Who may do what in a project, on its pages.",
    "Keys": "Credentials of a project for this API.",
    "Event types": "The catalogue: which events there are, and what their data looks like.",
    "Events": "What happened, and whom it goes to.",
    "Subscriptions": "Where events are sent, which ones, and how they look.",
    "Secrets": "What requests are signed with: a subscription's own, or the project's default.",
    "Deliveries": "Events on their way to a subscription, with every attempt.",
    "Recoveries": "Sending many again, or what was missed, bit by bit.",
    "Stats": "How deliveries went, and what waits.",
    "Portal links": "A project's pages inside its provider's own product.",
    "Audit": "Whether every event has all of its deliveries.",
    "Audit log": "Who changed what.",
}
"""In the order in which they are shown."""

_PREFIXES: Final = {
    "event_id": "evt",
    "subscription_id": "sub",
    "delivery_id": "dlv",
    "key_id": "key",
    "recovery_id": "rcv",
}
"""Path parameters that are public ids."""

SLUG: Final = {"type": "string", "pattern": "^[-a-zA-Z0-9_]+$", "maxLength": 63}

_EVENT_TYPE: Final = {
    "type": "string",
    "pattern": PATTERN,
    "maxLength": LIMIT_CHARACTERS,
    "examples": ["Task.update"],
}

_USER_NAME: Final = {"type": "string", "minLength": 1, "maxLength": 150, "examples": ["alice"]}

API_KEY: Final = {
    "type": "http",
    "scheme": "bearer",
    "description": "A key of the project, or an operator's, `whd_…`, with the scope that the "
    "operation names. `manage.py create_key PROJECT --scope read` makes one.",
}

KEY_SCHEME: Final = "ApiKey"


def path_parameter(name: str) -> dict[str, Any] | None:
    """Return the OpenAPI parameter of this name, if it is one of those that routes share."""
    if name == "project":
        said = {
            "description": "The project's short name.",
            "schema": {**SLUG, "examples": ["demo"]},
        }
    elif name == "user":
        said = {"description": "A member's user name.", "schema": _USER_NAME}
    elif name == "event_type":
        said = {"description": "The event type's name, percent-encoded.", "schema": _EVENT_TYPE}
    elif name in _PREFIXES:
        noun = name.removesuffix("_id").replace("_", " ")
        said = {"description": f"The {noun}'s id.", "schema": id_schema(_PREFIXES[name])}
    else:
        return None
    return {"in": "path", "name": name, "required": True, **said}


def id_schema(prefix: str) -> dict[str, Any]:
    """Return the JSON Schema of a public id (`subscriptions.ids`)."""
    return {"type": "string", "pattern": f"^{prefix}_[0-9a-f]{{32}}$"}


# ---- Errors -------------------------------------------------------------------------------------


class FieldErrorSerializer(serializers.Serializer[Any]):
    """What is wrong with one field."""

    field = serializers.CharField(
        help_text="As it was sent, `event_types.0` for an entry; empty for the body as a whole."
    )
    code = serializers.CharField(help_text="Stable, for programs: `required`, `https_only`, …")
    message = serializers.CharField(help_text="A sentence for people, which may change.")


class ProblemSerializer(serializers.Serializer[Any]):
    """What went wrong (RFC 9457); the codes in `errors` are stable, sentences are not."""

    type = serializers.CharField(help_text="`about:blank`: the status says it.")
    title = serializers.CharField(help_text="The status in words.")
    status = serializers.IntegerField(help_text="The HTTP status.")
    detail = serializers.CharField(help_text="A sentence about this occurrence.")
    errors = FieldErrorSerializer(  # type: ignore[assignment]  # a member, not `Serializer.errors`
        many=True, help_text="The fields that are wrong, all at once; may be empty."
    )


_ERRORS: Final[Mapping[int, str]] = {
    400: "Malformed, or a value is not acceptable; `errors` name the fields.",
    401: "There is no key, or it is unknown, expired or revoked.",
    403: "The key lacks the scope.",
    404: "It does not exist, or belongs to another project.",
    411: "The request needs a `Content-Length`.",
    413: "The body is too long.",
    415: "The body is not uncompressed UTF-8 sent as `application/json`.",
    429: "Too fast, or too much at once; nothing was stored.",
    503: "The database is away; nothing was stored.",
}
"""Those that come without an operation's doing."""


def response_name(status: int) -> str:
    """Return the component's name of an error's answer."""
    return title_of(status).replace(" ", "")


def error_statuses(*, has_path: bool, has_body: bool, has_key: bool) -> list[int]:
    """Return the errors that any operation of this kind may answer."""
    left_out = {
        *(() if has_key else (401, 403)),
        *(() if has_path else (404,)),
        *(() if has_body else (411, 413, 415)),
    }
    return [status for status in _ERRORS if status not in left_out]


def error_response(status: int, description: str) -> dict[str, Any]:
    """Return the OpenAPI response of an error."""
    names = [name for name, about in HEADERS.items() if status in about["errors"]]
    return {
        "description": description,
        "headers": header_references(names),
        "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }


def shared_responses() -> dict[str, Any]:
    """Return the components of all errors that need no declaration."""
    return {response_name(status): error_response(status, text) for status, text in _ERRORS.items()}


def error_reference(status: int) -> dict[str, str]:
    """Return the reference to a shared error."""
    return {"$ref": f"#/components/responses/{response_name(status)}"}


# ---- Headers of answers -------------------------------------------------------------------------

_EVERY = frozenset(range(400, 600))
_LIMITED = frozenset({400, 403, 404, 409, 411, 413, 415, 422, 429})
"""Those that come after the limits were asked."""

HEADERS: Final[Mapping[str, Mapping[str, Any]]] = {
    "X-Request-Id": {
        "errors": _EVERY,
        "description": "The request's id, in our logs and the audit log too: yours if you sent "
        "one of 1 to 64 letters, digits, `.`, `_` and `-`.",
        "schema": {"type": "string", "maxLength": 64},
    },
    "RateLimit-Policy": {
        "errors": _LIMITED,
        "description": "The limits that count (draft-ietf-httpapi-ratelimit-headers): `q` at once, "
        "all of it back after `w` seconds. Missing where there is none.",
        "schema": {"type": "string", "examples": ['"requests-per-key";q=500;w=10']},
    },
    "RateLimit": {
        "errors": _LIMITED,
        "description": "`r` are left under each, for `t` seconds at a steady pace.",
        "schema": {"type": "string", "examples": ['"requests-per-key";r=499;t=10']},
    },
    "Retry-After": {
        "errors": frozenset({429, 503}),
        "description": "In how many seconds to try again.",
        "schema": {"type": "integer", "minimum": 0, "examples": [5]},
    },
    "WWW-Authenticate": {
        "errors": frozenset({401}),
        "description": "How to authenticate (RFC 6750).",
        "schema": {"type": "string", "examples": ['Bearer realm="api"']},
    },
}

ALWAYS: Final = ("X-Request-Id", "RateLimit-Policy", "RateLimit")
"""With answers that are no error."""


def shared_headers() -> dict[str, Any]:
    """Return the components of all headers that need no declaration."""
    return {
        name: {"description": about["description"], "schema": about["schema"]}
        for name, about in HEADERS.items()
    }


def header_references(names: Iterable[str]) -> dict[str, Any]:
    """Return references to shared headers."""
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}
