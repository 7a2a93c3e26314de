"""Which of the `verdicts` each of libcurl's errors stands for.

`curl_transfer` calls it when no complete answer arrived. Values in, values out. The numbers are
libcurl's (libcurl-errors(3)); those that cannot happen to a POST over HTTP are left out and end
as `connection_failed`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from deliveries.sending import verdicts
from deliveries.sending.verdicts import (
    Verdict,
    judge_certificate,
    judge_connecting,
    judge_timeout,
)

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
BAD_CONTENT_ENCODING: Final = 61
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
    words: str = ""
    """libcurl's own: what its number does not tell apart."""


_BY_ERROR: Final[dict[int, Verdict]] = {
    UNSUPPORTED_PROTOCOL: verdicts.NOT_HTTP,  # an answer without a header block, as in HTTP/0.9
    FAILED_INIT: verdicts.OUR_RESOURCES,
    URL_MALFORMAT: verdicts.OUR_SETUP,
    NOT_BUILT_IN: verdicts.OUR_SETUP,
    COULDNT_RESOLVE_PROXY: verdicts.OUR_RESOURCES,  # no proxy is used, no name is left to resolve
    COULDNT_RESOLVE_HOST: verdicts.OUR_RESOURCES,
    WEIRD_SERVER_REPLY: verdicts.NOT_HTTP,
    HTTP2: verdicts.NOT_HTTP,
    HTTP2_STREAM: verdicts.BROKEN_OFF,
    PARTIAL_FILE: verdicts.BROKEN_OFF,
    OUT_OF_MEMORY: verdicts.OUR_RESOURCES,
    SSL_CONNECT_ERROR: verdicts.HANDSHAKE,
    BAD_FUNCTION_ARGUMENT: verdicts.OUR_SETUP,
    GOT_NOTHING: verdicts.NO_ANSWER,
    SSL_ENGINE_NOTFOUND: verdicts.OUR_RESOURCES,
    SSL_ENGINE_SETFAILED: verdicts.OUR_RESOURCES,
    SSL_ENGINE_INITFAILED: verdicts.OUR_RESOURCES,
    SEND_ERROR: verdicts.BROKEN_OFF,
    RECV_ERROR: verdicts.BROKEN_OFF,
    SSL_CERTPROBLEM: verdicts.HANDSHAKE,
    SSL_CIPHER: verdicts.HANDSHAKE,
    BAD_CONTENT_ENCODING: verdicts.NOT_HTTP,  # a Transfer-Encoding that nobody asked for
    SEND_FAIL_REWIND: verdicts.HUNG_UP_INSTEAD,
    SSL_CACERT_BADFILE: verdicts.OUR_RESOURCES,  # our list of authorities, no certificate
    SSL_SHUTDOWN_FAILED: verdicts.BROKEN_OFF,
    SSL_CRL_BADFILE: verdicts.OUR_RESOURCES,
    SSL_ISSUER_ERROR: verdicts.CERTIFICATE,
    NO_CONNECTION_AVAILABLE: verdicts.OUR_RESOURCES,
    SSL_PINNEDPUBKEYNOTMATCH: verdicts.CERTIFICATE,
    SSL_INVALIDCERTSTATUS: verdicts.CERTIFICATE,
    SSL_CLIENTCERT: verdicts.HANDSHAKE,
    UNRECOVERABLE_POLL: verdicts.OUR_RESOURCES,
    TOO_LARGE: verdicts.HEADERS_TOO_LARGE,
}


_BROKEN_OFF: Final = frozenset({SEND_ERROR, RECV_ERROR})
_TLS_ALERT: Final = " alert "
"""OpenSSL's errors of this kind: "SSL routines::tlsv13 alert certificate required"."""


def verdict_on(error_number: int, circumstances: Circumstances) -> Verdict:
    """Judge a transfer that ended with an error and without a complete header block."""
    if error_number == OPERATION_TIMEDOUT:
        return judge_timeout(
            is_connected=circumstances.is_connected,
            is_secured=circumstances.is_secured,
            has_answer_begun=circumstances.has_answer_begun,
            allowed_seconds=circumstances.allowed_seconds,
        )
    if error_number == COULDNT_CONNECT:
        return judge_connecting(circumstances.os_errno)
    if error_number == PEER_FAILED_VERIFICATION:
        return judge_certificate(circumstances.verify_result)
    if error_number in _BROKEN_OFF and _TLS_ALERT in circumstances.words:
        # With TLS 1.3 a receiver that wants a certificate says so after our handshake is done.
        return verdicts.BROKEN_OFF if circumstances.has_answer_begun else verdicts.HANDSHAKE
    return _BY_ERROR.get(error_number, verdicts.NO_CONNECTION)
