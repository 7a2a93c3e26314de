"""Says in words what the check of a signature found: a sentence for each code. Tables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from deliveries.sending.signature_check import Code, Finding, Report, Verdict
from deliveries.sending.signature_variants import Deviation

_VERDICTS: Final[dict[Verdict, tuple[str, Promise]]] = {
    Verdict.GOOD: ("good", _("All right")),
    Verdict.BAD: ("bad", _("Wrong")),
    Verdict.NOTE: ("warn", _("To know")),
}

_SECRETS: Final[dict[str, Promise]] = {
    "newest": _("the newest secret"),
    "previous": _("the secret before the newest"),
    "default": _("the project’s default secret, which does not sign for this subscription"),
    "own": _("the subscription’s own secret, in whose place the project’s default secret signs"),
    "given": _("the secret that you gave"),
}

_SENTENCES: Final[dict[Code, Promise]] = {
    Code.HEADER_FOUND: _("The header %(header)s is there."),
    Code.HEADER_MISSING: _(
        "The header %(header)s is missing. Check that you pasted all headers, and that no proxy in "
        "front of your server removes it."
    ),
    Code.HEADER_RENAMED: _(
        "The header %(header)s came as %(found)s. Read it by the name that your server has for it."
    ),
    Code.HEADER_CHANGED: _("The header %(header)s is not as it was sent."),
    Code.MALFORMED: _("%(header)s does not look like a signature. Expected: %(form)s"),
    Code.TIMESTAMP_FINE: _("The timestamp is of the last five minutes."),
    Code.TIMESTAMP_MISSING: _("The signature header has no timestamp: its entry t=… is missing."),
    Code.TIMESTAMP_NO_NUMBER: _("The timestamp is not a number of seconds: %(given)s"),
    Code.TIMESTAMP_MILLISECONDS: _(
        "The timestamp %(given)s is in milliseconds. It is sent in whole seconds."
    ),
    Code.TIMESTAMP_OLD: _(
        "The timestamp is %(minutes)d minutes old. That is fine for a request that you kept. If it "
        "has just arrived, your server’s clock is wrong, and libraries refuse it: they accept five "
        "minutes."
    ),
    Code.TIMESTAMP_AHEAD: _(
        "The timestamp is %(minutes)d minutes ahead. Libraries accept five: was it changed?"
    ),
    Code.ID_KNOWN: _("The id %(id)s is that of a delivery in the history."),
    Code.ID_UNKNOWN: _(
        "No delivery in the history has the id %(id)s, so the body cannot be compared with what "
        "was sent. Check the id, and that you chose the right subscription."
    ),
    Code.BODY_SAME: _("The body is what was sent, byte by byte (%(bytes)d bytes)."),
    Code.BODY_EMPTY: _(
        "The body is empty. Read it before your framework parses it: some can be read once only."
    ),
    Code.BODY_NEWLINE: _(
        "The body differs by a line break at its end: expected %(expected)d bytes, got %(got)d. "
        "Pasting may have added it; otherwise check with the bytes as they arrive."
    ),
    Code.BODY_LINE_ENDS: _(
        "The body’s line breaks were changed: expected %(expected)d bytes, got %(got)d; first "
        "difference at byte %(at)d."
    ),
    Code.BODY_RESERIALISED: _(
        "Your framework has parsed the JSON and written it again: expected %(expected)d bytes, got "
        "%(got)d; first difference at byte %(at)d. Check the signature with the raw body."
    ),
    Code.BODY_CUT: _("The body is cut: expected %(expected)d bytes, got %(got)d."),
    Code.BODY_CHANGED: _(
        "The body was changed: expected %(expected)d bytes, got %(got)d; first difference at byte "
        "%(at)d."
    ),
    Code.SECRET_RIGHT: _("The secret that you gave signs this subscription’s requests."),
    Code.SECRET_WRONG: _(
        "The secret that you gave does not sign this subscription’s requests. Reveal the right one "
        "on the subscription’s page, and give it to your server."
    ),
    Code.FITS: _("The signature fits: it was made with %(secret)s."),
    Code.FITS_IF: _("The signature does not fit as it is. It was made with %(secret)s, and:"),
    Code.FITS_NOTHING: _(
        "The signature fits no secret that is known here. Either the secret is another one, or "
        "header, id, timestamp or body were changed."
    ),
    Code.SIGNATURES_LEFT_OUT: _(
        "The header has %(count)d signatures. Only the first %(looked_at)d were looked at."
    ),
    Code.NO_SECRET: _("There is no secret to check with. Choose a subscription or give a secret."),
    Code.COMPUTED_FITS: _("What your code computed is right: it was made with %(secret)s."),
    Code.COMPUTED_IF: _("What your code computed is wrong. It was made with %(secret)s, and:"),
    Code.COMPUTED_NOTHING: _(
        "What your code computed comes from none of the usual mistakes. Check that it uses this "
        "secret, this body and HMAC with SHA-256."
    ),
    Code.COMPUTED_NO_DIGEST: _(
        "What your code computed is no HMAC with SHA-256: that has 64 hexadecimal digits, or 44 "
        "characters of base64."
    ),
}

_DEVIATIONS: Final[dict[Deviation, Promise]] = {
    Deviation.OTHER_SECRET: _("That is not a secret that signs these requests."),
    Deviation.KEY_NOT_DECODED: _(
        "The whole text whsec_… was used as the key. Remove whsec_ and decode the rest as base64."
    ),
    Deviation.KEY_WITHOUT_PREFIX: _(
        "What follows whsec_ was used as the key as it is. This scheme’s key is another form of it."
    ),
    Deviation.KEY_DECODED: _(
        "The secret was decoded from base64. This scheme’s key is the whole text, with whsec_."
    ),
    Deviation.HEX: _("It is written in hexadecimal. This scheme uses base64."),
    Deviation.BASE64: _("It is written in base64. This scheme uses hexadecimal digits."),
    Deviation.PARTS: _(
        "What stands before the body is not what it should be. Signed is the id, the timestamp "
        "and the body, or less, as the scheme says; joined by full stops."
    ),
    Deviation.BODY_SENT: _("It fits the body that was sent, not the one that you pasted."),
    Deviation.BODY_NEWLINE: _("It fits the body with another line break at its end."),
    Deviation.BODY_LINE_ENDS: _("It fits the body with CR LF as line breaks."),
    Deviation.BODY_RESERIALISED: _(
        "It fits the same JSON, written differently: a framework has parsed it and written it "
        "again. Use the raw body."
    ),
}


@dataclass(frozen=True, slots=True)
class Step:
    """One line of a report."""

    tone: str
    """A class of `.state`."""
    verdict: str
    sentence: str
    """May hold what the visitor pasted: to be escaped."""
    reasons: list[str]


def steps_of(report: Report) -> list[Step]:
    """Put a report's findings into words."""
    return [_step(finding) for finding in report.findings]


def _step(finding: Finding) -> Step:
    tone, verdict = _VERDICTS[finding.verdict]
    values: dict[str, object] = dict(finding.values)
    if "secret" in values:
        values["secret"] = _SECRETS[str(values["secret"])]
    return Step(
        tone,
        str(verdict),
        str(_SENTENCES[finding.code] % values),
        [str(_DEVIATIONS[deviation]) for deviation in finding.deviations],
    )
