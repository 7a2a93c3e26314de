"""What each of libcurl's errors means for an attempt: its outcome, and a sentence for the customer.

`curl_transfer` calls it when no complete answer arrived. Values in, values out. The numbers are
libcurl's (libcurl-errors(3)); those that cannot happen to a POST over HTTP are left out and end
as `connection_failed`.
"""

from __future__ import annotations

import errno
from dataclasses import dataclass
from typing import Final

from deliveries.sending.transport import Outcome

UNSUPPORTED_PROTOCOL: Final = 1
FAILED_INIT: Final = 2
URL_MALFORMAT: Final = 3
NOT_BUILT_IN: Final = 4
COULDNT_RESOLVE_PROXY: Final = 5
COULDNT_RESOLVE_HOST: Final = 6
COULDNT_CONNECT: Final = 7
WEIRD_SERVER_REPLY: Final = 8
HTTP2: Final = 16
PARTIAL_FILE: Final = 18
WRITE_ERROR: Final = 23
OUT_OF_MEMORY: Final = 27
OPERATION_TIMEDOUT: Final = 28
SSL_CONNECT_ERROR: Final = 35
ABORTED_BY_CALLBACK: Final = 42
BAD_FUNCTION_ARGUMENT: Final = 43
GOT_NOTHING: Final = 52
SSL_ENGINE_NOTFOUND: Final = 53
SSL_ENGINE_SETFAILED: Final = 54
SEND_ERROR: Final = 55
RECV_ERROR: Final = 56
SSL_CERTPROBLEM: Final = 58
SSL_CIPHER: Final = 59
PEER_FAILED_VERIFICATION: Final = 60
SEND_FAIL_REWIND: Final = 65
SSL_ENGINE_INITFAILED: Final = 66
SSL_CACERT_BADFILE: Final = 77
SSL_SHUTDOWN_FAILED: Final = 80
SSL_CRL_BADFILE: Final = 82
SSL_ISSUER_ERROR: Final = 83
NO_CONNECTION_AVAILABLE: Final = 89
SSL_PINNEDPUBKEYNOTMATCH: Final = 90
SSL_INVALIDCERTSTATUS: Final = 91
HTTP2_STREAM: Final = 92
SSL_CLIENTCERT: Final = 98
UNRECOVERABLE_POLL: Final = 99
TOO_LARGE: Final = 100


@dataclass(frozen=True, slots=True)
class Verdict:
    """How an attempt ended, and the sentence that tells the customer."""

    outcome: Outcome
    error: str


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What is known of a transfer besides libcurl's error number."""

    os_errno: int
    """The operating system's error of the connection attempt; 0 if there was none."""
    verify_result: int
    """OpenSSL's X509_V_… code of the certificate check; 0 if it passed or was not reached."""
    is_connected: bool
    is_secured: bool
    """The TLS handshake is done, or none is needed."""
    has_answer_begun: bool
    allowed_seconds: float


CLOSED_IN_HEADERS: Final = Verdict(
    Outcome.CONNECTION_FAILED,
    "The connection was closed in the middle of the answer's headers.",
)
HUNG_UP_INSTEAD: Final = Verdict(
    Outcome.CONNECTION_FAILED,
    "The receiver closed a kept-alive connection instead of answering.",
)
HEADERS_TOO_LARGE: Final = Verdict(
    Outcome.RESPONSE_TOO_LARGE, "The answer's headers are longer than 16 KiB."
)
OUR_RESOURCES: Final = Verdict(
    Outcome.OWN_OUTAGE, "The sending machine could not open a connection; this is not your fault."
)

_NOT_HTTP = Verdict(
    Outcome.CONNECTION_FAILED, "The answer could not be understood as HTTP/1.1 or HTTP/2."
)
_NO_CONNECTION = Verdict(Outcome.CONNECTION_FAILED, "The connection could not be established.")
_BROKEN_OFF = Verdict(
    Outcome.CONNECTION_FAILED, "The connection broke off before the answer was complete."
)
_HANDSHAKE = Verdict(
    Outcome.TLS_FAILED,
    "No secure connection could be agreed on. TLS 1.2 or later is needed, and no client"
    " certificate is sent.",
)
_CERTIFICATE = Verdict(Outcome.TLS_FAILED, "The TLS certificate could not be verified.")
OUR_SETUP: Final = Verdict(
    Outcome.NOT_SENDABLE, "The request could not be composed by the sending machine."
)

