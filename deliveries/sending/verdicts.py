"""What an attempt's end is called: its outcome, with the one sentence that the customer reads.

Both transports judge with it, so that the same situation reads the same. Values in, values out:
no HTTP library; what a library's own errors mean is in `curl_errors` and `requests_attempt`.
"""

from __future__ import annotations

import errno
from dataclasses import dataclass
from typing import Final

from deliveries.sending.transport import BLOCKED_ADDRESS_ERROR, Outcome


@dataclass(frozen=True, slots=True)
class Verdict:
    """How an attempt ended, and the sentence that tells the customer."""

    outcome: Outcome
    error: str
    is_at_proxy: bool = False
    """It was the egress proxy that said so, or was silent: see `Exchange.ended_at_proxy`."""


SUCCEEDED: Final = Verdict(Outcome.SUCCEEDED, "")
BLOCKED: Final = Verdict(Outcome.BLOCKED_ADDRESS, BLOCKED_ADDRESS_ERROR)

NO_CONNECTION: Final = Verdict(
    Outcome.CONNECTION_FAILED, "The connection could not be established."
)
NO_ANSWER: Final = Verdict(
    Outcome.CONNECTION_FAILED, "The receiver closed the connection without an answer."
)
HUNG_UP_INSTEAD: Final = Verdict(
    Outcome.CONNECTION_FAILED,
    "The receiver closed a kept-alive connection instead of answering.",
)
BROKEN_OFF: Final = Verdict(
    Outcome.CONNECTION_FAILED, "The connection broke off before the answer was complete."
)
CLOSED_IN_HEADERS: Final = Verdict(
    Outcome.CONNECTION_FAILED,
    "The connection was closed in the middle of the answer's headers.",
)
NOT_HTTP: Final = Verdict(
    Outcome.CONNECTION_FAILED, "The answer could not be understood as HTTP/1.1 or HTTP/2."
)
HEADERS_TOO_LARGE: Final = Verdict(
    Outcome.RESPONSE_TOO_LARGE, "The answer's headers are longer than 16 KiB."
)
HANDSHAKE: Final = Verdict(
    Outcome.TLS_FAILED,
    "No secure connection could be agreed on. TLS 1.2 or later is needed, and no client"
    " certificate is sent.",
)
CERTIFICATE: Final = Verdict(Outcome.TLS_FAILED, "The TLS certificate could not be verified.")
OUR_RESOURCES: Final = Verdict(
    Outcome.OWN_OUTAGE, "The sending machine could not open a connection; this is not your fault."
)
OUR_SETUP: Final = Verdict(
    Outcome.NOT_SENDABLE, "The request could not be composed by the sending machine."
)

# The egress proxy's (ADR 14). The first is certainly not the receiver's doing; the others are
# until the proxy is seen to reach somebody else.
PROXY_FAILED: Final = Verdict(
    Outcome.OWN_OUTAGE, "The sender's own egress proxy failed; this is not your fault."
)
PROXY_FORBIDS: Final = Verdict(Outcome.BLOCKED_ADDRESS, BLOCKED_ADDRESS_ERROR, is_at_proxy=True)
PROXY_CANNOT: Final = Verdict(Outcome.CONNECTION_FAILED, NO_CONNECTION.error, is_at_proxy=True)
PROXY_GIVES_UP: Final = Verdict(
    Outcome.TIMEOUT, "No connection could be established in time.", is_at_proxy=True
)

# Of one machine, and so the same for every receiver; what one receiver could cause is not here.
_OUR_ERRNOS: Final = frozenset(
    {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.ENETDOWN}
)

_BY_ERRNO: Final[dict[int, str]] = {
    errno.ECONNREFUSED: "The connection was refused: nothing listens on the URL's port.",
    errno.ECONNRESET: "The receiver reset the connection before it was established.",
    errno.EHOSTUNREACH: "The receiver's machine is unreachable.",
    errno.ENETUNREACH: "There is no route to the receiver's network.",
}

# x509_vfy.h of OpenSSL
_OTHER_NAME = "The TLS certificate is for another host name."
_BY_VERIFY_RESULT: Final[dict[int, str]] = {
    0: _OTHER_NAME,  # libcurl compares the name itself, before or after OpenSSL's verdict
    1: _OTHER_NAME,
    9: "The TLS certificate is not valid yet.",
    10: "The TLS certificate has expired.",
    18: "The TLS certificate is self-signed, not issued by a public authority.",
    19: "The TLS certificate's authority is not a public one.",
    20: "The TLS certificate's authority is unknown, or an intermediate certificate is missing.",
    21: "The TLS certificate's authority is unknown, or an intermediate certificate is missing.",
    23: "The TLS certificate was revoked.",
    62: _OTHER_NAME,
    64: _OTHER_NAME,  # the name is an address
}


def judge_status(status_code: int) -> Verdict:
    """Judge a complete answer; whatever happened after its headers changes nothing."""
    if 200 <= status_code <= 299:
        return SUCCEEDED
    return Verdict(Outcome.HTTP_ERROR, f"The receiver answered with status {status_code}.")


def judge_timeout(
    *, is_connected: bool, is_secured: bool, has_answer_begun: bool, allowed_seconds: float
) -> Verdict:
    """Say how far an attempt came that ran out of time; secured is also what needs no TLS."""
    if has_answer_begun:
        what = "The answer's headers were not complete"
    elif not is_connected:
        what = "No connection could be established"
    elif not is_secured:
        what = "The TLS handshake was not complete"
    else:
        what = "No answer arrived"
    return Verdict(Outcome.TIMEOUT, f"{what} within {allowed_seconds:.3g} seconds.")


def judge_connecting(os_errno: int) -> Verdict:
    """Judge the system's error of opening a TCP connection; 0 if it is not known."""
    if os_errno in _OUR_ERRNOS:
        return OUR_RESOURCES
    sentence = _BY_ERRNO.get(os_errno)
    return Verdict(Outcome.CONNECTION_FAILED, sentence) if sentence else NO_CONNECTION


def judge_certificate(verify_result: int) -> Verdict:
    """Judge OpenSSL's X509_V_… code of a certificate that was not accepted."""
    sentence = _BY_VERIFY_RESULT.get(verify_result)
    return Verdict(Outcome.TLS_FAILED, sentence) if sentence else CERTIFICATE


def is_our_shortage(error: OSError) -> bool:
    """Tell an error of opening a socket that has nothing to do with the receiver."""
    return error.errno in _OUR_ERRNOS
