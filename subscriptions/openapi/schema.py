"""Derives the API's OpenAPI 3.1 description from views, serializers and `operation` declarations.

DRF loads it by name (`DEFAULT_SCHEMA_CLASS`) when a description is made, and never to answer a
request. Fields with `json_schema(direction)` and serializers with `keywords` tell more than DRF's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from drf_spectacular.drainage import warn
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.plumbing import ResolvedComponent, get_doc, is_patched_serializer
from drf_spectacular.utils import Direction
from rest_framework import serializers

from subscriptions.openapi.components import (
    ALWAYS,
    API_KEY,
    KEY_SCHEME,
    TAGS,
    ProblemSerializer,
    error_reference,
    error_response,
    error_statuses,
    header_references,
    path_parameter,
    shared_headers,
    shared_responses,
)
from subscriptions.openapi.operations import Header, Operation
from subscriptions.rest.conventions import ApiKeyAuthentication
from subscriptions.rest.strict_fields import StrictSerializer

_ROOT = re.compile(r"^.*?/api/v1/")
_VERBS = {"GET": "get", "PATCH": "update", "PUT": "replace", "DELETE": "delete"}

JSONSchema = dict[str, Any]


class ApiSchema(AutoSchema):
    """One operation's description."""

    # ---- What it is called ------------------------------------------------------------------

    def get_operation_id(self) -> str:
        """Return the declared name, or the one that the path makes."""
        return self._operation.name or operation_name(
            self.method, self._segments, is_list=self._operation.is_list
        )

    def get_tags(self) -> list[str]:
        """Return the view's `tag`, or the path's first noun."""
        own = getattr(self.view, "tag", None)
        return [own or self._segments[0].replace("-", " ").capitalize()]

    def get_summary(self) -> str:
        """Return the first line of the handler's docstring."""
        return self._doc.partition("\n")[0].removesuffix(".")

    def get_description(self) -> str:  # type: ignore[override]  # drf-spectacular's
        """Return the rest of it, and the scope that is needed."""
        rest = self._doc.partition("\n")[2].strip()
        scope = f"Needs the scope `{self._scope}`." if self._scope else ""
        return "\n\n".join(part for part in (rest, scope) if part)

    def get_auth(self) -> list[dict[str, list[str]]]:
        """Return that a key is needed, with its scope in the place of a role (OpenAPI 4.8.30)."""
        scheme = ResolvedComponent(
            name=KEY_SCHEME,
            type=ResolvedComponent.SECURITY_SCHEMA,
            object=ApiKeyAuthentication,
            schema=API_KEY,
        )
        self.registry.register_on_missing(scheme)
        return [{KEY_SCHEME: [self._scope] if self._scope else []}]

    # ---- What it takes ----------------------------------------------------------------------

    def get_override_parameters(self) -> list[Any]:
        """Return the query's parameters, from the serializer that checks them."""
        return [self._operation.query] if self._operation.query else []

    def _get_parameters(self) -> list[JSONSchema]:
        parameters: list[JSONSchema] = super()._get_parameters()
        return [*parameters, *(_as_parameter(header) for header in self._operation.takes)]

    def _resolve_path_parameters(self, variables: Sequence[str]) -> list[JSONSchema]:
        found: list[JSONSchema] = []
        for name in variables:
            shared = path_parameter(name)
            found += [shared] if shared else super()._resolve_path_parameters([name])
        return found

    def get_request_serializer(self) -> Any:
        """Return what checks the body."""
        return self._operation.body

    # ---- What it answers --------------------------------------------------------------------

    def get_response_serializers(self) -> Any:
        """Return what the declared answers hold."""
        return dict(self._operation.answers)

    def _get_response_bodies(self, direction: Direction = "response") -> JSONSchema:
        responses: JSONSchema = super()._get_response_bodies(direction)
        gives = {header.name: _as_header(header) for header in self._operation.gives}
        limited = hasattr(self.view, "limits")
        always = header_references(ALWAYS if limited else ALWAYS[:1])
        for status, response in responses.items():
            response["description"] = self._answer_in_words(int(status))
            response["headers"] = {**always, **gives}
        self.resolve_serializer(ProblemSerializer, "response")
        return {**responses, **self._errors()}

    def _errors(self) -> JSONSchema:
        declared = self._operation.problems
        common = error_statuses(
            has_path="{" in self.path,
            has_body=self._operation.body is not None,
            has_key=bool(self.view.get_authenticators()),
        )
        return {
            str(status): error_response(status, declared[status])
            if status in declared
            else error_reference(status)
            for status in sorted({*common, *declared})
        }

    def _answer_in_words(self, status: int) -> str:
        serializer = self._operation.answers[status]
        doc: str = get_doc(serializer) if serializer else "Done."
        return doc.partition("\n")[0]

    # ---- How values look --------------------------------------------------------------------

    def _map_serializer_field(self, field: Any, direction: Direction, *rest: Any) -> JSONSchema:
        tell = getattr(field, "json_schema", None)
        if tell is None:
            schema = dict(super()._map_serializer_field(field, direction, *rest))
            schema.pop("x-spec-enum-id", None)  # drf-spectacular's own note
            if getattr(field, "allow_empty", True) is False:
                schema[
                    "minProperties" if isinstance(field, serializers.DictField) else "minItems"
                ] = 1
            return schema
        meta = self._get_serializer_field_meta(field, direction)
        for said_already in ("nullable", "minLength"):
            meta.pop(said_already, None)
        return {**tell(direction), **meta}

    def _map_basic_serializer(self, serializer: Any, direction: Direction) -> JSONSchema:
        schema: JSONSchema = super()._map_basic_serializer(serializer, direction)
        properties = schema.get("properties", {})
        for of_class in reversed(type(serializer).__mro__):
            for name, keywords in vars(of_class).get("keywords", {}).items():
                if name in properties:
                    _add_keywords(properties[name], keywords)
        return schema

    def _postprocess_serializer_schema(
        self, schema: JSONSchema, serializer: Any, direction: Direction
    ) -> JSONSchema:
        """Leave out what the direction does not have: answers are whole, bodies hold no more."""
        schema = super()._postprocess_serializer_schema(schema, serializer, direction)
        properties = schema.setdefault("properties", {})
        for member in properties.values():
            member.pop("readOnly", None)
            member.pop("writeOnly", None)
        if direction == "response":
            schema["required"] = sorted(properties)
            return schema
        if is_patched_serializer(serializer, direction):
            for name in getattr(serializer, "only_when_creating", ()):
                properties.pop(name, None)
        if isinstance(serializer, StrictSerializer):
            schema["additionalProperties"] = False
        return schema

    def _get_serializer_name(self, serializer: Any, direction: Direction, *_rest: Any) -> str:
        if isinstance(serializer, serializers.ListSerializer):
            serializer = serializer.child
        name = type(serializer).__name__.removesuffix("Serializer")
        if direction == "response":
            return name
        return f"{name}Patch" if is_patched_serializer(serializer, direction) else f"{name}Request"

    # ---- Where it stands --------------------------------------------------------------------

    @property
    def _operation(self) -> Operation:
        name = self.method.lower()
        declared = getattr(getattr(self.view, name), "operation", None)
        if isinstance(declared, Operation):
            return declared
        warn(f"{type(self.view).__name__}.{name} has no @operation, so it is hardly described")
        return Operation(answers={HTTPStatus.OK: None})

    @property
    def _segments(self) -> list[str]:
        """The path, from the project on."""
        segments = _ROOT.sub("", self.path).split("/")
        return (
            segments[2:] if segments[:2] == ["projects", "{project}"] and segments[2:] else segments
        )

    @property
    def _scope(self) -> str | None:
        scopes: Mapping[str, str] = getattr(self.view, "scopes", {})
        return scopes.get(self.method)

    @property
    def _doc(self) -> str:
        doc: str = get_doc(getattr(self.view, self.method.lower()))
        return doc