_BY_ERROR: Final[dict[int, Verdict]] = {
    UNSUPPORTED_PROTOCOL: _NOT_HTTP,  # an answer without a header block, as in HTTP/0.9
    FAILED_INIT: OUR_RESOURCES,
    URL_MALFORMAT: OUR_SETUP,
    NOT_BUILT_IN: OUR_SETUP,
    COULDNT_RESOLVE_PROXY: OUR_RESOURCES,  # no proxy is used, no name is left to resolve
    COULDNT_RESOLVE_HOST: OUR_RESOURCES,
    WEIRD_SERVER_REPLY: _NOT_HTTP,
    HTTP2: _NOT_HTTP,
    HTTP2_STREAM: _BROKEN_OFF,
    PARTIAL_FILE: _BROKEN_OFF,
    OUT_OF_MEMORY: OUR_RESOURCES,
    SSL_CONNECT_ERROR: _HANDSHAKE,
    BAD_FUNCTION_ARGUMENT: OUR_SETUP,
    GOT_NOTHING: Verdict(
        Outcome.CONNECTION_FAILED, "The receiver closed the connection without an answer."
    ),
    SSL_ENGINE_NOTFOUND: OUR_RESOURCES,
    SSL_ENGINE_SETFAILED: OUR_RESOURCES,
    SSL_ENGINE_INITFAILED: OUR_RESOURCES,
    SEND_ERROR: _BROKEN_OFF,
    RECV_ERROR: _BROKEN_OFF,
    SSL_CERTPROBLEM: _HANDSHAKE,
    SSL_CIPHER: _HANDSHAKE,
    SEND_FAIL_REWIND: HUNG_UP_INSTEAD,
    SSL_CACERT_BADFILE: OUR_RESOURCES,  # our list of authorities, not the receiver's certificate
    SSL_SHUTDOWN_FAILED: _BROKEN_OFF,
    SSL_CRL_BADFILE: OUR_RESOURCES,
    SSL_ISSUER_ERROR: _CERTIFICATE,
    NO_CONNECTION_AVAILABLE: OUR_RESOURCES,
    SSL_PINNEDPUBKEYNOTMATCH: _CERTIFICATE,
    SSL_INVALIDCERTSTATUS: _CERTIFICATE,
    SSL_CLIENTCERT: _HANDSHAKE,
    UNRECOVERABLE_POLL: OUR_RESOURCES,
    TOO_LARGE: HEADERS_TOO_LARGE,
}

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
}


def verdict_on(error_number: int, circumstances: Circumstances) -> Verdict:
    """Judge a transfer that ended with an error and without a complete header block."""
    if error_number == OPERATION_TIMEDOUT:
        return _judge_timeout(circumstances)
    if error_number == COULDNT_CONNECT:
        return _judge_connecting(circumstances.os_errno)
    if error_number == PEER_FAILED_VERIFICATION:
        return _judge_certificate(circumstances.verify_result)
    return _BY_ERROR.get(error_number, _NO_CONNECTION)


def is_our_shortage(error: OSError) -> bool:
    """Tell an error of opening a socket that has nothing to do with the receiver."""
    return error.errno in _OUR_ERRNOS


def _judge_timeout(circumstances: Circumstances) -> Verdict:
    if circumstances.has_answer_begun:
        what = "The answer's headers were not complete"
    elif not circumstances.is_connected:
        what = "No connection could be established"
    elif not circumstances.is_secured:
        what = "The TLS handshake was not complete"
    else:
        what = "No answer arrived"
    return Verdict(Outcome.TIMEOUT, f"{what} within {circumstances.allowed_seconds:.3g} seconds.")


def _judge_connecting(os_errno: int) -> Verdict:
    if os_errno in _OUR_ERRNOS:
        return OUR_RESOURCES
    sentence = _BY_ERRNO.get(os_errno)
    return Verdict(Outcome.CONNECTION_FAILED, sentence) if sentence else _NO_CONNECTION


def _judge_certificate(verify_result: int) -> Verdict:
    sentence = _BY_VERIFY_RESULT.get(verify_result)
    return Verdict(Outcome.TLS_FAILED, sentence) if sentence else _CERTIFICATE
