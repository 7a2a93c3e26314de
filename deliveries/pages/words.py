"""Says what became of an attempt in plain words, with what to do next: `explain`.

For every page that shows an attempt, a delivery or a failure streak. A table: what the history
stores (outcome, status code, error) leads to a sentence. Values in, words out, in the language of
the request; it must not know models.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final, NamedTuple

from django.utils.functional import Promise
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from deliveries.pages.status_advice import advice_on_status
from deliveries.sending import verdicts
from deliveries.sending.transport import Outcome


@dataclass(frozen=True, slots=True)
class Words:
    """What happened, and what to do about it."""

    headline: str
    """One or two sentences. May hold what others chose, such as a host name: to be escaped."""
    advice: str
    """The next step; empty where there is none to take."""


class _Entry(NamedTuple):
    headline: Promise
    """With the placeholders `%(host)s` and `%(code)d`."""
    advice: Promise | str


def explain(
    *,
    outcome: str,
    status_code: int | None = None,
    error: str = "",
    host: str = "",
    in_a_row: int = 1,
) -> Words:
    """Put an attempt's end into words.

    `error` is the sentence that is stored with it; `host` is the one of the URL it went to;
    `in_a_row` deliveries ended alike, this one included.
    """
    values = {
        "host": host or gettext("the subscription’s URL"),
        "code": status_code or 0,
        "count": in_a_row,
    }
    if outcome == Outcome.HTTP_ERROR:
        headline = _ANSWERED if in_a_row < 2 else _ANSWERED_IN_A_ROW
        return Words(headline % values, str(advice_on_status(status_code or 0)))
    entry = _entry_of(outcome, error)
    headline_once = entry.headline % values
    if in_a_row > 1:
        values["sentence"] = headline_once
        return Words(_IN_A_ROW % values, str(entry.advice))
    return Words(headline_once, str(entry.advice))


def outcome_name(outcome: str) -> str:
    """Return an outcome's short name; one that is not known stays as it is."""
    return str(OUTCOME_NAMES.get(outcome, outcome))


def status_phrase(status_code: int | None) -> str:
    """Return the registered phrase of a status code, `Not Found` of 404; empty if there is none."""
    try:
        return HTTPStatus(status_code or 0).phrase
    except ValueError:
        return ""


OUTCOME_NAMES: Final[dict[str, Promise]] = {
    Outcome.SUCCEEDED: _("Succeeded"),
    Outcome.HTTP_ERROR: _("HTTP error"),
    Outcome.TIMEOUT: _("Timeout"),
    Outcome.CONNECTION_FAILED: _("Connection failed"),
    Outcome.DNS_FAILED: _("DNS failed"),
    Outcome.TLS_FAILED: _("TLS failed"),
    Outcome.BLOCKED_ADDRESS: _("Address refused"),
    Outcome.RESPONSE_TOO_LARGE: _("Response too large"),
    Outcome.NOT_SENDABLE: _("Not sendable"),
    Outcome.INTERRUPTED: _("Interrupted"),
    Outcome.OWN_OUTAGE: _("Our outage"),
}

STATUS_NAMES: Final[dict[str, Promise]] = {
    "pending": _("Pending"),
    "sending": _("Sending"),
    "succeeded": _("Succeeded"),
    "failed": _("Failed"),
    "cancelled": _("Cancelled"),
}
"""Of deliveries."""

END_REASONS: Final[dict[str, Promise]] = {
    "deactivated": _("It was cancelled because the subscription was deactivated."),
    "deleted": _("It was cancelled because the subscription was deleted."),
    "by_hand": _("It was cancelled by hand."),
    "interrupted": _("It ended because our workers stopped during attempt after attempt."),
    "expired": _("It was still unfinished when its time in the history was over."),
    "event_gone": _("Its event was no longer kept, so there was nothing left to send."),
}
"""Of deliveries that ended other than by their last attempt."""

_ANSWERED: Final = _("%(host)s answered with status %(code)d.")
_ANSWERED_IN_A_ROW: Final = _("%(host)s answered with status %(code)d, %(count)d times in a row.")
_IN_A_ROW: Final = _("%(sentence)s This happened %(count)d times in a row.")

# ---- Everything else ----------------------------------------------------------------------------

