"""Composes requests: the body of each wire format, and every header that is sent.

Called by the pump before signing (`compose_body`) and after (`compose_head`). The payload is
spliced in as text and never re-written. Pure: it must not know models or HTTP libraries.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from types import MappingProxyType
from typing import NamedTuple

import msgspec

from deliveries.sending.request_head import NotSendable, RequestHead, checked_head
from deliveries.sending.signing import Headers, github_event_headers, phrase_event_headers
from deliveries.version import PRODUCT, VERSION
from subscriptions.guard.address_guard import Destination

USER_AGENT = f"{PRODUCT}/{VERSION}"


class NotComposable(ValueError):
    """A request cannot be composed as the subscription asks; `str()` may be shown to the customer.

    Where there is more to tell the operator, it is the cause.

    It never will be, so the delivery is not retried.
    """


class ComposedBody(msgspec.Struct, frozen=True, gc=False):
    """The exact bytes to sign and send.

    `is_derivable` tells whether the event and the wire format alone give them again; what depends
    on anything that may change since must be kept with the attempt.
    """

    body: bytes
    is_derivable: bool


class _Event(NamedTuple):
    event_type: str
    created_at: datetime
    data: bytes
    description: str
    repsona_fields: bool


def compose_body(
    wire_format: str,
    *,
    event_type: str,
    created_at: datetime,
    data: str,
    description: str = "",
    repsona_fields: bool = False,
) -> ComposedBody:
    """Return the body of an event in a wire format, or raise `NotComposable`.

    `data` is the payload's JSON text; `description` is the event type's, used by `phrase`;
    `repsona_fields` is the subscription's option to add `model`, `modelId` and `action`.
    """
    try:
        compose = WIRE_FORMATS[wire_format]
    except KeyError:
        raise NotComposable("The subscription asks for an unknown wire format.") from None
    try:
        event = _Event(event_type, created_at, data.encode(), description, repsona_fields)
        return compose(event)
    except UnicodeEncodeError:
        raise NotComposable("The event contains half of a surrogate pair.") from None


def _standard(event: _Event) -> ComposedBody:
    parts = (
        b'{"type":',
        _quoted(event.event_type),
        b',"timestamp":"',
        _rfc3339(event.created_at),
        b'","data":',
        event.data,
        b"}",
    )
    return ComposedBody(b"".join(parts), is_derivable=True)


def _repsona(event: _Event) -> ComposedBody:
    fields = _repsona_fields(event) if event.repsona_fields else b""
    parts = (b'{"type":', _quoted(event.event_type), fields, b',"event":', event.data, b"}")
    return ComposedBody(b"".join(parts), is_derivable=not event.repsona_fields)


def _phrase(event: _Event) -> ComposedBody:
    """One flat object: `event` is always the type, `message` is never missing."""
    members = _members(event.data)
    if members is None:
        raise NotComposable("The 'phrase' wire format needs a payload that is a JSON object.")
    members.pop("event", None)
    message = bytes(members.pop("message", b"null"))
    is_derivable = message != b"null"
    if not is_derivable:
        message = _quoted(event.description or event.event_type)
    first = b'{"event":' + _quoted(event.event_type) + b',"message":' + message
    rest = [b"," + _quoted(name) + b":" + bytes(value) for name, value in members.items()]
    return ComposedBody(b"".join((first, *rest, b"}")), is_derivable)


def _as_given(event: _Event) -> ComposedBody:
    return ComposedBody(event.data, is_derivable=True)


WIRE_FORMATS: Mapping[str, Callable[[_Event], ComposedBody]] = MappingProxyType(
    {
        "standard": _standard,
        "repsona": _repsona,
        "phrase": _phrase,
        "stripe": _standard,
        "github": _as_given,
        "raw": _as_given,
    }
)


def compose_head(
    *,
    destination: Destination,
    wire_format: str,
    body: bytes,
    event_type: str,
    message_id: str,
    signature_headers: Headers,
    custom_headers: Headers,
) -> RequestHead:
    """Return everything that is sent above the body, in order, or raise `NotComposable`.

    Where two sources name the same header the first one stands, so that nothing a customer
    configured can displace a signature. No `Expect`: it costs a round trip or a second's wait.
    """
    host_header = destination.host_header
    headers = (
        ("Host", host_header),
        ("User-Agent", USER_AGENT),
        ("Accept", "*/*"),
        ("Accept-Encoding", "identity"),
        ("Content-Type", "application/json"),
        ("Content-Length", str(len(body))),
        *_format_headers(wire_format, event_type, message_id),
        *signature_headers,
        *custom_headers,
    )
    kept = _first_of_each(tuple([name for name, _ in headers]))
    if len(kept) < len(headers):
        headers = tuple([headers[position] for position in kept])
    try:
        return checked_head(headers, host_header=host_header, body_bytes=len(body))
    except NotSendable as refusal:
        sentence = "A header of the subscription contains characters that cannot be sent."
        raise NotComposable(sentence) from refusal


@lru_cache(maxsize=4096)  # the names are the same for all requests of a subscription
def _first_of_each(names: tuple[str, ...]) -> tuple[int, ...]:
    """Return the positions of the names that were not there before, whatever their case."""
    folded = [name.lower() for name in names]
    return tuple(
        [position for position, name in enumerate(folded) if folded.index(name) == position]
    )


def _format_headers(wire_format: str, event_type: str, message_id: str) -> Headers:
    """Return what receivers of a format dispatch on, even when another scheme signs."""
    match wire_format:
        case "phrase":
            return phrase_event_headers(event_type)
        case "github":
            return github_event_headers(event_type, message_id)
        case _:
            return ()


def _repsona_fields(event: _Event) -> bytes:
    """`Task.update` of `{"task": {"id": 2}}` is model `Task`, modelId `2`, action `update`.

    What the event does not tell is `null`, so that receivers always find the three members.
    """
    model, dot, action = event.event_type.rpartition(".")
    model = model if dot else event.event_type
    members = _members(event.data) or {}
    thing = _members(bytes(members.get(model[:1].lower() + model[1:], b"null"))) or {}
    return b"".join(
        (
            b',"model":',
            _quoted(model),
            b',"modelId":',
            bytes(thing.get("id", b"null")),
            b',"action":',
            _quoted(action) if dot else b"null",
        )
    )


def _members(json_text: bytes) -> dict[str, msgspec.Raw] | None:
    """Return an object's members as raw JSON text, in order; `None` where it is no object."""
    try:
        return _OBJECT.decode(json_text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _quoted(text: str) -> bytes:
    return msgspec.json.encode(text)


def _rfc3339(moment: datetime) -> bytes:
    """Whole seconds of UTC: what the verifiers of every language can parse."""
    if moment.tzinfo is None:
        raise NotComposable("The event's time has no time zone.")
    seconds = len("2023-01-24T07:13:09")
    return moment.astimezone(UTC).isoformat()[:seconds].encode() + b"Z"


_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])
