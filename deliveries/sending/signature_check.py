"""Checks a request as it was received, step by step, and says where it differs from what was sent.

Called by the signature debugger. Codes and values: the words are the page's. No finding holds a
secret, a key or a signature that would be right. Pure.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from deliveries.sending.signature_variants import (
    RECIPES,
    Content,
    Deviation,
    Secret,
    Way,
    Ways,
    bodies_of,
    decode,
)
from deliveries.sending.signing import Headers
from subscriptions.wire_formats import SIGNATURE_SCHEMES

LIMIT_SIGNATURES: Final = 8
"""Of one header; while a secret is rotated there are two."""

TOLERANCE_SECONDS: Final = 300
"""What Standard Webhooks and Stripe's libraries accept, in both directions."""

_MILLISECONDS_FROM: Final = 10**11
"""As seconds, it would be the year 5138."""


class Verdict(StrEnum):
    """What a finding means."""

    GOOD = "good"
    BAD = "bad"
    NOTE = "note"
    """Worth knowing; not the cause by itself."""


class Code(StrEnum):
    """What was found; `Finding.values` are named behind each."""

    HEADER_FOUND = "header_found"
    HEADER_MISSING = "header_missing"
    HEADER_RENAMED = "header_renamed"
    HEADER_CHANGED = "header_changed"
    MALFORMED = "malformed"
    TIMESTAMP_FINE = "timestamp_fine"
    TIMESTAMP_MISSING = "timestamp_missing"
    TIMESTAMP_NO_NUMBER = "timestamp_no_number"
    TIMESTAMP_MILLISECONDS = "timestamp_milliseconds"
    TIMESTAMP_OLD = "timestamp_old"
    TIMESTAMP_AHEAD = "timestamp_ahead"
    ID_KNOWN = "id_known"
    ID_UNKNOWN = "id_unknown"
    BODY_SAME = "body_same"
    BODY_EMPTY = "body_empty"
    BODY_NEWLINE = "body_newline"
    BODY_LINE_ENDS = "body_line_ends"
    BODY_RESERIALISED = "body_reserialised"
    BODY_CUT = "body_cut"
    BODY_CHANGED = "body_changed"
    SECRET_RIGHT = "secret_right"  # noqa: S105  # a code
    SECRET_WRONG = "secret_wrong"  # noqa: S105  # a code
    FITS = "fits"
    FITS_IF = "fits_if"
    FITS_NOTHING = "fits_nothing"
    NO_SECRET = "no_secret"  # noqa: S105  # a code
    SIGNATURES_LEFT_OUT = "signatures_left_out"
    COMPUTED_FITS = "computed_fits"
    COMPUTED_IF = "computed_if"
    COMPUTED_NOTHING = "computed_nothing"
    COMPUTED_NO_DIGEST = "computed_no_digest"


@dataclass(frozen=True, slots=True)
class Finding:
    """One step."""

    code: Code
    verdict: Verdict
    values: Mapping[str, str | int] = field(default_factory=dict)
    deviations: tuple[Deviation, ...] = ()
    """Of `FITS_IF` and `COMPUTED_IF`: all of them together."""


@dataclass(frozen=True, slots=True)
class Request:
    """A request, as received or as the history has it."""

    headers: Headers
    body: bytes


@dataclass(frozen=True, slots=True)
class Report:
    """The steps of one scheme."""

    scheme: str
    findings: tuple[Finding, ...]

    @property
    def is_good(self) -> bool:
        """Whether a receiver that does it right accepts this request."""
        return all(finding.verdict is not Verdict.BAD for finding in self.findings)


def check(
    schemes: Iterable[str],
    received: Request,
    secrets: Sequence[Secret],
    *,
    now_seconds: int,
    sent: Request | None = None,
    computed: str = "",
) -> list[Report]:
    """Check a request by each of the schemes.

    `sent` is the stored request that its id names; `computed` is what the receiver came to.
    """
    bodies = bodies_of(received.body, None if sent is None else sent.body)
    asked = _Asked(received, secrets, now_seconds, sent, computed, bodies)
    return [_by_scheme(scheme, asked) for scheme in schemes]


@dataclass(frozen=True, slots=True)
class _Asked:
    received: Request
    secrets: Sequence[Secret]
    now_seconds: int
    sent: Request | None
    computed: str
    bodies: Sequence[Way]


def _by_scheme(scheme: str, asked: _Asked) -> Report:
    sent, secrets = asked.sent, asked.secrets
    found = _read(scheme, asked.received)
    findings = list(found.findings)
    findings += _of_timestamp(scheme, found, asked.now_seconds)
    findings += _of_id(found, sent)
    if sent is not None:
        findings += _changed_headers(found, sent)
    findings += _of_body(asked.received.body, sent)
    findings += _of_secrets(secrets)
    ways = Ways(RECIPES[scheme], Content(found.parts, asked.bodies), secrets)
    if found.signatures and not secrets:
        findings.append(Finding(Code.NO_SECRET, Verdict.BAD))
    elif found.signatures:
        findings += _of_signature(found.signatures, ways)
    if asked.computed.strip():
        findings.append(_of_computed(scheme, asked.computed, ways))
    return Report(scheme, tuple(findings))


