"""Makes a claimed delivery into a request: parse the URL, compose, sign, list the headers.

Called by the pump right before sending, so that the signature's timestamp is the attempt's. What
cannot become a request ends as an exchange at once: nothing was sent.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta

import msgspec

from deliveries.sending.claim import ClaimedDelivery
from deliveries.sending.compose import NotComposable, compose_body, compose_head
from deliveries.sending.request_head import NO_HEAD
from deliveries.sending.signing import NotSignable, ToSign, sign
from deliveries.sending.snapshot import SubscriptionSnapshot
from deliveries.sending.transport import Exchange, OutboundRequest, Outcome
from subscriptions.guard.address_guard import Destination, UrlRefused, parse_destination
from subscriptions.ids import to_public

logger = logging.getLogger(__name__)


class Ticket(msgspec.Struct, frozen=True, gc=False):
    """What comes back with the exchange: whose attempt it is, and how it began."""

    delivery: ClaimedDelivery
    subscription: SubscriptionSnapshot
    started_at: datetime
    request_body: str | None
    """The body as sent, unless event and wire format alone give it again."""


def prepare(
    delivery: ClaimedDelivery,
    subscription: SubscriptionSnapshot,
    *,
    description: str,
    clock_ahead: timedelta = timedelta(),
) -> OutboundRequest | Exchange:
    """Return the request to send, or the exchange that says why there is none.

    `clock_ahead` is the error of this machine's clock: a receiver refuses a signature that comes
    from the past or the future.
    """
    started_at = datetime.now(UTC) - clock_ahead
    reason: ValueError
    try:
        return _request(delivery, subscription, description, started_at)
    except UrlRefused as error:
        outcome, reason = Outcome.BLOCKED_ADDRESS, error
    except (NotComposable, NotSignable) as error:
        outcome, reason = Outcome.NOT_SENDABLE, error
    except Exception:  # one delivery's trouble, whatever it is, shall stay its own
        logger.exception("delivery %s cannot be prepared", delivery.id)
        outcome, reason = Outcome.NOT_SENDABLE, ValueError("The request could not be composed.")
    ticket = Ticket(delivery, subscription, started_at, request_body="")
    return Exchange(
        request=OutboundRequest(
            ticket=ticket,
            tenant=str(delivery.project_id),
            url=_unparsed(subscription.url),
            head=NO_HEAD,
            body=b"",
        ),
        outcome=outcome,
        error=str(reason),
        operator_detail=subscription.secret_error or str(reason.__cause__ or ""),
    )


def _request(
    delivery: ClaimedDelivery,
    subscription: SubscriptionSnapshot,
    description: str,
    started_at: datetime,
) -> OutboundRequest:
    if delivery.data is None:
        raise NotComposable("The event is no longer stored.")
    if subscription.secret_error:
        raise NotSignable("The secrets of this subscription cannot be read.")
    destination = parse_destination(subscription.url)
    composed = compose_body(
        subscription.wire_format,
        event_type=delivery.event_type,
        created_at=delivery.event_created_at,
        data=delivery.data,
        description=description,
        repsona_fields=subscription.repsona_fields,
    )
    message_id = to_public("evt", delivery.event_id)
    signature_headers = sign(
        subscription.signature_schemes,
        ToSign(
            message_id=message_id,
            timestamp=int(started_at.timestamp()),
            event_type=delivery.event_type,
            body=composed.body,
            secrets=subscription.secrets,
        ),
    )
    head = compose_head(
        destination=destination,
        wire_format=subscription.wire_format,
        body=composed.body,
        event_type=delivery.event_type,
        message_id=message_id,
        signature_headers=signature_headers,
        custom_headers=subscription.custom_headers,
    )
    return OutboundRequest(
        ticket=Ticket(
            delivery,
            subscription,
            started_at,
            request_body=None if composed.is_derivable else composed.body.decode(),
        ),
        tenant=str(delivery.project_id),
        url=destination,
        head=head,
        body=composed.body,
    )


def _unparsed(url: str) -> Destination:
    """The stored URL as it is, for the history only: it leads nowhere."""
    return Destination(
        url=url, scheme="", host="", port=0, target="", address=None, is_internal_name=False
    )
