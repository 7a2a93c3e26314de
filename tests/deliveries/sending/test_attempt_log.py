"""The line of an attempt is a log record like any other."""

from __future__ import annotations

import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from deliveries.sending import attempt_log
from deliveries.sending.attempt_log import log_attempt
from deliveries.sending.claim import ClaimedDelivery
from deliveries.sending.preparation import Ticket
from deliveries.sending.transport import Exchange, Outcome
from subscriptions.ids import new_id, time_of

THEIR_OWN = {"created", "msecs", "relativeCreated"}


def log_one(caplog: pytest.LogCaptureFixture) -> logging.LogRecord:
    caplog.set_level(logging.INFO, "deliveries.attempt")
    log_attempt(*an_attempt())
    return caplog.records[-1]


def an_attempt() -> tuple[Ticket, Exchange]:
    identifier = new_id()
    delivery = ClaimedDelivery(
        id=identifier,
        project_id=1,
        subscription_id=new_id(),
        event_id=new_id(),
        event_type="a.b",
        data="{}",
        event_created_at=time_of(identifier),
        is_test=False,
        is_redelivery=False,
        attempt_count=1,
        tries_used=0,
        lease_ends_at=0.0,
    )
    started_at = time_of(identifier)
    subscription: Any = None  # not looked at
    request: Any = None
    ticket = Ticket(delivery, subscription, started_at, request_body=None)
    return ticket, Exchange(request=request, outcome=Outcome.SUCCEEDED, duration_ms=7)


def test_it_has_what_every_record_has(caplog: pytest.LogCaptureFixture) -> None:
    def log_both() -> tuple[logging.LogRecord, logging.LogRecord]:
        usual = logging.LogRecord(
            "deliveries.attempt",
            logging.INFO,
            attempt_log.__file__,
            0,
            attempt_log._LINE,
            args=None,
            exc_info=None,
            func="log_attempt",
        )
        return usual, log_one(caplog)

    with ThreadPoolExecutor(1, thread_name_prefix="another") as another:
        usual, record = another.submit(log_both).result()
    assert record.threadName == "another_0" != threading.current_thread().name
    for name in usual.__dict__.keys() - THEIR_OWN - {"args"}:
        assert getattr(record, name) == getattr(usual, name), name
    for name in THEIR_OWN:
        late_by = getattr(record, name) - getattr(usual, name)
        assert isinstance(getattr(record, name), float)
        assert name == "msecs" or 0 <= late_by < 5000
    assert record.getMessage().startswith("outcome=succeeded status=- ms=7 delivery=dlv_")


def test_what_is_added_to_all_records_is_added_to_it(caplog: pytest.LogCaptureFixture) -> None:
    usual = logging.getLogRecordFactory()

    def with_trace(*arguments: Any, **named: Any) -> logging.LogRecord:
        record = usual(*arguments, **named)
        record.trace = "42"
        return record

    logging.setLogRecordFactory(with_trace)
    try:
        record = log_one(caplog)
    finally:
        logging.setLogRecordFactory(usual)
    assert record.__dict__["trace"] == "42"
    assert record.getMessage().startswith("outcome=succeeded")
