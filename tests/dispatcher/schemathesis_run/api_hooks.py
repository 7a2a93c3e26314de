"""What Schemathesis must know beyond the description; `config.toml` names this module."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import schemathesis
from hypothesis import strategies as st
from schemathesis.core.failures import AcceptedNegativeData, Failure
from schemathesis.core.transport import Response
from schemathesis.generation.case import Case
from schemathesis.hooks import HookContext
from schemathesis.openapi.checks import RejectedPositiveData

AUDITED_DAYS = 31

# Where nothing listens: what is delivered meanwhile ends at once.
schemathesis.openapi.format("uri", st.from_regex(r"\Ahttp://127\.0\.0\.1:18999/[a-z/]{0,20}\Z"))
schemathesis.openapi.format(
    "date",
    st.integers(0, AUDITED_DAYS - 1).map(
        lambda days: (datetime.now(UTC).date() - timedelta(days=days)).isoformat()
    ),
)
schemathesis.openapi.format(
    "date-time",
    st.datetimes(datetime(1970, 1, 2), datetime(9998, 12, 30)).map(lambda at: f"{at.isoformat()}Z"),  # noqa: DTZ001  # made aware by its Z
)

_PLACE = re.compile("[./]")
"""Ends the field's name where a place inside of it follows."""

NO_SCHEMA_SAYS = {
    ("cursor", "invalid"),  # only those that a list handed out are good
    ("until", "reversed"),  # compared with `since`
    ("since", "out_of_range"),  # compared with now
    ("until", "out_of_range"),  # likewise
    ("since", "too_long"),  # compared with `bucket`
    ("name", "not_printable"),  # by Unicode's tables
    ("metadata", "invalid"),  # likewise
    ("subscription", "required"),  # for one kind of recovery
    ("outcomes", "not_used"),  # for the other
    ("status_class", "not_used"),  # likewise
    ("expires_at", "past"),  # compared with now
    ("url", "https_only"),  # the project's setting
    ("repsona_fields", "unsuitable"),  # depends on the wire format
    ("signature_schemes", "invalid"),  # two of them share a header
    ("signature_schemes", "unsuitable"),  # the secret that signs cannot do it
    ("uses_default_secret", "unavailable"),  # there is none yet
    ("secret", "invalid"),  # depends on the signature schemes
    ("secret", "not_used"),  # the default signs
    ("name", "reserved"),  # a word of the API's paths
    ("schema", "invalid"),  # a JSON Schema has rules of its own
    ("schema", "example"),  # compared with the example that is stored
    ("schema", "too_costly"),  # likewise
    ("example", "schema"),  # does not fit the schema beside it
    ("custom_headers", "invalid"),  # reserved names, one name in two cases, too long together
}
"""Field and code of refusals that look at more than the one value."""


@schemathesis.hook
def filter_failure(
    _context: HookContext, failure: Failure, _case: Case[Any], response: Response
) -> bool:
    """Keep every failure but refusals that are explained above, or that stand in a 200."""
    if isinstance(failure, AcceptedNegativeData):
        answer = response.json()  # a batch refuses event by event; of a URL the verdict is asked
        return not answer.get("refused") and answer.get("verdict") != "refused"
    if not isinstance(failure, RejectedPositiveData):
        return True
    errors = {
        (_PLACE.split(error["field"])[0], error["code"]) for error in response.json()["errors"]
    }
    return not errors or not errors <= NO_SCHEMA_SAYS
