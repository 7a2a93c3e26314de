"""The signature debugger's judgement, on signatures that the vendors' own libraries made."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from deliveries.sending.signature_check import (
    GIVEN,
    Code,
    Request,
    schemes_in,
)
from deliveries.sending.signature_variants import Deviation, Secret
from deliveries.sending.signing import SCHEMES, ToSign, sign
from subscriptions.secrets.secret_format import generate_secret
from tests.deliveries.sending.signed_requests import (
    BODY,
    ID,
    NEWEST,
    NOW,
    OTHER,
    SECRET,
    bad,
    by_github,
    by_standard_webhooks,
    by_stripe,
    codes,
    deviations,
    judged,
)

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
