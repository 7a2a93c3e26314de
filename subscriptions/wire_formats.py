"""What a subscription may choose about its wire: formats and signature schemes, as two tables.

Called by validation and pages; the sending engine has one function for each row (`compose`,
`signing`), and a test holds the two together. Pure: it must not know how anything is computed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from subscriptions.refusal import SettingRefused, quoted


@dataclass(frozen=True, slots=True)
class SignatureScheme:
    """One way to sign; two that share a header cannot be sent together."""

    name: str
    signature_header: str


@dataclass(frozen=True, slots=True)
class WireFormat:
    """One body shape, and what goes with it unless something else is chosen."""

    name: str
    default_schemes: tuple[str, ...]
    test_event_type: str
    needs_object: bool = False
    """The payload's members become the body's own, so it must be a JSON object."""


SIGNATURE_SCHEMES: Mapping[str, SignatureScheme] = MappingProxyType(
    {
        row.name: row
        for row in (
            SignatureScheme("standard", "webhook-signature"),
            SignatureScheme("repsona", "Repsona-Signature"),
            SignatureScheme("phrase", "X-PhraseApp-Signature"),
            # Phrase's documentation says "hex digest" in one place; its samples decode base64.
            SignatureScheme("phrase-hex", "X-PhraseApp-Signature"),
            SignatureScheme("stripe", "Stripe-Signature"),
            SignatureScheme("github", "X-Hub-Signature-256"),
        )
    }
)

WIRE_FORMATS: Mapping[str, WireFormat] = MappingProxyType(
    {
        row.name: row
        for row in (
            WireFormat("standard", ("standard",), "test.event"),
            WireFormat("repsona", ("repsona",), "Test.event"),
            WireFormat("phrase", ("phrase",), "test:event", needs_object=True),
            WireFormat("stripe", ("stripe",), "test.event"),
            WireFormat("github", ("github",), "test.event"),
            WireFormat("raw", ("standard",), "test.event"),
        )
    }
)


def default_schemes(wire_format: str) -> tuple[str, ...]:
    """Return the signature schemes of a known wire format when none are chosen."""
    return WIRE_FORMATS[wire_format].default_schemes


def default_test_event_type(wire_format: str) -> str:
    """Return the event type of a test in a known wire format when none is chosen."""
    return WIRE_FORMATS[wire_format].test_event_type


def check_wire_format(name: object) -> str:
    """Return the wire format's name, or raise `SettingRefused`."""
    if isinstance(name, str) and name in WIRE_FORMATS:
        return name
    raise SettingRefused(f"The wire format is one of: {', '.join(WIRE_FORMATS)}.")


def check_schemes(names: object) -> tuple[str, ...]:
    """Return the names of the signature schemes to send together, or raise `SettingRefused`.

    At least one: a request without a signature cannot be told from a forged one.
    """
    if not isinstance(names, list | tuple) or not names:
        raise SettingRefused("List at least one signature scheme.")
    chosen: dict[str, str] = {}
    for name in names:
        header = _check_scheme(name).signature_header
        if header in chosen:
            raise SettingRefused(
                f"The signature schemes {quoted(chosen[header])} and {quoted(name)} use the same "
                f"header, {header}: list one of them, once."
            )
        chosen[header] = name
    return tuple(chosen.values())


def _check_scheme(name: object) -> SignatureScheme:
    if isinstance(name, str) and name in SIGNATURE_SCHEMES:
        return SIGNATURE_SCHEMES[name]
    raise SettingRefused(f"Signature schemes are: {', '.join(SIGNATURE_SCHEMES)}.")
