"""Serializers and fields that take nothing for something else: no unknown names, no coercion.

DRF ignores members it does not know, and takes 5 for "5" and "yes" for true; here each is an error
that names the field. Used by all serializers of the API.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, ClassVar, TypeVar
from uuid import UUID

from rest_framework import serializers
from rest_framework.request import Request

from subscriptions.field_errors import FieldError, FieldsRefused
from subscriptions.ids import EPOCH, from_public, to_public

_LATEST = datetime(9998, 12, 31, tzinfo=UTC)
"""Beyond it, arithmetic with times overflows; so it does before 1970 with ids."""


class StrictSerializer(serializers.Serializer[Any]):
    """Refuses members that it does not know or that only the service sets."""

    unknown_message = "There is no such field."

    def to_internal_value(self, data: Any) -> Any:
        """Return the checked members, or raise with every error found."""
        errors: dict[str, Any] = {}
        if isinstance(data, Mapping):
            errors = self._errors_of_names(data)
            data = {name: value for name, value in data.items() if name not in errors}
        try:
            value = super().to_internal_value(data)
        except serializers.ValidationError as error:
            if not isinstance(error.detail, dict):
                raise
            errors = {**error.detail, **errors}
        if errors:
            raise serializers.ValidationError(errors)
        return value

    def _errors_of_names(self, data: Mapping[str, Any]) -> dict[str, Any]:
        errors = {}
        for name in data:
            field = self.fields.get(name)
            if field is None:
                errors[name] = serializers.ErrorDetail(self.unknown_message, "unknown")
            elif field.read_only:
                errors[name] = serializers.ErrorDetail("This field cannot be set.", "read_only")
        return errors


class Text(serializers.CharField):
    """A JSON string, and only that; space around it is kept for the checks to see."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"trim_whitespace": False, **options})

    def to_internal_value(self, data: Any) -> str:
        """Return the string."""
        if not isinstance(data, str):
            self.fail("invalid")
        return super().to_internal_value(data)


class Flag(serializers.BooleanField):
    """`true` or `false`, and only these."""

    def to_internal_value(self, data: Any) -> bool:
        """Return the boolean."""
        if not isinstance(data, bool):
            self.fail("invalid", input=data)
        return data


def whole(value: Any) -> Any:
    """Return 24 for 24.0, which JSON Schema takes for the same; any other value as it is."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


class FlagQuery(serializers.ChoiceField):
    """`true` or `false` as a query says it, and only these."""

    default_error_messages = {"invalid_choice": "This is neither `true` nor `false`."}

    def __init__(self, **options: Any) -> None:
        super().__init__(choices=["true", "false"], **options)

    def to_internal_value(self, data: Any) -> Any:
        """Return the boolean."""
        return super().to_internal_value(data) == "true"


class Number(serializers.IntegerField):
    """A JSON number without a fraction, and only that."""

    def to_internal_value(self, data: Any) -> int:
        """Return the number."""
        data = whole(data)
        if not isinstance(data, int) or isinstance(data, bool):
            self.fail("invalid")
        return super().to_internal_value(data)


class AnyJson(serializers.JSONField):
    """Any JSON value, null included."""

    def json_schema(self, _direction: str) -> dict[str, Any]:
        """Return that everything goes."""
        return {}


class PublicId(serializers.Field[UUID, str, str, Any]):
    """An id as it goes over the wire: `sub_` and 32 hexadecimal digits."""

    default_error_messages = {"invalid": "This is not an id of the form {prefix}_ and 32 digits."}

    def __init__(self, prefix: str, **options: Any) -> None:
        super().__init__(**options)
        self.prefix = prefix

    def to_internal_value(self, data: Any) -> UUID:
        """Return the id inside."""
        identifier = from_public(self.prefix, data) if isinstance(data, str) else None
        if identifier is None:
            self.fail("invalid", prefix=self.prefix)
        return identifier

    def to_representation(self, value: UUID) -> str:
        """Return the public id."""
        return to_public(self.prefix, value)

    def json_schema(self, _direction: str) -> dict[str, Any]:
        """Return how the id looks; null is possible where the field says so."""
        return {
            "type": ["string", "null"] if self.allow_null else "string",
            "pattern": f"^{self.prefix}_[0-9a-f]{{32}}$",
        }


class NullWhenEmpty(serializers.ReadOnlyField):
    """A text that the database keeps as "" and the API shows as null."""

    def to_representation(self, value: Any) -> Any:
        """Return the text or `None`."""
        return value or None

    def json_schema(self, _direction: str) -> dict[str, Any]:
        """Return that it is a text or null."""
        return {"type": ["string", "null"]}


class Moment(serializers.Field[datetime, str, str, Any]):
    """A time with its offset from UTC (RFC 3339)."""

    default_error_messages = {
        "invalid": "This is not a time such as 2026-01-31T12:00:00Z (write + as %2B).",
        "out_of_range": "This time is before 1970 or after 9998.",
    }

    def to_internal_value(self, data: Any) -> datetime:
        """Return the aware time."""
        try:
            moment = datetime.fromisoformat(data)
        except (TypeError, ValueError):
            self.fail("invalid")
        if moment.tzinfo is None:
            self.fail("invalid")
        if not EPOCH <= moment <= _LATEST:
            self.fail("out_of_range")
        return moment.astimezone(UTC)

    def to_representation(self, value: datetime) -> str:
        """Return the time in UTC."""
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")

    def json_schema(self, _direction: str) -> dict[str, Any]:
        """Return that it is a time; null is possible where the field says so."""
        return {"type": ["string", "null"] if self.allow_null else "string", "format": "date-time"}


class Interval(StrictSerializer):
    """The query parameters `since` and `until`."""

    since = Moment(required=False, help_text="Then or later; from 1970 to 9998.")
    until = Moment(required=False, help_text="Before then; not before `since`.")

    keywords: ClassVar[dict[str, dict[str, Any]]] = {
        "since": {"examples": ["2026-01-31T00:00:00Z"]},
        "until": {"examples": ["2026-02-01T00:00:00Z"]},
    }

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Refuse an interval that ends before it begins."""
        if "since" in attrs and "until" in attrs and attrs["since"] > attrs["until"]:
            raise serializers.ValidationError(
                {"until": serializers.ErrorDetail("`until` lies before `since`.", "reversed")}
            )
        return attrs


_Query = TypeVar("_Query", bound=StrictSerializer)


def read_query(request: Request, serializer: type[_Query]) -> dict[str, Any]:
    """Return a request's checked query parameters; raises for unknown and repeated ones."""
    repeated = [name for name, values in request.query_params.lists() if len(values) > 1]
    if repeated:
        raise FieldsRefused(
            FieldError(name, "repeated", "This parameter is given more than once.")
            for name in repeated
        )
    query = serializer(data=request.query_params.dict())
    query.is_valid(raise_exception=True)
    validated: dict[str, Any] = query.validated_data
    return validated


def read_body(
    request: Request, serializer: type[_Query], *, partial: bool = False
) -> dict[str, Any]:
    """Return the checked members of a request's JSON object."""
    body = serializer(data=request.data, partial=partial)
    body.is_valid(raise_exception=True)
    validated: dict[str, Any] = body.validated_data
    return validated