_ASK_AGAIN: Final = _("It will be sent again by itself; nothing needs to be done.")
_CLOSES: Final = _(
    "Check that the application runs and does not crash on this request. Its log, or that of the "
    "proxy in front of it, may say more."
)
_PORT: Final = _(
    "Check that your server runs, that the URL’s port is right, and that a firewall lets requests "
    "from outside pass."
)
_RENEW: Final = _("Renew it, and let your server load the new one. Then send a test.")
_CHAIN: Final = _(
    "Let your server send the full chain: its certificate and the intermediate ones. Browsers "
    "often hide this mistake. Then send a test."
)
_PUBLIC: Final = _("Use a certificate of a public authority, such as Let’s Encrypt.")
_QUICKER: Final = _(
    "Answer first and do the work afterwards: put the event into a queue, and answer with 200. "
    "Then check the server’s load."
)

_BY_OUTCOME: Final[dict[str, _Entry]] = {
    Outcome.SUCCEEDED: _Entry(_("%(host)s accepted it."), ""),
    Outcome.TIMEOUT: _Entry(_("%(host)s did not answer in time."), _QUICKER),
    Outcome.CONNECTION_FAILED: _Entry(_("No connection to %(host)s could be made."), _PORT),
    Outcome.DNS_FAILED: _Entry(
        _("The host name %(host)s could not be resolved."),
        _("Check the URL for a typing error, and the name’s DNS records."),
    ),
    Outcome.TLS_FAILED: _Entry(
        _("No secure connection to %(host)s could be made."),
        _("Check the server’s certificate and that it speaks TLS 1.2 or later."),
    ),
    Outcome.BLOCKED_ADDRESS: _Entry(
        _("%(host)s leads to an address that may not be contacted."),
        _(
            "Private, local and reserved addresses are refused. Use a URL that can be reached "
            "from the internet; for a server of your own network, ask who runs this service."
        ),
    ),
    Outcome.RESPONSE_TOO_LARGE: _Entry(
        _("The headers of the answer of %(host)s are longer than 16 KiB."),
        _("Check what your server puts into its headers: often cookies, which are not needed."),
    ),
    Outcome.NOT_SENDABLE: _Entry(
        _("The request could not be made from the subscription’s settings."),
        _("Check the subscription’s wire format, headers and signing secret."),
    ),
    Outcome.INTERRUPTED: _Entry(
        _("This attempt was interrupted on our side. %(host)s may have received it."), _ASK_AGAIN
    ),
    Outcome.OWN_OUTAGE: _Entry(
        _("Our own network was down: nothing was sent. This is not your fault."), _ASK_AGAIN
    ),
}

_EXPIRED: Final = _Entry(_("The certificate of %(host)s has expired."), _RENEW)
_UNKNOWN_AUTHORITY: Final = _Entry(
    _(
        "The certificate of %(host)s comes from an unknown authority, or an intermediate "
        "certificate is missing."
    ),
    _CHAIN,
)

