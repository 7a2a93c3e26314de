"""What is kept of an answer, and where reading stops."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deliveries.sending.response_reader import STOP, ResponseReader
from deliveries.sending.transport import BODY_LIMIT_BYTES, HEADERS_LIMIT_BYTES

ANSWER = [b"HTTP/1.1 200 OK\r\n", b"Content-Length: 2\r\n", b"\r\n"]


def read(*lines: bytes) -> ResponseReader:
    """Give a new reader these header lines."""
    reader = ResponseReader()
    for line in lines:
        assert reader.take_header_line(line) is None
    return reader


def test_a_header_block_is_complete_with_its_blank_line_only() -> None:
    reader = read(*ANSWER[:-1])
    assert (reader.is_complete, reader.status_code) == (False, None)
    reader.take_header_line(ANSWER[-1])
    assert (reader.is_complete, reader.status_code) == (True, 200)
    assert reader.headers == b"".join(ANSWER)


@pytest.mark.parametrize("blank_line", [b"\r\n", b"\n"])
def test_interim_answers_make_way_for_the_final_one(blank_line: bytes) -> None:
    interim = [b"HTTP/1.1 103 Early Hints\r\n", b"Link: x\r\n", blank_line]
    reader = read(*interim)
    assert not reader.is_complete
    for line in ANSWER:
        reader.take_header_line(line)
    assert reader.headers == b"".join(ANSWER)
    assert reader.status_code == 200


def test_nothing_is_read_after_a_switch_of_protocols() -> None:
    reader = read(b"HTTP/1.1 101 Switching Protocols\r\n", b"Upgrade: x\r\n")
    assert reader.take_header_line(b"\r\n") == STOP
    assert reader.status_code == 101
    assert not reader.has_body_due


def test_trailers_neither_change_the_headers_nor_go_on_for_ever() -> None:
    reader = read(*ANSWER)
    trailer = b"HTTP/1.1 500 " + b"x" * 1000 + b"\r\n"
    results = [reader.take_header_line(trailer) for _ in range(20)]
    assert results[0] is None
    assert results[-1] == STOP
    assert (reader.headers, reader.status_code) == (b"".join(ANSWER), 200)


@pytest.mark.parametrize(
    ("line", "version"),
    [
        (b"HTTP/1.1 200 OK\r\n", "1.1"),
        (b"HTTP/1.0 200 OK\r\n", "1.0"),
        (b"HTTP/2 200\r\n", "2"),
        (b"\r\n", None),
        (b"ICY 200 OK\r\n", None),
    ],
)
def test_the_version_is_that_of_the_status_line(line: bytes, version: str | None) -> None:
    assert read(line).http_version == version
    assert ResponseReader().http_version is None


@given(st.lists(st.binary(min_size=1, max_size=9000), max_size=12))
def test_headers_up_to_the_limit_are_kept_and_not_a_byte_more(lines: list[bytes]) -> None:
    reader = ResponseReader()
    taken = b""
    for line in [b"HTTP/1.1 200 OK\r\n", *(b"X" + line for line in lines)]:
        if len(taken) + len(line) > HEADERS_LIMIT_BYTES:
            assert reader.take_header_line(line) == STOP
            assert reader.has_headers_over_limit
            break
        assert reader.take_header_line(line) is None
        taken += line
    assert reader.headers == taken


@given(st.lists(st.binary(min_size=1, max_size=9000), max_size=12))
def test_the_body_is_kept_up_to_the_limit(pieces: list[bytes]) -> None:
    reader = read(*ANSWER)
    whole = b"".join(pieces)
    for piece in pieces:
        if reader.take_body(piece) == STOP:
            break
    assert reader.body == whole[:BODY_LIMIT_BYTES]
    assert reader.is_truncated is (len(whole) > BODY_LIMIT_BYTES)


def test_a_reader_starts_anew_for_the_next_answer() -> None:
    reader = read(*ANSWER)
    reader.take_body(b"x" * (BODY_LIMIT_BYTES + 1))
    reader.clear()
    fresh = ResponseReader()
    for name in ("headers", "body", "status_code", "is_complete", "is_truncated", "first_byte_at"):
        assert getattr(reader, name) == getattr(fresh, name)