def operation_name(method: str, segments: Sequence[str], *, is_list: bool) -> str:
    """Return an operation's id, a good method name: `list_subscriptions`, `redeliver_delivery`.

    A POST to a plural creates one, any other is called by its last word. What a project has one of
    is `project_…`.
    """
    words = [part.replace("-", "_") for part in segments if not part.startswith("{")]
    if words[0] == _singular(words[0]):
        words = ["project", *words]
    *before, last = words
    owners = [_singular(word) for word in before]
    if segments[-1].startswith("{"):
        return "_".join([_VERBS[method], *owners, _singular(last)])
    if method != "POST":
        return "_".join(["list" if is_list else _VERBS[method], *owners, last])
    if last == _singular(last):
        return "_".join([last, *owners])
    return "_".join(["create", *owners, _singular(last)])


def add_shared(result: JSONSchema, **_: Any) -> JSONSchema:
    """Add what operations refer to; drf-spectacular calls it at the end."""
    components = result["components"]
    components["responses"] = shared_responses()
    components["headers"] = shared_headers()
    used = {
        tag for path in result["paths"].values() for told in path.values() for tag in told["tags"]
    }
    result["tags"] = [
        {"name": name, "description": text} for name, text in TAGS.items() if name in used
    ]
    return result


def _singular(word: str) -> str:
    return f"{word[:-3]}y" if word.endswith("ies") else word.removesuffix("s")


def _add_keywords(schema: JSONSchema, keywords: Mapping[str, Any]) -> None:
    schema.update(keywords)
    if "enum" in keywords and "null" in schema.get("type", ()):
        schema["enum"] = [*keywords["enum"], None]


def _as_header(header: Header) -> JSONSchema:
    return {"description": header.description, "schema": dict(header.schema)}


def _as_parameter(header: Header) -> JSONSchema:
    return {"in": "header", "name": header.name, **_as_header(header)}