_BY_ERROR: Final[dict[str, _Entry]] = {
    verdicts.NO_CONNECTION.error: _BY_OUTCOME[Outcome.CONNECTION_FAILED],
    verdicts.NO_ANSWER.error: _Entry(
        _("%(host)s closed the connection without an answer."), _CLOSES
    ),
    verdicts.HUNG_UP_INSTEAD.error: _Entry(
        _("%(host)s closed a kept connection instead of answering."),
        _("Let your server keep idle connections longer, or close each one after its answer."),
    ),
    verdicts.BROKEN_OFF.error: _Entry(
        _("The connection to %(host)s broke off before the answer was complete."), _CLOSES
    ),
    verdicts.CLOSED_IN_HEADERS.error: _Entry(
        _("%(host)s closed the connection in the middle of its answer’s headers."), _CLOSES
    ),
    verdicts.NOT_HTTP.error: _Entry(
        _("The answer of %(host)s is not HTTP."),
        _("Check the URL’s scheme and port: https speaks to another port than http."),
    ),
    verdicts.HANDSHAKE.error: _Entry(
        _("No secure connection to %(host)s could be agreed on."),
        _(
            "Your server has to speak TLS 1.2 or later, and must not ask for a client "
            "certificate. Check also that the URL’s port is the one for https."
        ),
    ),
    verdicts.CERTIFICATE.error: _Entry(
        _("The certificate of %(host)s could not be verified."), _CHAIN
    ),
    "The TLS certificate is for another host name.": _Entry(
        _("The certificate of %(host)s is for another host name."),
        _("Use a certificate that names this host, or the URL that the certificate names."),
    ),
    "The TLS certificate is not valid yet.": _Entry(
        _("The certificate of %(host)s is not valid yet."),
        _("Wait until it is, or issue one that is valid from now on."),
    ),
    "The TLS certificate has expired.": _EXPIRED,
    "The TLS certificate is self-signed, not issued by a public authority.": _Entry(
        _("The certificate of %(host)s is self-signed."), _PUBLIC
    ),
    "The TLS certificate's authority is not a public one.": _Entry(
        _("The certificate of %(host)s comes from an authority that is not public."), _PUBLIC
    ),
    "The TLS certificate's authority is unknown, or an intermediate certificate is missing.": (
        _UNKNOWN_AUTHORITY
    ),
    "The TLS certificate was revoked.": _Entry(
        _("The certificate of %(host)s was revoked."), _RENEW
    ),
    "The connection was refused: nothing listens on the URL's port.": _Entry(
        _("%(host)s refused the connection: nothing listens on the URL’s port."), _PORT
    ),
    "The receiver reset the connection before it was established.": _Entry(
        _("%(host)s reset the connection before it was made."), _PORT
    ),
    "The receiver's machine is unreachable.": _Entry(
        _("The machine of %(host)s cannot be reached."), _PORT
    ),
    "There is no route to the receiver's network.": _Entry(
        _("There is no route to the network of %(host)s."),
        _("Check the name’s DNS records: an IPv6 address may be wrong. Then check the firewall."),
    ),
    "The host name does not exist.": _Entry(
        _("The host name %(host)s does not exist."),
        _("Check the URL for a typing error, and that the name’s domain has not lapsed."),
    ),
    "The host name has no IPv4 or IPv6 address.": _Entry(
        _("The host name %(host)s has no address."),
        _("Give the name an A or AAAA record."),
    ),
    "The host name has too many addresses.": _Entry(
        _("The host name %(host)s has too many addresses."),
        _("Give the name fewer A and AAAA records."),
    ),
    "The name servers of the host name answered with an error.": _Entry(
        _("The name servers of %(host)s answered with an error."),
        _("Check them at your DNS provider; a wrong DNSSEC setting looks like this too."),
    ),
    "The host name could not be resolved in time.": _Entry(
        _("The name servers of %(host)s did not answer in time."),
        _("Check them at your DNS provider."),
    ),
    "The event is no longer stored.": _Entry(
        _("The event is no longer stored, so there was nothing to send."), ""
    ),
    "The subscription has no live signing secret.": _Entry(
        _("The subscription has no signing secret."), _("Create one on the subscription’s page.")
    ),
    "The 'standard' signature scheme needs a secret that starts 'whsec_'.": _Entry(
        _("The signature scheme “standard” needs a secret that starts with “whsec_”."),
        _("Rotate the signing secret, or choose another signature scheme."),
    ),
    "The secrets of this subscription cannot be read.": _Entry(
        _("The secrets of this subscription cannot be read."),
        _("Rotate the signing secret, or ask who runs this service."),
    ),
    "The 'phrase' wire format needs a payload that is a JSON object.": _Entry(
        _("The wire format “phrase” needs an event whose data is an object."),
        _("Publish such events as an object, or choose another wire format."),
    ),
    "A header of the subscription contains characters that cannot be sent.": _Entry(
        _("A header of the subscription has characters that cannot be sent."),
        _("Correct the subscription’s custom headers."),
    ),
    "The URL must begin with https://.": _Entry(
        _("The subscription’s URL does not begin with https://, which this project asks for."),
        _("Change the subscription’s URL."),
    ),
}

# Of timeouts the seconds differ. The first that fits says how far the attempt came.
_BY_PATTERN: Final[tuple[tuple[re.Pattern[str], _Entry], ...]] = (
    (
        re.compile(r"No connection could be established (within|in time)"),
        _Entry(_("%(host)s did not accept a connection in time."), _PORT),
    ),
    (
        re.compile(r"The TLS handshake was not complete within"),
        _Entry(
            _("%(host)s accepted the connection, but did not finish the TLS handshake in time."),
            _("Check that the URL’s port is the one for https, and the server’s load."),
        ),
    ),
    (
        re.compile(r"No answer arrived within"),
        _Entry(_("%(host)s took the request, but did not answer in time."), _QUICKER),
    ),
    (
        re.compile(r"The answer's headers were not complete within"),
        _Entry(_("%(host)s began to answer, but not all headers came in time."), _QUICKER),
    ),
)

_UNKNOWN: Final = _Entry(_("This attempt did not succeed."), "")


def _entry_of(outcome: str, error: str) -> _Entry:
    if outcome not in _OWN_WORDS and error in _BY_ERROR:
        return _BY_ERROR[error]
    if outcome == Outcome.TIMEOUT:
        for pattern, entry in _BY_PATTERN:
            if pattern.match(error):
                return entry
    return _BY_OUTCOME.get(outcome, _UNKNOWN)


_OWN_WORDS: Final = frozenset({Outcome.SUCCEEDED, Outcome.INTERRUPTED, Outcome.OWN_OUTAGE})
"""Outcomes that need no more than their own words."""
