"""Reads the filters of the deliveries' list from an address, by the rules of the API's list.

Forms send empty fields, and times without a zone: here these are no filter, and UTC.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlencode
from uuid import UUID

from django.db.models import QuerySet
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from deliveries.history.delivery_query import DeliveryQuery
from deliveries.history.filters import TooManyFound, filtered
from deliveries.models import Delivery
from subscriptions.models import Project, Subscription

FILTERS: Final = ("subscription", "status", "outcome", "status_class", "status_code", "event_type",
                  "event", "since", "until", "search")  # fmt: skip

_FOLDED: Final = frozenset({"outcome", "status_class", "status_code", "since", "until"})

_WITHOUT_ZONE: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d{1,6})?)?")


@dataclass(frozen=True, slots=True)
class ListQuery:
    """What a visitor asked for: as it was given, and what that means."""

    given: Mapping[str, str]
    """Filters and cursor that are not empty."""
    wanted: Mapping[str, Any]
    """The same validated; empty when there are errors."""
    errors: Mapping[str, str] = field(default_factory=dict)
    """A sentence for each field that is wrong; `""` for all of them together."""

    @property
    def filters(self) -> dict[str, str]:
        """What was given, less the cursor."""
        return {name: self.given[name] for name in FILTERS if name in self.given}

    @property
    def fields(self) -> dict[str, str]:
        """What was given, as the form's fields have it: times in UTC, without a zone."""
        times = {
            name: f"{self.wanted[name]:%Y-%m-%dT%H:%M:%S}"
            for name in ("since", "until")
            if name in self.wanted
        }
        return {**self.given, **times}

    @property
    def has_more(self) -> bool:
        """Whether filters are used that the form folds away."""
        return not _FOLDED.isdisjoint(self.given)

    def address(self, **changes: str | None) -> str:
        """Return the query of an address with these filters and no cursor, changed so; `?…`."""
        merged = {**self.filters, **changes}
        return "?" + urlencode({name: value for name, value in merged.items() if value})


def read(parameters: Mapping[str, str]) -> ListQuery:
    """Read a query; what a list does not know is passed over."""
    given = {
        name: parameters[name].strip() for name in (*FILTERS, "cursor") if parameters.get(name)
    }
    given = {name: value for name, value in given.items() if value}
    zoned = {
        name: f"{value}Z"
        if name in ("since", "until") and _WITHOUT_ZONE.fullmatch(value)
        else value
        for name, value in given.items()
    }
    query = DeliveryQuery(data=zoned)
    if query.is_valid():
        return ListQuery(given, query.validated_data)
    return ListQuery(given, {}, errors=_sentences(query.errors))


def deliveries_wanted(
    project: Project,
    query: ListQuery,
    *,
    subscriptions: QuerySet[Subscription],
    among: Collection[UUID] | None,
) -> tuple[QuerySet[Delivery], dict[str, str]]:
    """Return what fits, and what is wrong with the filters: then nothing fits.

    `subscriptions` are those that may be named; `among`: only deliveries to these are found, or,
    with `None`, all of the project's.
    """
    if query.errors:
        return Delivery.objects.none(), dict(query.errors)
    named = query.wanted.get("subscription")
    if named is not None and not subscriptions.filter(pk=named).exists():
        return Delivery.objects.none(), {"subscription": gettext("There is no such subscription.")}
    try:
        return filtered(project, dict(query.wanted), among=among), {}
    except TooManyFound:
        sentence = gettext("Too many events fit: give more of the idempotency key.")
        return Delivery.objects.none(), {"search": sentence}


_BY_CODE: Final = {
    "invalid_choice": _("Choose one of the list."),
    "min_value": _("A status code lies between 100 and 599."),
    "max_value": _("A status code lies between 100 and 599."),
    "max_length": _("This is too long."),
    "out_of_range": _("This time is before 1970 or after 9998."),
    "reversed": _("This time lies before “since”."),
}
_BY_FIELD: Final = {
    "subscription": _("This is not the id of a subscription."),
    "event": _("This is not the id of an event."),
    "event_type": _("This is not an event type."),
    "since": _("This is not a time such as 2026-01-31T12:00."),
    "until": _("This is not a time such as 2026-01-31T12:00."),
    "status_code": _("A status code lies between 100 and 599."),
}
_OTHER: Final = _("This cannot be used as it is.")


def _sentences(errors: Mapping[str, Any]) -> dict[str, str]:
    """Say in the visitor's language what the rules of the API found."""
    return {
        name: str(_BY_CODE.get(details[0].code) or _BY_FIELD.get(name) or _OTHER)
        for name, details in errors.items()
    }
