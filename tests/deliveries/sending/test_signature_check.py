"""The signature debugger's judgement, on signatures that the vendors' own libraries made."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from dataclasses import replace
from datetime import UTC, datetime
from unittest.mock import Mock

import pytest
import stripe
from gidgethub.sansio import validate_event
from standardwebhooks.webhooks import Webhook

from deliveries.sending import signature_variants
from deliveries.sending.signature_check import (
    GIVEN,
    Code,
    Report,
    Request,
    Verdict,
    check,
    schemes_in,
)
from deliveries.sending.signature_variants import Deviation, Secret
from deliveries.sending.signing import SCHEMES, ToSign, sign
from subscriptions.secrets.secret_format import generate_secret

NOW = 1_700_000_000
ID = "evt_0190b6b0000070008000000000000001"
BODY = '{"type":"order.paid","data":{"total":1.50,"name":"Zoë","url":"https://a.test/b"}}'.encode()
SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()
OTHER = "whsec_" + base64.b64encode(bytes(range(32, 64))).decode()
NEWEST = Secret("newest", SECRET)


def by_standard_webhooks(secret: str = SECRET, body: bytes = BODY, at: int = NOW) -> Request:
    signature = Webhook(secret).sign(ID, datetime.fromtimestamp(at, UTC), body.decode())
    headers = (("Webhook-Id", ID), ("Webhook-Timestamp", str(at)), ("Webhook-Signature", signature))
    return Request(headers, body)


def by_stripe(secret: str = SECRET, body: bytes = BODY) -> Request:
    signature = stripe.WebhookSignature._compute_signature(f"{NOW}.{body.decode()}", secret)
    return Request((("Stripe-Signature", f"t={NOW},v1={signature}"),), body)


def by_github(secret: str = SECRET, body: bytes = BODY) -> Request:
    signature = "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    validate_event(body, signature=signature, secret=secret)  # raises where it is wrong
    return Request((("X-Hub-Signature-256", signature), ("X-GitHub-Delivery", ID)), body)


def judged(request: Request, scheme: str = "standard", **options: object) -> Report:
    given = {"secrets": [NEWEST], "now_seconds": NOW} | options
    (report,) = check([scheme], request, **given)  # type: ignore[arg-type]  # of these options
    return report


def codes(report: Report) -> set[Code]:
    return {finding.code for finding in report.findings}


def bad(report: Report) -> list[Code]:
    return [finding.code for finding in report.findings if finding.verdict is Verdict.BAD]


def deviations(report: Report) -> tuple[Deviation, ...]:
    (found,) = [finding.deviations for finding in report.findings if finding.deviations]
    return found


# ---- All good -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("scheme", "request_"),
    [
        ("standard", by_standard_webhooks()),
        ("stripe", by_stripe()),
        ("github", by_github()),
    ],
)
def test_what_a_vendors_library_signed_is_good(scheme: str, request_: Request) -> None:
    report = judged(request_, scheme, sent=request_)

    assert report.is_good
    assert Code.FITS in codes(report)
    assert Code.BODY_SAME in codes(report)
    assert schemes_in(request_.headers) == [scheme]


@pytest.mark.parametrize("scheme", SCHEMES)
def test_what_we_sign_is_good_by_every_scheme(scheme: str) -> None:
    headers = sign([scheme], ToSign(ID, NOW, "order.paid", BODY, (SECRET, OTHER)))
    report = judged(Request(headers, BODY), scheme)

    assert report.is_good
    assert Code.FITS in codes(report)


def test_the_secret_before_the_newest_signs_too_and_is_named() -> None:
    report = judged(by_standard_webhooks(OTHER), secrets=[NEWEST, Secret("previous", OTHER)])

    assert report.is_good
    assert report.findings[-1].values == {"secret": "previous"}


def test_no_finding_holds_a_secret_or_a_right_signature() -> None:
    right = by_standard_webhooks().headers[2][1].removeprefix("v1,")
    request = replace(by_standard_webhooks(OTHER), body=b"{}")
    report = judged(request, computed="x" * 44, secrets=[NEWEST, Secret(GIVEN, OTHER, False)])

    shown = repr(report) + repr([NEWEST])
    assert not report.is_good
    for hidden in (SECRET, OTHER, SECRET[6:], right):
        assert hidden not in shown


# ---- Headers --------------------------------------------------------------------------------


def without(request: Request, name: str) -> Request:
    return replace(request, headers=tuple(h for h in request.headers if h[0].lower() != name))


def renamed(request: Request, name: str, to: str) -> Request:
    headers = tuple((to if h[0].lower() == name else h[0], h[1]) for h in request.headers)
    return replace(request, headers=headers)


def changed(request: Request, name: str, value: str) -> Request:
    headers = tuple((h[0], value if h[0].lower() == name else h[1]) for h in request.headers)
    return replace(request, headers=headers)


@pytest.mark.parametrize("name", ["webhook-id", "webhook-timestamp", "webhook-signature"])
def test_a_header_that_is_missing_is_named(name: str) -> None:
    report = judged(without(by_standard_webhooks(), name))

    missing = [f.values["header"] for f in report.findings if f.code is Code.HEADER_MISSING]
    assert missing == [name]
    assert not report.is_good


@pytest.mark.parametrize(
    "other", ["HTTP_WEBHOOK_SIGNATURE", "webhook_signature", "X-Webhook-Signature"]
)
def test_a_header_under_another_name_is_found_and_checked(other: str) -> None:
    report = judged(renamed(by_standard_webhooks(), "webhook-signature", other))

    assert bad(report) == [Code.HEADER_RENAMED]
    assert Code.FITS in codes(report)


@pytest.mark.parametrize(
    "value", ["", "v1", "v1=abc", "nonsense", "v1,short", "v1a,abcdef", "v1,\u3042"]
)
def test_a_signature_header_of_another_form_is_said(value: str) -> None:
    report = judged(changed(by_standard_webhooks(), "webhook-signature", value))

    assert Code.MALFORMED in bad(report)


def test_a_changed_header_is_told_by_what_was_sent() -> None:
    sent = by_standard_webhooks()
    report = judged(changed(sent, "webhook-id", "evt_other"), sent=sent)

    assert Code.HEADER_CHANGED in bad(report)
    assert Code.FITS_NOTHING in bad(report)


def test_an_id_that_nobody_knows_is_only_a_note() -> None:
    report = judged(by_standard_webhooks(), sent=None)

    assert Code.ID_UNKNOWN in codes(report)
    assert report.is_good


# ---- Time -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "code", "is_bad"),
    [
        (str(NOW), Code.TIMESTAMP_FINE, False),
        (str(NOW - 300), Code.TIMESTAMP_FINE, False),
        (str(NOW - 301), Code.TIMESTAMP_OLD, False),
        (str(NOW + 300), Code.TIMESTAMP_FINE, False),
        (str(NOW + 301), Code.TIMESTAMP_AHEAD, True),
        (str(NOW * 1000), Code.TIMESTAMP_MILLISECONDS, True),
        ("2023-11-14T22:13:20Z", Code.TIMESTAMP_NO_NUMBER, True),
        ("-5", Code.TIMESTAMP_NO_NUMBER, True),
        ("9" * 5000, Code.TIMESTAMP_NO_NUMBER, True),
    ],
)
def test_the_timestamp_is_judged(value: str, code: Code, is_bad: bool) -> None:
    report = judged(changed(by_standard_webhooks(), "webhook-timestamp", value))

    assert code in codes(report)
    assert (code in bad(report)) == is_bad


def test_a_timestamp_that_a_signature_header_lacks_is_said() -> None:
    request = changed(by_stripe(), "stripe-signature", "v1=" + "0" * 64)

    assert Code.TIMESTAMP_MISSING in bad(judged(request, "stripe"))


# ---- The body -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (BODY + b"\n", Code.BODY_NEWLINE),
        (json.dumps(json.loads(BODY)).encode(), Code.BODY_RESERIALISED),
        (BODY.replace(b"1.50", b"1.5"), Code.BODY_RESERIALISED),
        (BODY[:20], Code.BODY_CUT),
        (BODY.replace(b"paid", b"sent"), Code.BODY_CHANGED),
        (b"", Code.BODY_EMPTY),
    ],
)
def test_a_changed_body_is_held_against_what_was_sent(body: bytes, code: Code) -> None:
    sent = by_standard_webhooks()
    report = judged(replace(sent, body=body), sent=sent)

    assert code in bad(report)
    assert Deviation.BODY_SENT in deviations(report)


def test_the_first_byte_that_differs_is_named() -> None:
    sent = by_standard_webhooks()
    report = judged(replace(sent, body=BODY.replace(b"1.50", b"1.5")), sent=sent)

    (finding,) = [f for f in report.findings if f.code is Code.BODY_RESERIALISED]
    place = BODY.index(b"1.50") + 4
    assert finding.values == {"expected": len(BODY), "got": len(BODY) - 1, "at": place}


def test_line_ends_that_were_changed_are_told() -> None:
    sent = by_github(body=b'{\n"a": 1\n}')
    report = judged(replace(sent, body=b'{\r\n"a": 1\r\n}'), "github", sent=sent)

    assert Code.BODY_LINE_ENDS in bad(report)


def test_without_history_a_body_is_tried_as_it_may_have_been() -> None:
    request = by_stripe(body=b'{"a":1,"b":[1,2]}')
    spaced = replace(request, body=b'{"a": 1, "b": [1, 2]}')
    ended = replace(request, body=request.body + b"\n")

    assert deviations(judged(spaced, "stripe")) == (Deviation.BODY_RESERIALISED,)
    assert deviations(judged(ended, "stripe")) == (Deviation.BODY_NEWLINE,)


# ---- The secret -----------------------------------------------------------------------------


def test_a_wrong_secret_is_recognised_among_those_that_are_known() -> None:
    default = Secret("default", OTHER, is_right=False)
    report = judged(by_standard_webhooks(OTHER), secrets=[NEWEST, default])

    assert deviations(report) == (Deviation.OTHER_SECRET,)
    assert report.findings[-1].values == {"secret": "default"}


def test_a_secret_that_nobody_knows_fits_nothing() -> None:
    assert Code.FITS_NOTHING in bad(judged(by_standard_webhooks(generate_secret())))


def test_a_given_secret_is_held_against_the_subscriptions() -> None:
    right = judged(by_standard_webhooks(), secrets=[NEWEST, Secret(GIVEN, SECRET, False)])
    wrong = judged(by_standard_webhooks(), secrets=[NEWEST, Secret(GIVEN, OTHER, False)])

    assert right.is_good
    assert bad(wrong) == [Code.SECRET_WRONG]


def test_without_any_secret_that_is_said() -> None:
    assert Code.NO_SECRET in bad(judged(by_standard_webhooks(), secrets=[]))


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
