"""What a signing secret looks like."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from subscriptions.refusal import SettingRefused
from subscriptions.secrets.secret_format import check_secret, generate_secret, standard_key
from subscriptions.wire_formats import SIGNATURE_SCHEMES


def whsec(key: bytes) -> str:
    return "whsec_" + base64.b64encode(key).decode()


def test_a_generated_secret_has_32_random_bytes_and_suits_every_scheme() -> None:
    secrets = {generate_secret() for _ in range(100)}

    assert len(secrets) == 100
    for secret in secrets:
        assert secret.startswith("whsec_")
        assert len(base64.b64decode(secret.removeprefix("whsec_"))) == 32
        assert check_secret(secret, SIGNATURE_SCHEMES) == secret


@given(st.binary(min_size=24, max_size=64))
def test_a_standard_secret_of_24_to_64_bytes_is_accepted_and_decoded(key: bytes) -> None:
    assert check_secret(whsec(key), ["repsona", "standard"]) == whsec(key)
    assert standard_key(whsec(key)) == key


KEY_OF_32 = bytes(range(32))


@pytest.mark.parametrize(
    "secret",
    [
        "3b1f9a6c0c2e4d7f8a5b",
        base64.b64encode(KEY_OF_32).decode(),
        "WHSEC_" + base64.b64encode(KEY_OF_32).decode(),
        whsec(bytes(23)),
        whsec(bytes(65)),
        "whsec_whsec_" + base64.b64encode(KEY_OF_32).decode(),
        whsec(KEY_OF_32).rstrip("="),
        whsec(KEY_OF_32)[:20] + " " + whsec(KEY_OF_32)[20:],
        "whsec_" + base64.urlsafe_b64encode(b"\xff" * 32).decode(),
        "whsec_" + base64.b64encode(KEY_OF_32).decode().replace("8=", "9="),  # stray bits
        "whsec_" + "あ" * 44,
        "whsec_",
    ],
)
def test_what_a_standard_verifier_could_not_read_is_refused(secret: str) -> None:
    with pytest.raises(SettingRefused):
        check_secret(secret, ["standard"])


@pytest.mark.parametrize(
    "secret",
    [
        "3b1f9a6c0c2e4d7f8a5b",
        "whsec_test",
        "correct horse battery",
        "合言葉は秘密です",
        "x" * 256,
        whsec(KEY_OF_32),
    ],
)
def test_other_schemes_take_any_printable_text(secret: str) -> None:
    assert check_secret(secret, ["repsona", "phrase", "stripe", "github"]) == secret


@pytest.mark.parametrize(
    "secret",
    [
        "",
        "short12",
        "x" * 257,
        " leading1",
        "trailing1 ",
        "line\nbreak",
        "tab\tinside",
        "nul\0nul1",
        "\ud800surrogate",
        "bidi\u202eover",
        "no\xa0break",
        "\ufeffmarked0",
        None,
        12345678,
        b"12345678",
        ["12345678"],
    ],
)
def test_what_nobody_could_copy_faithfully_is_refused(secret: object) -> None:
    with pytest.raises(SettingRefused):
        check_secret(secret, ["repsona"])


@given(st.text(min_size=4))
def test_no_sentence_repeats_the_secret(secret: str) -> None:
    with pytest.raises(SettingRefused) as caught:  # a '!' is not base64
        check_secret(secret + "!", ["standard"])

    assert secret + "!" not in str(caught.value)
