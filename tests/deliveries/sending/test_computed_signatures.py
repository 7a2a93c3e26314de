"""The signature debugger on what a receiver says it computed, and what looking may cost."""

from __future__ import annotations

import base64
import hmac
import json
from dataclasses import replace
from unittest.mock import Mock

import pytest

from deliveries.sending import signature_variants
from deliveries.sending.signature_check import (
    Code,
    Request,
    check,
)
from deliveries.sending.signature_variants import Deviation
from deliveries.sending.signing import SCHEMES
from tests.deliveries.sending.signed_requests import (
    BODY,
    ID,
    NEWEST,
    NOW,
    SECRET,
    bad,
    by_github,
    by_standard_webhooks,
    by_stripe,
    codes,
    deviations,
    judged,
)

# ---- What the receiver computed -------------------------------------------------------------


def digest(key: bytes, content: bytes) -> bytes:
    return hmac.digest(key, content, "sha256")


SIGNED = f"{ID}.{NOW}.".encode() + BODY
KEY = bytes(range(32))


@pytest.mark.parametrize(
    ("computed", "expected"),
    [
        (digest(KEY, SIGNED).hex(), (Deviation.HEX,)),
        (base64.b64encode(digest(SECRET.encode(), SIGNED)), (Deviation.KEY_NOT_DECODED,)),
        (base64.b64encode(digest(SECRET[6:].encode(), SIGNED)), (Deviation.KEY_WITHOUT_PREFIX,)),
        (base64.b64encode(digest(KEY, BODY)), (Deviation.PARTS,)),
        (base64.b64encode(digest(KEY, f"{NOW}.".encode() + BODY)), (Deviation.PARTS,)),
        (
            base64.b64encode(
                digest(KEY, SIGNED[: -len(BODY)] + json.dumps(json.loads(BODY)).encode())
            ),
            (Deviation.BODY_RESERIALISED,),
        ),
        (
            digest(SECRET.encode(), BODY).hex(),
            (Deviation.KEY_NOT_DECODED, Deviation.PARTS, Deviation.HEX),
        ),
    ],
)
def test_a_receivers_mistake_is_named(
    computed: bytes | str, expected: tuple[Deviation, ...]
) -> None:
    text = computed if isinstance(computed, str) else computed.decode()
    report = judged(by_standard_webhooks(), computed=text)

    assert bad(report) == [Code.COMPUTED_IF]
    assert deviations(report) == expected


def test_a_decoded_key_is_named_where_the_text_is_the_key() -> None:
    computed = digest(KEY, f"{NOW}.".encode() + BODY).hex()

    assert deviations(judged(by_stripe(), "stripe", computed=computed)) == (Deviation.KEY_DECODED,)


def test_base64_is_named_where_hexadecimal_should_be() -> None:
    computed = base64.b64encode(digest(SECRET.encode(), BODY)).decode()

    assert deviations(judged(by_github(), "github", computed=computed)) == (Deviation.BASE64,)


@pytest.mark.parametrize("prefix", ["", "v1,", " "])
def test_what_is_computed_right_is_said(prefix: str) -> None:
    computed = prefix + base64.b64encode(digest(KEY, SIGNED)).decode()

    assert Code.COMPUTED_FITS in codes(judged(by_standard_webhooks(), computed=computed))


@pytest.mark.parametrize(
    ("computed", "code"),
    [("0" * 64, Code.COMPUTED_NOTHING), ("hello", Code.COMPUTED_NO_DIGEST)],
)
def test_what_leads_nowhere_is_said(computed: str, code: Code) -> None:
    assert bad(judged(by_standard_webhooks(), computed=computed)) == [code]


# ---- What it may cost -----------------------------------------------------------------------


def with_signatures(*signatures: str) -> Request:
    request = by_standard_webhooks()
    return replace(
        request, headers=(*request.headers[:2], ("Webhook-Signature", " ".join(signatures)))
    )


def test_of_many_signatures_the_first_few_are_looked_at() -> None:
    right = by_standard_webhooks().headers[2][1]
    wrong = "v1," + base64.b64encode(bytes(32)).decode()

    eighth = judged(with_signatures(*[wrong] * 7, right))
    ninth = judged(with_signatures(*[wrong] * 8, right))

    assert eighth.is_good
    assert Code.SIGNATURES_LEFT_OUT not in codes(eighth)
    assert bad(ninth) == [Code.FITS_NOTHING]
    (left_out,) = [each for each in ninth.findings if each.code is Code.SIGNATURES_LEFT_OUT]
    assert left_out.values == {"looked_at": 8, "count": 9}


def test_of_several_signatures_that_nearly_fit_the_nearest_is_told() -> None:
    right = by_standard_webhooks().headers[2][1].removeprefix("v1,")
    in_hex = base64.b64decode(right).hex()
    by_other_key = hmac.digest(SECRET.encode(), f"{ID}.{NOW}.".encode() + BODY, "sha256").hex()

    assert judged(with_signatures(f"v1,{in_hex}", f"v1,{right}")).is_good
    report = judged(with_signatures(f"v1,{by_other_key}", f"v1,{in_hex}"))
    assert deviations(report) == (Deviation.HEX,)


def test_a_way_is_gone_once_whatever_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    hashed, written = Mock(wraps=hmac.digest), Mock(wraps=signature_variants.reserialised)
    monkeypatch.setattr(hmac, "digest", hashed)
    monkeypatch.setattr(signature_variants, "reserialised", written)
    wrong = ["v1," + base64.b64encode(bytes([number] * 32)).decode() for number in range(8)]
    judged(with_signatures(wrong[0]))
    once = hashed.call_count
    hashed.reset_mock()

    report = judged(with_signatures(*wrong), computed=bytes(32).hex())
    assert Code.COMPUTED_NOTHING in codes(report)
    assert hashed.call_count == once > 0

    written.reset_mock()
    check(SCHEMES, with_signatures(*wrong), [NEWEST], now_seconds=NOW)
    written.assert_called_once_with(BODY)


def test_deep_json_is_not_indented_a_thousandfold() -> None:
    body = b"[" * 90 + b"1," * 20_000 + b"1" + b"]" * 90

    bodies = signature_variants.bodies_of(body)

    assert (Deviation.BODY_RESERIALISED,) in [deviations for deviations, _body in bodies]
    assert max(len(each) for _deviations, each in bodies) < 3 * len(body)
