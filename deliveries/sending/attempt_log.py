"""One log line per attempt, with every id to search for. Never a secret, never a body.

Called by the pump for each exchange.
"""

from __future__ import annotations

import logging
import os
import threading
import time

from deliveries.sending.preparation import Ticket
from deliveries.sending.transport import Exchange

logger = logging.getLogger("deliveries.attempt")

_LINE = (
    "outcome=%s status=%s ms=%d delivery=dlv_%s event=evt_%s subscription=sub_%s project=%d "
    "attempt=%d address=%s detail=%r"
)

_FIRST = logging.LogRecord(
    logger.name, logging.INFO, __file__, 0, _LINE, args=None, exc_info=None, func="log_attempt"
)


def log_attempt(ticket: Ticket, exchange: Exchange) -> None:
    """Write the line of one attempt."""
    if not logger.isEnabledFor(logging.INFO):
        return
    delivery = ticket.delivery
    arguments = (
        exchange.outcome.value,
        exchange.status_code or "-",
        exchange.duration_ms,
        delivery.id.hex,
        delivery.event_id.hex,
        delivery.subscription_id.hex,
        delivery.project_id,
        delivery.attempt_count,
        exchange.remote_address or "-",
        exchange.operator_detail,
    )
    if logging.getLogRecordFactory() is logging.LogRecord:
        logger.handle(_Record(arguments))
    else:  # somebody adds something to all records
        logger.info(_LINE, *arguments)


class _Record(logging.LogRecord):
    """A record of the line.

    `logging` would find out for each what is the same for all of them: the caller, paths, a level.
    """

    def __init__(self, arguments: tuple[object, ...]) -> None:
        self.__dict__.update(_FIRST.__dict__)
        self.args = arguments
        self.created = time.time()
        self.msecs = float(int(self.created % 1 * 1000))
        self.relativeCreated = _FIRST.relativeCreated + 1000 * (self.created - _FIRST.created)
        self.process = os.getpid()
        self.thread = threading.get_ident()
        self.threadName = threading.current_thread().name
