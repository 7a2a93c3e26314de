"""libcurl's errors, and what they mean for an attempt."""

from __future__ import annotations

import errno

import pycurl
import pytest

from deliveries.sending import curl_errors
from deliveries.sending.curl_errors import Circumstances, verdict_on
from deliveries.sending.transport import Outcome


def circumstances(**known: object) -> Circumstances:
    """Say what is known of a transfer; nothing, unless given."""
    values = {
        "os_errno": 0,
        "verify_result": 0,
        "is_connected": False,
        "is_secured": False,
        "has_answer_begun": False,
        "allowed_seconds": 5.0,
    }
    return Circumstances(**(values | known))  # type: ignore[arg-type]  # checked by the tests


def test_the_numbers_are_those_of_libcurl() -> None:
    ours = {
        name: number
        for name, number in vars(curl_errors).items()
        if name.isupper() and isinstance(number, int)
    }
    theirs = {name: getattr(pycurl, f"E_{name}", number) for name, number in ours.items()}
    assert ours == theirs
    assert len(ours) > 30


@pytest.mark.parametrize("number", range(1, 102))
def test_every_error_has_an_outcome_and_a_sentence(number: int) -> None:
    verdict = verdict_on(number, circumstances())
    assert verdict.outcome is not Outcome.SUCCEEDED
    assert verdict.error.endswith(".")
    assert "libcurl" not in verdict.error


@pytest.mark.parametrize(
    ("known", "words"),
    [
        ({}, "No connection could be established within 5 seconds."),
        ({"is_connected": True}, "The TLS handshake was not complete within 5 seconds."),
        ({"is_connected": True, "is_secured": True}, "No answer arrived within 5 seconds."),
        (
            {"is_connected": True, "is_secured": True, "has_answer_begun": True},
            "The answer's headers were not complete within 5 seconds.",
        ),
        ({"allowed_seconds": 1.25}, "No connection could be established within 1.25 seconds."),
    ],
)
def test_a_timeout_names_the_phase(known: dict[str, object], words: str) -> None:
    verdict = verdict_on(curl_errors.OPERATION_TIMEDOUT, circumstances(**known))
    assert (verdict.outcome, verdict.error) == (Outcome.TIMEOUT, words)


@pytest.mark.parametrize(
    ("os_errno", "outcome", "words"),
    [
        (errno.ECONNREFUSED, Outcome.CONNECTION_FAILED, "refused"),
        (errno.EHOSTUNREACH, Outcome.CONNECTION_FAILED, "unreachable"),
        (errno.ENETUNREACH, Outcome.CONNECTION_FAILED, "no route"),
        (0, Outcome.CONNECTION_FAILED, "could not be established"),
        (errno.EMFILE, Outcome.OWN_OUTAGE, "not your fault"),
        (errno.ENETDOWN, Outcome.OWN_OUTAGE, "not your fault"),
    ],
)
def test_a_failed_connection_says_what_the_system_said(
    os_errno: int, outcome: Outcome, words: str
) -> None:
    verdict = verdict_on(curl_errors.COULDNT_CONNECT, circumstances(os_errno=os_errno))
    assert verdict.outcome is outcome
    assert words in verdict.error
