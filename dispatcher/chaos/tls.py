"""Receivers whose TLS is wrong: a server of its own for each, with certificates made on the fly.

`chaos_receiver` runs them by hand. Tests let the sender trust the `Authority`, so that the flaw is
the only one.
"""

from __future__ import annotations

import ssl
import warnings
from collections.abc import Callable
from dataclasses import dataclass

from dispatcher.chaos.certificates import Authority
from dispatcher.chaos.hostile_receiver import HostileReceiver
from dispatcher.chaos.threaded_server import Connection, ThreadedServer

_RECORD_OF_HANDSHAKE = b"\x16\x03\x03\x40\x00"
"""The head of a TLS record that announces 16 KiB."""

OpensServer = Callable[[Authority, str, int], ThreadedServer]


@dataclass(frozen=True)
class TlsMisbehaviour:
    """One server."""

    name: str
    does: str
    outcome: str
    open: OpensServer
    """Takes the authority to trust, the host that the certificate is for, and a port."""


def _with(make_context: Callable[[Authority, str], ssl.SSLContext]) -> OpensServer:
    def open_server(authority: Authority, host: str, port: int) -> ThreadedServer:
        return HostileReceiver(tls=make_context(authority, host), host=host, port=port)

    return open_server


def _without_tls(on_connect: Callable[[Connection], object]) -> OpensServer:
    def open_server(_authority: Authority, host: str, port: int) -> ThreadedServer:
        return ThreadedServer({}, on_connect=on_connect, host=host, port=port)

    return open_server


def _expired(authority: Authority, host: str) -> ssl.SSLContext:
    return authority.server_context(host, starts_days=-9, ends_days=-1)


def _not_yet_valid(authority: Authority, host: str) -> ssl.SSLContext:
    return authority.server_context(host, starts_days=1)


def _self_signed(authority: Authority, host: str) -> ssl.SSLContext:
    return authority.server_context(host, is_self_signed=True)


def _wrong_name(authority: Authority, _host: str) -> ssl.SSLContext:
    return authority.server_context("other.test")


def _unknown_authority(authority: Authority, host: str) -> ssl.SSLContext:
    return Authority(authority.folder, name="Nobody knows").server_context(host)


def _only(version: ssl.TLSVersion) -> Callable[[Authority, str], ssl.SSLContext]:
    def make_context(authority: Authority, host: str) -> ssl.SSLContext:
        context = authority.server_context(host)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # that it is old is the point
            context.minimum_version = context.maximum_version = version
        context.set_ciphers("ALL:@SECLEVEL=0")  # or our own OpenSSL would not speak it
        return context

    return make_context


def _asks_for_certificate(authority: Authority, host: str) -> ssl.SSLContext:
    context = authority.server_context(host)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(authority.file)
    return context


def _hang(connection: Connection) -> None:
    connection.receive()
    connection.pause()


def _drip(connection: Connection) -> None:
    connection.receive()
    connection.drip(_RECORD_OF_HANDSHAKE + bytes(0x4000), every_seconds=0.1)


def _speak_http(connection: Connection) -> None:
    connection.receive()
    connection.send(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")


def _reset(connection: Connection) -> None:
    connection.receive()
    connection.reset()


TLS_MISBEHAVIOURS = (
    TlsMisbehaviour("expired", "The certificate expired yesterday.", "tls_failed", _with(_expired)),
    TlsMisbehaviour(
        "not-yet-valid", "The certificate is valid from tomorrow.", "tls_failed",
        _with(_not_yet_valid),
    ),
    TlsMisbehaviour(
        "self-signed", "The certificate is its own authority.", "tls_failed", _with(_self_signed)
    ),
    TlsMisbehaviour(
        "unknown-authority", "The certificate's authority is known to nobody.", "tls_failed",
        _with(_unknown_authority),
    ),
    TlsMisbehaviour(
        "wrong-name", "The certificate is for another host.", "tls_failed", _with(_wrong_name)
    ),
    TlsMisbehaviour(
        "tls-1.0", "It speaks TLS 1.0 only.", "tls_failed", _with(_only(ssl.TLSVersion.TLSv1))
    ),
    TlsMisbehaviour(
        "tls-1.1", "It speaks TLS 1.1 only.", "tls_failed", _with(_only(ssl.TLSVersion.TLSv1_1))
    ),
    TlsMisbehaviour(
        "client-certificate", "It wants a certificate of the sender.", "tls_failed",
        _with(_asks_for_certificate),
    ),
    TlsMisbehaviour(
        "handshake-hangs", "It never answers the handshake.", "timeout", _without_tls(_hang)
    ),
    TlsMisbehaviour(
        "handshake-drips", "It answers the handshake byte by byte.", "timeout", _without_tls(_drip)
    ),
    TlsMisbehaviour(
        "handshake-resets", "It resets the connection in the handshake.", "tls_failed",
        _without_tls(_reset),
    ),
    TlsMisbehaviour(
        "no-tls", "It speaks plain HTTP where TLS is expected.", "tls_failed",
        _without_tls(_speak_http),
    ),
)  # fmt: skip