GIVEN: Final = "given"
"""The name of a secret that the visitor gave."""


def schemes_in(headers: Headers) -> list[str]:
    """Return the schemes whose signature is there."""
    names = {_folded(name) for name, _ in headers}
    return [
        row.name for row in SIGNATURE_SCHEMES.values() if _folded(row.signature_header) in names
    ]


# ---- Reading headers ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Read:
    signatures: tuple[str, ...]
    parts: Mapping[str, str]
    values: Mapping[str, str]
    """By expected name, of the headers that were found."""
    findings: tuple[Finding, ...]


_OWN_HEADERS: Final = MappingProxyType(
    {"standard": ("webhook-id", "webhook-timestamp", "webhook-signature")}
)

_FORMS: Final = MappingProxyType(
    {
        "standard": "v1,<base64>",
        "repsona": "t=<seconds>,s=<hex>",
        "stripe": "t=<seconds>,v1=<hex>",
        "github": "sha256=<hex>",
        "phrase": "<base64>",
        "phrase-hex": "<hex>",
    }
)


def _read(scheme: str, received: Request) -> _Read:
    signature_header = SIGNATURE_SCHEMES[scheme].signature_header
    findings: list[Finding] = []
    values: dict[str, str] = {}
    for name in _OWN_HEADERS.get(scheme, (signature_header,)):
        found, value = _header(name, received.headers)
        if value is not None:
            values[name] = value
        findings.append(found)
    value = values.get(signature_header, "")
    timestamp, signatures = _PARSERS[scheme](value)
    if signature_header in values and not any(decode(each)[0] for each in signatures):
        form: dict[str, str | int] = {"header": signature_header, "form": _FORMS[scheme]}
        findings.append(Finding(Code.MALFORMED, Verdict.BAD, form))
    parts = {
        "id": values.get("webhook-id"),
        "timestamp": values.get("webhook-timestamp", timestamp),
    }
    if scheme != "standard":
        parts["id"] = _header("X-GitHub-Delivery", received.headers)[1]
    known = {name: part for name, part in parts.items() if part}
    return _Read(tuple(signatures), known, values, tuple(findings))


def _header(name: str, headers: Headers) -> tuple[Finding, str | None]:
    """Find a header, by its name or one that it was changed to on the way."""
    for given, value in headers:
        if given.lower() == name.lower():
            return Finding(Code.HEADER_FOUND, Verdict.GOOD, {"header": name}), value.strip()
    folded = {_folded(given): (given, value) for given, value in headers}
    close = difflib.get_close_matches(_folded(name), folded, n=1, cutoff=0.85)
    if close:
        given, value = folded[close[0]]
        values = {"header": name, "found": given}
        return Finding(Code.HEADER_RENAMED, Verdict.BAD, values), value.strip()
    return Finding(Code.HEADER_MISSING, Verdict.BAD, {"header": name}), None


def _folded(name: str) -> str:
    """`HTTP_WEBHOOK_ID`, as CGI and WSGI have it, is `webhook-id`."""
    return name.lower().replace("_", "-").removeprefix("http-")


def _parse_standard(value: str) -> tuple[str | None, list[str]]:
    entries = [entry.partition(",") for entry in value.split()]
    return None, [signature for version, _, signature in entries if version == "v1"]


def _parse_fields(value: str, name: str) -> tuple[str | None, list[str]]:
    fields = [entry.strip().partition("=") for entry in value.split(",")]
    timestamps = [given for key, _, given in fields if key == "t"]
    return next(iter(timestamps), None), [given for key, _, given in fields if key == name]


_PARSERS: Final[Mapping[str, Callable[[str], tuple[str | None, list[str]]]]] = MappingProxyType(
    {
        "standard": _parse_standard,
        "repsona": lambda value: _parse_fields(value, "s"),
        "stripe": lambda value: _parse_fields(value, "v1"),
        "github": lambda value: (
            None,
            [value.removeprefix("sha256=")] if value.startswith("sha256=") else [],
        ),
        "phrase": lambda value: (None, [value]),
        "phrase-hex": lambda value: (None, [value]),
    }
)

# ---- Steps ----------------------------------------------------------------------------------


