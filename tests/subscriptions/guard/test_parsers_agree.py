"""That every string is refused, or parsed to what all parsers concerned read the same way."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from io import BufferedRWPair
from urllib.parse import urlsplit

import pycurl
import pytest
import requests
from hypothesis import example, given, settings
from hypothesis import strategies as st

from subscriptions.guard.address_guard import Destination, UrlRefused, parse_destination

# Strings in the neighbourhood of URLs: each piece is one that some parser is known to trip over.
PIECES = """
    http https HTTP : / // /// \\ @ # ? & = [ ] % . .. ... %2e %2E/ %2f %40 %00 ; , ' ~ | " < > { }
    ^ ` example.com EXAMPLE. a 127.0.0.1 127.1 0x7f 0177 ::1 [::1] [2606:4700::1] [::ffff:8.8.8.8]
    8.8.8.8 :80 :443 :8080 :22 :0 user: xn--bcher-kva xn-- localhost .local - _ a-b %zz %c3%a9 /../
    /./ //.. ?? ## a=b
"""
UNICODE_PIECES = [
    *("b\u00fccher", "\u00df", "\u3002", "\uff0e", "\u2460", "\uff18", "\u00e9", "\u65e5\u672c"),
    *("\t", "\n", "\0", " ", "\u200d", "\u202e", "\ud800"),
]
HOSTS = "example.com a-b.c.test 8.8.8.8 [2606:4700::1] b\u00fccher.example xn--bcher-kva.example"

# What may follow a host and be accepted nevertheless.
MILD = """
    / // /../ /./ . .. ... %2e %2E/ .%2e/ %2f %00 %7e %41 %c3%a9 ? ?? = & a=b ; , ' ~ | " < > { } [
    ] ^ ` @ : + ! $ * ( ) # a hook -_
"""

hosts = st.sampled_from(HOSTS.split())
pieces = st.sampled_from(PIECES.split() + UNICODE_PIECES)
mild = st.sampled_from([*MILD.split(), "\u00e9", "\u65e5\u672c", "\U0001f4a9"])
letters = st.text(st.characters(categories=["L", "N", "M"]), min_size=1, max_size=3)


def joined(elements: st.SearchStrategy[str], most: int) -> st.SearchStrategy[str]:
    return st.lists(elements, max_size=most).map("".join)


well_formed = st.builds(
    "{}://{}{}/{}".format,
    st.sampled_from(["http", "https", "HTTP"]),
    hosts | st.builds("{}.example".format, letters),
    st.sampled_from(["", "", ":80", ":443", ":8080", ":1024", ":65535"]),
    joined(mild | letters, 12),
)
broken = st.one_of(
    st.text(max_size=40),
    joined(pieces, 12),
    st.builds("http://{}/".format, joined(pieces | st.text(max_size=3), 5)),
    st.builds("{}://{}{}".format, st.sampled_from(["http", "https"]), hosts, joined(pieces, 8)),
)
url_like = well_formed | broken


def parsed_or_none(url: str) -> Destination | None:
    try:
        return parse_destination(url)
    except UrlRefused:
        return None


@settings(max_examples=1500, deadline=None)
@given(url_like)
def test_any_string_is_refused_or_parses_to_what_parses_to_itself(url: str) -> None:
    destination = parsed_or_none(url)
    if destination is not None:
        assert parse_destination(destination.url) == destination
        assert destination.url.isascii()
        assert destination.target.startswith("/")


@settings(max_examples=1000, deadline=None)
@given(url_like)
def test_the_standard_library_reads_the_result_the_same_way(url: str) -> None:
    destination = parsed_or_none(url)
    if destination is not None:
        parts = urlsplit(destination.url)
        assert (parts.scheme, parts.hostname) == (destination.scheme, destination.host)
        assert (parts.port or {"http": 80, "https": 443}[parts.scheme]) == destination.port
        assert (parts.username, parts.password, parts.fragment) == (None, None, "")
        assert parts.netloc == destination.host_header
        query = f"?{parts.query}" if parts.query else ""
        assert parts.path + query == destination.target


@settings(max_examples=500, deadline=None)
@given(url_like)
def test_requests_sends_the_result_unchanged(url: str) -> None:
    destination = parsed_or_none(url)
    if destination is not None:
        prepared = requests.Request("POST", destination.url).prepare()
        assert (prepared.url, prepared.path_url) == (destination.url, destination.target)


@dataclass
class RecordingProxy:
    """A tunnelling proxy that answers for every server, and keeps what libcurl asked it for."""

    port: int
    tunnels: list[str] = field(default_factory=list)
    """`host:port` of each CONNECT."""
    requests: list[tuple[str, str]] = field(default_factory=list)
    """Target and Host header of each request that was sent through a tunnel."""

    def serve(self, listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:  # the listener was shut down
                return
            with connection, connection.makefile("rwb") as stream:
                self._answer(stream)

    def _answer(self, stream: BufferedRWPair) -> None:
        target, _ = _read_head(stream)
        self.tunnels.append(target)
        stream.write(b"HTTP/1.1 200 tunnel\r\n\r\n")
        stream.flush()
        if stream.peek(1)[:1] == b"G":  # else it is TLS, which ends here
            self.requests.append(_read_head(stream))
            stream.write(b"HTTP/1.1 204 \r\nConnection: close\r\n\r\n")
            stream.flush()


def _read_head(stream: BufferedRWPair) -> tuple[str, str]:
    target = stream.readline().decode("latin-1").split(" ")[1]
    host = ""
    while (line := stream.readline().decode("latin-1").strip()) != "":
        name, _, value = line.partition(": ")
        host = value if name == "Host" else host
    return target, host


@pytest.fixture(scope="module")
def proxy() -> Iterator[RecordingProxy]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        recording = RecordingProxy(listener.getsockname()[1])
        thread = threading.Thread(target=recording.serve, args=[listener])
        thread.start()
        yield recording
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(timeout=5)


def get_by_libcurl(url: str, proxy: RecordingProxy) -> None:
    curl = pycurl.Curl()
    curl.setopt(pycurl.URL, url)
    curl.setopt(pycurl.PROXY, f"http://127.0.0.1:{proxy.port}")
    curl.setopt(pycurl.NOPROXY, "")
    curl.setopt(pycurl.HTTPPROXYTUNNEL, 1)
    curl.setopt(pycurl.TIMEOUT, 5)
    try:
        curl.perform()
    except pycurl.error as error:
        if error.args[0] != pycurl.E_SSL_CONNECT_ERROR:  # the proxy speaks no TLS
            raise
    finally:
        curl.close()


@settings(max_examples=400, deadline=None)
@given(url_like)
@example("http://[2606:4700::1]:8080/a/../b?c")
@example("https://8.8.8.8")
def test_libcurl_reads_the_result_the_same_way(proxy: RecordingProxy, url: str) -> None:
    destination = parsed_or_none(url)
    if destination is None:
        return
    proxy.tunnels.clear()
    proxy.requests.clear()
    get_by_libcurl(destination.url, proxy)
    host = destination.host_header.removesuffix(f":{destination.port}")
    assert proxy.tunnels == [f"{host}:{destination.port}"]
    if destination.scheme == "http":
        assert proxy.requests == [(destination.target, destination.host_header)]
