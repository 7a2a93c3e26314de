"""One log line per attempt, with every id to search for. Never a secret, never a body.

Called by the pump for each exchange.
"""

from __future__ import annotations

import logging

from deliveries.sending.preparation import Ticket
from deliveries.sending.transport import Exchange

logger = logging.getLogger("deliveries.attempt")

_LINE = (
    "outcome=%s status=%s ms=%d delivery=dlv_%s event=evt_%s subscription=sub_%s project=%d "
    "attempt=%d address=%s detail=%r"
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
    # `logger.info` looks for its caller first, which is always this line, and costs as much again.
    logger.handle(logger.makeRecord(logger.name, logging.INFO, __file__, 0, _LINE, arguments, None))
