"""A head that would not go out as it is written, or would be read otherwise, cannot be made."""

from __future__ import annotations

import pytest

from deliveries.sending.request_head import NO_HEAD, NotSendable, RequestHead, checked_head

OURS = (("Host", "receiver.test"), ("Content-Length", "22"), ("Content-Type", "application/json"))


def head_of(*headers: tuple[str, str]) -> RequestHead:
    return checked_head(headers, host_header="receiver.test", body_bytes=22)


def test_a_head_is_its_headers_in_order() -> None:
    head = head_of(*OURS, ("X-Inner-Space", "a  b\tc: d"))

    assert head.fields == (*OURS, ("X-Inner-Space", "a  b\tc: d"))
    assert head.lines == [
        b"Host: receiver.test",
        b"Content-Length: 22",
        b"Content-Type: application/json",
        b"X-Inner-Space: a  b\tc: d",
    ]


def test_no_head_has_no_headers() -> None:
    assert NO_HEAD.fields == ()
    assert NO_HEAD.lines == []


@pytest.mark.parametrize(
    "header",
    [
        ("X-A", "1\r\nX-Injected: 1"),
        ("X-A", "1\nX-Injected: 1"),
        ("X-A", "1\n"),
        ("X-A\r\nX-Injected", "1"),
        ("X-A", "a\0b"),
        ("X-A", "\x1b[2J"),
        ("X-A", "é"),
        ("X-A", ""),
        ("X-A", "a "),
        ("", "1"),
        (" X-A", "1"),
        ("X A", "1"),
        ("X:A", "1"),
        ("Host: evil", "x"),
        ("Transfer-Encoding: chunked", "x"),
        ("X-A", "\t"),
        ("X-A", "a\t"),
        ("content-type", "text/plain"),
        ("Transfer-Encoding", "chunked"),
        ("Expect", "100-continue"),
    ],
)
def test_what_would_not_go_out_as_written_is_refused(header: tuple[str, str]) -> None:
    with pytest.raises(NotSendable):
        head_of(*OURS, header)
    with pytest.raises(NotSendable):
        head_of(header, *OURS)


@pytest.mark.parametrize(
    "headers",
    [
        (("Host", "other.test"), ("Content-Length", "22")),
        (("Host", "receiver.test"), ("Content-Length", "21")),
        (("Host", "receiver.test"), ("Content-Length", "022")),
        (("Host", "receiver.test"),),
        (("Content-Length", "22"),),
        (),
    ],
)
def test_host_and_length_must_be_those_of_url_and_body(
    headers: tuple[tuple[str, str], ...],
) -> None:
    with pytest.raises(NotSendable):
        head_of(*headers)
