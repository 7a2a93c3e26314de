"""What follows an attempt."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deliveries.sending.retry_policy import (
    GONE,
    Final,
    Retry,
    RetryDecision,
    decide,
    parse_retry_after,
)
from deliveries.sending.transport import Excuse, Outcome

NOW = datetime(1994, 11, 6, 8, 49, 0, tzinfo=UTC)
DAY = 86_400
RETRIED = [
    Outcome.HTTP_ERROR,
    Outcome.TIMEOUT,
    Outcome.CONNECTION_FAILED,
    Outcome.DNS_FAILED,
    Outcome.TLS_FAILED,
    Outcome.RESPONSE_TOO_LARGE,
]


def middle() -> float:
    return 0.5


def decision(outcome: Outcome = Outcome.TIMEOUT, **changed: Any) -> RetryDecision:
    situation: dict[str, Any] = {
        "status_code": 500 if outcome is Outcome.HTTP_ERROR else None,
        "tries_used": 1,
        "schedule": (5, 300, 1800),
        "retry_after_seconds": None,
        "is_redelivery": False,
        "jitter": middle,
    }
    return decide(outcome=outcome, **{**situation, **changed})


@pytest.mark.parametrize("outcome", RETRIED)
def test_a_failure_is_retried_by_the_schedule_until_it_is_used_up(outcome: Outcome) -> None:
    assert decision(outcome, tries_used=1) == Retry(5.0)
    assert decision(outcome, tries_used=2) == Retry(300.0)
    assert decision(outcome, tries_used=3) == Retry(1800.0)
    assert decision(outcome, tries_used=4) == Final()
    assert decision(outcome, tries_used=5) == Final()


@pytest.mark.parametrize("outcome", [*RETRIED, Outcome.SUCCEEDED])
def test_without_a_schedule_the_first_attempt_is_final(outcome: Outcome) -> None:
    assert decision(outcome, schedule=()) == Final()


@pytest.mark.parametrize(
    "outcome", [Outcome.SUCCEEDED, Outcome.BLOCKED_ADDRESS, Outcome.NOT_SENDABLE]
)
def test_what_a_retry_cannot_change_is_never_retried(outcome: Outcome) -> None:
    assert decision(outcome) == Final()


@pytest.mark.parametrize("status_code", [301, 302, 400, 404, 408, 429, 500, 503])
def test_every_status_that_is_no_success_is_retried(status_code: int) -> None:
    assert decision(Outcome.HTTP_ERROR, status_code=status_code) == Retry(5.0)


@pytest.mark.parametrize("is_redelivery", [False, True])
@pytest.mark.parametrize("schedule", [(), (5, 300)])
def test_gone_is_final_and_deactivates(schedule: tuple[int, ...], is_redelivery: bool) -> None:
    gone = decision(
        Outcome.HTTP_ERROR, status_code=410, schedule=schedule, is_redelivery=is_redelivery
    )

    assert gone == Final(deactivate_reason=GONE)


def test_a_410_without_a_complete_header_block_does_not_deactivate() -> None:
    assert decision(Outcome.TIMEOUT, status_code=410) == Retry(5.0)


@pytest.mark.parametrize("outcome", [*RETRIED, Outcome.SUCCEEDED])
def test_a_redelivery_has_one_try(outcome: Outcome) -> None:
    assert decision(outcome, is_redelivery=True) == Final()


@pytest.mark.parametrize("schedule", [(), (5, 300)])
@pytest.mark.parametrize("is_redelivery", [False, True])
def test_our_own_outage_is_tried_again_soon_at_nobody_s_expense(
    schedule: tuple[int, ...], is_redelivery: bool
) -> None:
    ours = decision(
        Outcome.OWN_OUTAGE, schedule=schedule, is_redelivery=is_redelivery, tries_used=9
    )

    assert ours == Retry(15.0, uses_up_try=False)


@pytest.mark.parametrize("schedule", [(), (5, 300)])
@pytest.mark.parametrize("is_redelivery", [False, True])
@pytest.mark.parametrize(
    ("excuse", "delay_seconds"), [(Excuse.OWN_OUTAGE, 15.0), (Excuse.STALE_CONNECTION, 0.0)]
)
def test_what_the_receiver_cannot_help_is_repeated_at_nobody_s_expense(
    schedule: tuple[int, ...], is_redelivery: bool, excuse: Excuse, delay_seconds: float
) -> None:
    excused = decision(
        Outcome.TIMEOUT,
        schedule=schedule,
        is_redelivery=is_redelivery,
        tries_used=9,
        excuse=excuse,
    )

    assert excused == Retry(delay_seconds, uses_up_try=False)


@pytest.mark.parametrize(("chance", "expected"), [(0.0, 240.0), (0.5, 300.0), (1.0, 360.0)])
def test_delays_vary_by_a_fifth_either_way(chance: float, expected: float) -> None:
    retry = decision(tries_used=2, jitter=lambda: chance)

    assert isinstance(retry, Retry)
    assert retry.delay_seconds == pytest.approx(expected)


@given(st.integers(1, 7 * DAY), st.integers())
def test_a_real_random_generator_stays_within_a_fifth(delay: int, seed: int) -> None:
    retry = decision(schedule=(delay,), jitter=random.Random(seed).random)

    assert isinstance(retry, Retry)
    assert 0.8 * delay <= retry.delay_seconds <= 1.2 * delay


@pytest.mark.parametrize("status_code", [429, 503])
def test_retry_after_lengthens_the_delay_and_never_shortens_it(status_code: int) -> None:
    def asked(seconds: int | None, **changed: Any) -> RetryDecision:
        return decision(
            Outcome.HTTP_ERROR, status_code=status_code, retry_after_seconds=seconds, **changed
        )

    assert asked(120) == Retry(120.0)
    assert asked(3) == Retry(5.0)
    assert asked(0) == Retry(5.0)
    assert asked(None) == Retry(5.0)
    assert asked(120, schedule=()) == Final()
    assert asked(120, is_redelivery=True) == Final()
    assert asked(120, tries_used=4) == Final()


@pytest.mark.parametrize("status_code", [301, 400, 500, 502])
def test_retry_after_means_nothing_with_other_statuses(status_code: int) -> None:
    unmoved = decision(Outcome.HTTP_ERROR, status_code=status_code, retry_after_seconds=120)

    assert unmoved == Retry(5.0)


def parsed(value: str | bytes, now: datetime = NOW) -> int | None:
    raw = value.encode() if isinstance(value, str) else value
    block = b"HTTP/1.1 503 Service Unavailable\r\nDate: x\r\nRetry-After: " + raw + b"\r\n\r\n"
    return parse_retry_after(block, now)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0),
        ("120", 120),
        ("  7\t", 7),
        ("000000000000000000120", 120),
        ("86400", DAY),
        ("86401", DAY),
        ("9" * 10_000, DAY),
        ("Sun, 06 Nov 1994 08:49:37 GMT", 37),
        ("Sunday, 06-Nov-94 08:49:37 GMT", 37),
        ("Sun Nov  6 08:49:37 1994", 37),
        ("Sun, 06 Nov 1994 08:48:00 GMT", 0),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", DAY),
    ],
)
def test_seconds_and_dates_are_understood_within_a_day(value: str, seconds: int) -> None:
    assert parsed(value) == seconds


@pytest.mark.parametrize(
    "value",
    [
        "",
        "-1",
        "+5",
        "1.5",
        "1e3",
        "0x10",
        "5 seconds",
        "5, 6",
        "soon",
        "never",
        "nan",
        "-" * 99,
        "٣",
        "²",
        "Sun, 99 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 99999999999 08:49:37 GMT",
        ",",
        b"\xff\xfe",
        b"\x00",
    ],
)
def test_rubbish_is_ignored(value: str | bytes) -> None:
    assert parsed(value) is None


@pytest.mark.parametrize(
    "headers",
    [
        b"",
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 503 Retry-After: 5\r\n\r\n",
        b"HTTP/1.1 503 x\r\nX-Retry-After: 5\r\n\r\n",
        b"HTTP/1.1 503 x\r\nX: Retry-After: 5\r\n\r\n",
    ],
)
def test_without_the_header_nothing_is_asked(headers: bytes) -> None:
    assert parse_retry_after(headers, NOW) is None


@pytest.mark.parametrize("name", [b"retry-after", b"RETRY-AFTER", b"Retry-After"])
def test_the_name_s_case_does_not_count_and_the_first_header_does(name: bytes) -> None:
    block = b"HTTP/2 429\r\n" + name + b":30\r\nretry-after: 60\r\n\r\n"

    assert parse_retry_after(block, NOW) == 30


@given(st.binary(max_size=60) | st.text("0123456789 :,-+GMTSunNov", max_size=60).map(str.encode))
def test_no_value_breaks_the_parser_or_the_bounds(value: bytes) -> None:
    seconds = parsed(value)

    assert seconds is None or 0 <= seconds <= DAY


@given(st.timedeltas(timedelta(days=-400), timedelta(days=400)))
def test_a_date_is_the_seconds_until_then(distance: timedelta) -> None:
    moment = (NOW + distance).replace(microsecond=0)

    assert parsed(format_datetime(moment, usegmt=True)) == min(
        max(int((moment - NOW).total_seconds()), 0), DAY
    )
