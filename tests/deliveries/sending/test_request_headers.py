"""What is sent above the body, and that nothing else can be."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deliveries.sending.compose import WIRE_FORMATS, NotComposable, compose_head
from deliveries.sending.signing import SCHEMES, Headers, ToSign, sign
from deliveries.version import VERSION
from subscriptions.custom_headers import is_reserved
from subscriptions.guard.address_guard import parse_destination
from subscriptions.secrets.secret_format import generate_secret

BODY = '{"名":1}'.encode()


def headers_for(
    wire_format: str = "standard",
    *,
    event_type: str = "Task.update",
    message_id: str = "evt_1",
    signature: Headers = (("webhook-id", "evt_1"), ("webhook-signature", "v1,x")),
    custom: dict[str, str] | None = None,
) -> Headers:
    return compose_head(
        destination=parse_destination("https://receiver.example:8443/in?a=b"),
        wire_format=wire_format,
        body=BODY,
        event_type=event_type,
        message_id=message_id,
        signature_headers=signature,
        custom_headers=tuple((custom or {}).items()),
    ).fields


def test_a_request_carries_these_headers_in_this_order() -> None:
    assert headers_for(custom={"Authorization": "Bearer x", "X-Tenant": "7"}) == (
        ("Host", "receiver.example:8443"),
        ("User-Agent", f"webhook-dispatcher/{VERSION}"),
        ("Accept", "*/*"),
        ("Accept-Encoding", "identity"),
        ("Content-Type", "application/json"),
        ("Content-Length", "9"),
        ("webhook-id", "evt_1"),
        ("webhook-signature", "v1,x"),
        ("Authorization", "Bearer x"),
        ("X-Tenant", "7"),
    )


@pytest.mark.parametrize(
    ("wire_format", "own"),
    [
        ("phrase", [("X-PhraseApp-Event", "Task.update")]),
        ("github", [("X-GitHub-Event", "Task.update"), ("X-GitHub-Delivery", "evt_1")]),
    ],
)
def test_a_format_s_receivers_find_the_event_whichever_scheme_signs(
    wire_format: str, own: list[tuple[str, str]]
) -> None:
    headers = headers_for(wire_format)

    assert list(headers[6 : 6 + len(own)]) == own


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("wire_format", WIRE_FORMATS)
def test_no_header_is_sent_twice_and_each_of_ours_is_reserved(
    wire_format: str, scheme: str
) -> None:
    to_sign = ToSign("evt_1", 1, "Task.update", BODY, (generate_secret(),))

    headers = headers_for(wire_format, signature=sign([scheme], to_sign))

    names = [name.lower() for name, _ in headers]
    assert len(names) == len(set(names))
    assert all(is_reserved(name) for name in names)


def test_a_stored_custom_header_cannot_displace_ours() -> None:
    headers = headers_for(custom={"WEBHOOK-SIGNATURE": "v1,forged", "host": "evil", "X-A": "1"})

    assert headers == headers_for(custom={"X-A": "1"})


BAD_VALUES = ["a\r\nX-Evil: 1", "a\nb", "a\rb", "a\0b", "a\x7fb", "a\x1bb", "é", "日本", "\ud800"]


@pytest.mark.parametrize("value", BAD_VALUES)
def test_an_injection_is_refused_wherever_it_was_stored(value: str) -> None:
    with pytest.raises(NotComposable):
        headers_for(custom={"X-A": value})
    with pytest.raises(NotComposable):
        headers_for(signature=(("webhook-id", value),))
    with pytest.raises(NotComposable):
        headers_for("phrase", event_type=value)
    with pytest.raises(NotComposable):
        headers_for("github", message_id=value)


@pytest.mark.parametrize("name", ["", "X A", "X:A", "X-A\r\nX-Evil", "X-A\n", "é", "X\0"])
def test_a_name_that_is_no_token_is_refused(name: str) -> None:
    with pytest.raises(NotComposable):
        headers_for(custom={name: "1"})


@given(st.dictionaries(st.text(max_size=20), st.text(max_size=40), max_size=3))
def test_whatever_is_stored_each_header_is_one_line_of_ascii(custom: dict[str, str]) -> None:
    try:
        headers = headers_for(custom=custom)
    except NotComposable:
        return
    block = "".join(f"{name}: {value}\r\n" for name, value in headers)
    assert block.isascii()
    assert block.splitlines() == [f"{name}: {value}" for name, value in headers]
    assert all(line.replace("\t", " ").isprintable() for line in block.splitlines())