def _of_timestamp(scheme: str, found: _Read, now_seconds: int) -> list[Finding]:
    if "timestamp" not in RECIPES[scheme].parts or not found.values:
        return []
    given = found.parts.get("timestamp")
    if given is None:
        has_finding = any(
            finding.values.get("header") == "webhook-timestamp" for finding in found.findings
        )
        return [] if has_finding else [Finding(Code.TIMESTAMP_MISSING, Verdict.BAD)]
    if not (given.isascii() and given.isdigit() and len(given) < 20):
        return [Finding(Code.TIMESTAMP_NO_NUMBER, Verdict.BAD, {"given": given})]
    seconds = int(given)
    if seconds >= _MILLISECONDS_FROM:
        return [Finding(Code.TIMESTAMP_MILLISECONDS, Verdict.BAD, {"given": given})]
    age_seconds = now_seconds - seconds
    if age_seconds > TOLERANCE_SECONDS:
        return [Finding(Code.TIMESTAMP_OLD, Verdict.NOTE, {"minutes": age_seconds // 60})]
    if age_seconds < -TOLERANCE_SECONDS:
        return [Finding(Code.TIMESTAMP_AHEAD, Verdict.BAD, {"minutes": -age_seconds // 60})]
    return [Finding(Code.TIMESTAMP_FINE, Verdict.GOOD)]


def _of_id(found: _Read, sent: Request | None) -> list[Finding]:
    if "id" not in found.parts:
        return []
    values = {"id": found.parts["id"]}
    if sent is None:
        return [Finding(Code.ID_UNKNOWN, Verdict.NOTE, values)]
    return [Finding(Code.ID_KNOWN, Verdict.GOOD, values)]


def _changed_headers(found: _Read, sent: Request) -> list[Finding]:
    """Name the headers that are not as they were sent."""
    as_sent = {name.lower(): value.strip() for name, value in sent.headers}
    changed = [
        name
        for name, value in found.values.items()
        if name.lower() in as_sent and as_sent[name.lower()] != value
    ]
    return [Finding(Code.HEADER_CHANGED, Verdict.BAD, {"header": name}) for name in changed]


def _of_body(body: bytes, sent: Request | None) -> list[Finding]:
    if sent is None or (not body and sent.body):
        return [] if body else [Finding(Code.BODY_EMPTY, Verdict.BAD)]
    if body == sent.body:
        return [Finding(Code.BODY_SAME, Verdict.GOOD, {"bytes": len(body)})]
    values = {
        "expected": len(sent.body),
        "got": len(body),
        "at": _first_difference(body, sent.body),
    }
    return [Finding(_how_changed(body, sent.body), Verdict.BAD, values)]


def _how_changed(body: bytes, sent: bytes) -> Code:
    if body.rstrip(b"\r\n") == sent.rstrip(b"\r\n"):
        return Code.BODY_NEWLINE
    if body.replace(b"\r\n", b"\n") == sent.replace(b"\r\n", b"\n"):
        return Code.BODY_LINE_ENDS
    if sent.startswith(body):
        return Code.BODY_CUT
    return Code.BODY_RESERIALISED if _is_same_json(body, sent) else Code.BODY_CHANGED


def _is_same_json(one: bytes, other: bytes) -> bool:
    try:
        return bool(json.loads(one) == json.loads(other))
    except (ValueError, RecursionError):
        return False


def _first_difference(one: bytes, other: bytes) -> int:
    """Return the number of the first byte that differs, from 1."""
    pairs = enumerate(zip(one, other, strict=False), start=1)
    shorter = min(len(one), len(other))
    return next((place for place, (left, right) in pairs if left != right), shorter + 1)


def _of_secrets(secrets: Iterable[Secret]) -> list[Finding]:
    """Say whether a secret that was given beside the subscription's own is one of them."""
    known = list(secrets)
    given = [secret for secret in known if secret.name == GIVEN]
    if not given or len(known) == 1:
        return []
    for secret in known:
        if secret.name != GIVEN and secret.is_right and secret.text == given[0].text:
            return [Finding(Code.SECRET_RIGHT, Verdict.GOOD, {"secret": secret.name})]
    return [Finding(Code.SECRET_WRONG, Verdict.BAD)]


def _of_signature(signatures: Sequence[str], ways: Ways) -> Iterator[Finding]:
    """Explain the best of several signatures: one that fits is enough."""
    if len(signatures) > LIMIT_SIGNATURES:
        values: dict[str, str | int] = {"looked_at": LIMIT_SIGNATURES, "count": len(signatures)}
        yield Finding(Code.SIGNATURES_LEFT_OUT, Verdict.NOTE, values)
    best = ways.explain(signatures[:LIMIT_SIGNATURES])
    if best is None:
        yield Finding(Code.FITS_NOTHING, Verdict.BAD)
    elif best.deviations:
        yield Finding(Code.FITS_IF, Verdict.BAD, {"secret": best.secret.name}, best.deviations)
    else:
        yield Finding(Code.FITS, Verdict.GOOD, {"secret": best.secret.name})


def _of_computed(scheme: str, computed: str, ways: Ways) -> Finding:
    text = computed.strip()
    _, signatures = _PARSERS[scheme](text)
    bare = [each for each in [*signatures, text] if decode(each)[0]]
    if not bare:
        return Finding(Code.COMPUTED_NO_DIGEST, Verdict.BAD)
    explanation = ways.explain(bare[:1])
    if explanation is None:
        return Finding(Code.COMPUTED_NOTHING, Verdict.BAD)
    values = {"secret": explanation.secret.name}
    if not explanation.deviations:
        return Finding(Code.COMPUTED_FITS, Verdict.GOOD, values)
    return Finding(Code.COMPUTED_IF, Verdict.BAD, values, explanation.deviations)
