"""Which headers a subscription may add to its requests."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from subscriptions.custom_headers import check_custom_headers, is_reserved
from subscriptions.refusal import SettingRefused


def test_none_is_none() -> None:
    assert check_custom_headers(None) == {}
    assert check_custom_headers({}) == {}


def test_ordinary_headers_are_kept_in_order() -> None:
    headers = {
        "X-Tenant": "7",
        "Authorization": "Bearer abc.def-ghi",
        "traceparent": "00-1\t 2",
        "x_api_key": "s" * 1024,
    }

    assert list(check_custom_headers(headers).items()) == list(headers.items())


@pytest.mark.parametrize(
    "name",
    [
        "Host",
        "User-Agent",
        "Accept",
        "Accept-Encoding",
        "Connection",
        "Transfer-Encoding",
        "TE",
        "Upgrade",
        "Expect",
        "Trailer",
        "Keep-Alive",
        "Proxy-Authorization",
        "Proxy-Connection",
        "Content-Type",
        "Content-Length",
        "Content-Encoding",
        "Content-Anything",
        "HTTP2-Settings",
        "webhook-id",
        "Webhook-Signature",
        "webhook-anything",
        "Stripe-Signature",
        "Repsona-Signature",
        "X-Hub-Signature",
        "X-Hub-Signature-256",
        "X-GitHub-Event",
        "X-PhraseApp-Event",
        "X-PhraseApp-Signature",
        "Acme-Signature",
        "Cookie",
        "Forwarded",
        "X-Forwarded-For",
        "X-Real-IP",
        "X-HTTP-Method-Override",
        "Metadata-Flavor",
        "Metadata",
        "X-aws-ec2-metadata-token",
        "CONTENT_LENGTH",
        "Transfer_Encoding",
    ],
)
def test_a_reserved_name_is_refused_in_any_case(name: str) -> None:
    for spelling in (name, name.lower(), name.upper(), name.replace("-", "_")):
        assert is_reserved(spelling)
        with pytest.raises(SettingRefused, match="reserved"):
            check_custom_headers({spelling: "x"})


@pytest.mark.parametrize(
    "name",
    [
        "",
        "X Y",
        "X:Y",
        ":authority",
        "X\r\nY",
        "X\n",
        "X\x00",
        "Ñ",
        "X(1)",
        'X"',
        "X/Y",
        "x" * 101,
        7,
        None,
    ],
)
def test_a_name_that_is_no_token_is_refused(name: object) -> None:
    with pytest.raises(SettingRefused):
        check_custom_headers({name: "x"})


@pytest.mark.parametrize(
    "value",
    [
        "",
        " ",
        " x",
        "x ",
        "x\t",
        "x\r\nEvil: 1",
        "x\n",
        "\nx",
        "x\ry",
        "x\0",
        "x\x7f",
        "x\x1b[0m",
        "é",
        "日本",
        "x" * 1025,
        7,
        None,
        ["x"],
        True,
    ],
)
def test_a_value_that_would_not_arrive_as_it_is_is_refused(value: object) -> None:
    with pytest.raises(SettingRefused) as caught:
        check_custom_headers({"X-Fine": "fine", "X-Odd": value})

    assert "'X-Odd'" in str(caught.value)


def test_a_refused_value_is_not_repeated_since_it_may_be_a_credential() -> None:
    with pytest.raises(SettingRefused) as caught:
        check_custom_headers({"Authorization": "Bearer hunter2\n"})

    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("second", ["x-tenant", "X-TENANT", "X_Tenant"])
def test_one_header_under_two_spellings_is_refused(second: str) -> None:
    with pytest.raises(SettingRefused, match="once"):
        check_custom_headers({"X-Tenant": "1", second: "2"})


def test_at_most_twenty_headers_are_accepted() -> None:
    twenty = {f"X-{number}": "x" for number in range(20)}

    assert check_custom_headers(twenty) == twenty
    with pytest.raises(SettingRefused, match="20"):
        check_custom_headers({**twenty, "X-20": "x"})


def test_headers_have_at_most_4096_characters_together() -> None:
    headers = {f"X-{number}": "v" * 1021 for number in range(4)}

    assert check_custom_headers(headers) == headers
    with pytest.raises(SettingRefused, match="4096"):
        check_custom_headers({**headers, "Y": "v"})


@pytest.mark.parametrize("headers", [[], "X: y", 7, [("X", "y")]])
def test_what_is_no_object_is_refused(headers: object) -> None:
    with pytest.raises(SettingRefused):
        check_custom_headers(headers)


@given(st.dictionaries(st.text(max_size=30), st.text(max_size=60), max_size=4))
def test_what_passes_is_one_line_of_ascii_per_header(headers: dict[str, str]) -> None:
    try:
        checked = check_custom_headers(headers)
    except SettingRefused:
        return
    for name, value in checked.items():
        assert f"{name}: {value}".replace("\t", " ").isprintable()
        assert f"{name}: {value}".isascii()
        assert not is_reserved(name)
