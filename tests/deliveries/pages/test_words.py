"""What attempts are said to have come to: words for everything that the history can hold."""

from __future__ import annotations

import errno
from http import HTTPStatus

import pytest

from deliveries.pages.words import (
    END_REASONS,
    OUTCOME_NAMES,
    STATUS_NAMES,
    explain,
    outcome_name,
    status_phrase,
)
from deliveries.sending import door, verdicts
from deliveries.sending.resolve import LookupFailure
from deliveries.sending.transport import BLOCKED_ADDRESS_ERROR, Outcome
from deliveries.sending.verdicts import judge_timeout

HOST = "hooks.acme.test"
FALLBACKS: dict[str, str] = {
    outcome: explain(outcome=outcome, host=HOST).headline
    for outcome in Outcome
    if outcome is not Outcome.HTTP_ERROR
}


def headline(outcome: Outcome, error: str) -> str:
    return explain(outcome=outcome, error=error, host=HOST).headline


@pytest.mark.parametrize("outcome", list(Outcome))
def test_every_outcome_has_a_name_and_words_with_a_next_step(outcome: Outcome) -> None:
    words = explain(outcome=outcome, status_code=500, error="", host=HOST)
    assert words.headline.endswith(".")
    assert "%(" not in words.headline
    assert words.advice or outcome is Outcome.SUCCEEDED
    assert outcome_name(outcome) != outcome.value
    assert words.headline != explain(outcome="unheard_of").headline


def test_names_and_tables_cover_what_the_history_stores() -> None:
    from deliveries.models import Delivery

    assert set(OUTCOME_NAMES) == set(Outcome)
    assert set(STATUS_NAMES) == set(Delivery.Status.values)
    assert set(END_REASONS) == set(Delivery.EndReason.values)


@pytest.mark.parametrize("code", [301, 302, 303, 304, 307, 308, 400, 401, 403, 404, 405, 410, 413,
                                  415, 422, 429, 500, 502, 503, 504, 522])  # fmt: skip
def test_a_well_known_status_has_advice_of_its_own(code: int) -> None:
    words = explain(outcome=Outcome.HTTP_ERROR, status_code=code, host=HOST)
    assert words.headline == f"{HOST} answered with status {code}."
    unknown_of_class = {3: 399, 4: 499, 5: 599}[code // 100]
    unknown = explain(outcome=Outcome.HTTP_ERROR, status_code=unknown_of_class, host=HOST)
    # 302 and its like stand for their class.
    assert words.advice != unknown.advice or code in (302, 303, 307)


@pytest.mark.parametrize("code", [100, 199, 300, 399, 418, 499, 507, 599])
def test_any_other_status_has_the_advice_of_its_class(code: int) -> None:
    assert explain(outcome=Outcome.HTTP_ERROR, status_code=code).advice


def test_a_failed_signature_check_points_to_the_debugger_and_says_how_often() -> None:
    words = explain(outcome=Outcome.HTTP_ERROR, status_code=401, host=HOST, in_a_row=10)
    assert words.headline == f"{HOST} answered with status 401, 10 times in a row."
    assert "signature debugger" in words.advice


def test_other_ends_in_a_row_are_counted_too() -> None:
    error = verdicts.judge_certificate(10).error
    words = explain(outcome=Outcome.TLS_FAILED, error=error, host=HOST, in_a_row=3)
    assert words.headline == (
        f"The certificate of {HOST} has expired. This happened 3 times in a row."
    )


@pytest.mark.parametrize("verify_result", [1, 9, 10, 18, 19, 20, 21, 23, 62, 64, 7])
def test_every_certificate_error_has_words_of_its_own(verify_result: int) -> None:
    error = verdicts.judge_certificate(verify_result).error
    assert headline(Outcome.TLS_FAILED, error) != FALLBACKS[Outcome.TLS_FAILED]


@pytest.mark.parametrize(
    "number", [errno.ECONNREFUSED, errno.ECONNRESET, errno.EHOSTUNREACH, errno.ENETUNREACH]
)
def test_every_way_not_to_connect_has_words_of_its_own(number: int) -> None:
    error = verdicts.judge_connecting(number).error
    said = headline(Outcome.CONNECTION_FAILED, error)
    assert said != FALLBACKS[Outcome.CONNECTION_FAILED]


@pytest.mark.parametrize(
    "verdict",
    [verdicts.NO_ANSWER, verdicts.HUNG_UP_INSTEAD, verdicts.BROKEN_OFF,
     verdicts.CLOSED_IN_HEADERS, verdicts.NOT_HTTP, verdicts.HANDSHAKE],
)  # fmt: skip
def test_every_broken_connection_has_words_of_its_own(verdict: verdicts.Verdict) -> None:
    assert headline(verdict.outcome, verdict.error) != FALLBACKS[verdict.outcome]


def test_every_failed_look_up_has_words_of_its_own() -> None:
    said = {
        headline(Outcome.DNS_FAILED, sentence)
        for failure, sentence in door._SENTENCES.items()
        if failure is not LookupFailure.RESOLVER_UNREACHABLE
    }
    assert len(said) == len(door._SENTENCES) - 1
    assert FALLBACKS[Outcome.DNS_FAILED] not in said


def test_a_timeout_says_how_far_the_attempt_came() -> None:
    ways = [(False, False, False), (True, False, False), (True, True, False), (True, True, True)]
    said = [
        headline(
            Outcome.TIMEOUT,
            judge_timeout(
                is_connected=connected,
                is_secured=secured,
                has_answer_begun=begun,
                allowed_seconds=5.0,
            ).error,
        )
        for connected, secured, begun in ways
    ]
    assert len({*said, FALLBACKS[Outcome.TIMEOUT]}) == 5


def test_a_refused_address_is_not_told_apart_from_another() -> None:
    words = explain(outcome=Outcome.BLOCKED_ADDRESS, error=BLOCKED_ADDRESS_ERROR, host=HOST)
    assert words.headline == f"{HOST} leads to an address that may not be contacted."


def test_without_a_host_the_words_are_whole_sentences_still() -> None:
    assert explain(outcome=Outcome.TIMEOUT).headline.startswith("the subscription’s URL did not")


def test_percent_signs_of_others_do_no_harm() -> None:
    assert "%(code)d" in explain(outcome=Outcome.TIMEOUT, host="%(code)d", in_a_row=2).headline


def test_a_status_has_its_registered_phrase() -> None:
    assert status_phrase(404) == HTTPStatus.NOT_FOUND.phrase
    assert status_phrase(None) == status_phrase(599) == ""
