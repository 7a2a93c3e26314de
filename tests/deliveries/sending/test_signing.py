"""Signatures verify with tools that this project did not write."""

from __future__ import annotations

import base64
import json
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
import standardwebhooks
import stripe
from msgspec.structs import replace

from deliveries.sending.signing import SCHEMES, NotSignable, ToSign, sign
from subscriptions.secrets.secret_format import generate_secret
from subscriptions.wire_formats import SIGNATURE_SCHEMES

VECTORS: list[dict[str, Any]] = json.loads(
    (Path(__file__).parent.parent / "data" / "signatures.json").read_text()
)

WHSEC_OLD = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
WHSEC_NEW = "whsec_ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8="
PLAIN_NEW, PLAIN_OLD = "3b1f9a6c0c2e4d7f8a5b", "合言葉は秘密です"

BODY = '{"type":"Task.update","data":{"名前":"タスク 😀"}}'.encode()


def scheme_of(vector: dict[str, Any]) -> str:
    return "-".join([vector["scheme"], *filter(None, [vector.get("variant")])])


def request(*secrets: str, body: bytes = BODY) -> ToSign:
    return ToSign(
        message_id="evt_0192b0a8f0",
        timestamp=int(time.time()),
        event_type="Task.update",
        body=body,
        secrets=secrets,
    )


def openssl_hmac(secret: str, content: bytes) -> bytes:
    command = ["openssl", "dgst", "-sha256", "-hmac", secret, "-binary"]
    return subprocess.run(command, input=content, capture_output=True, check=True).stdout


@pytest.mark.parametrize("vector", VECTORS, ids=scheme_of)
def test_signatures_agree_with_the_published_vectors(vector: dict[str, Any]) -> None:
    to_sign = ToSign(
        message_id=vector.get("message_id", "evt_1"),
        timestamp=vector["timestamp"],
        event_type=vector["headers"].get("X-PhraseApp-Event", "Task.update"),
        body=vector["body"].encode(),
        secrets=tuple(vector.get("secrets") or [vector["secret"]]),
    )

    signed = dict(sign([scheme_of(vector)], to_sign))

    assert {name: signed[name] for name in vector["headers"]} == vector["headers"]


def test_every_scheme_has_a_vector_and_a_row_that_names_its_header() -> None:
    assert {scheme_of(vector) for vector in VECTORS} == set(SCHEMES)
    assert list(SCHEMES) == list(SIGNATURE_SCHEMES)
    for name, row in SIGNATURE_SCHEMES.items():
        assert row.signature_header in dict(sign([name], request(WHSEC_NEW)))


@pytest.mark.parametrize("body", [b"", b"{}", BODY, bytes(range(32, 127)) * 2_000])
def test_openssl_agrees_with_every_scheme_that_takes_a_text_secret(body: bytes) -> None:
    for secret in (PLAIN_NEW, PLAIN_OLD, generate_secret()):
        to_sign = request(secret, body=body)
        t = to_sign.timestamp
        plain = openssl_hmac(secret, body)
        timed = openssl_hmac(secret, f"{t}.".encode() + body)

        signed = dict(sign(["repsona", "stripe", "phrase", "github"], to_sign))

        assert signed["Repsona-Signature"] == f"t={t},s={timed.hex()}"
        assert signed["Stripe-Signature"] == f"t={t},v1={timed.hex()}"
        assert signed["X-PhraseApp-Signature"] == base64.b64encode(plain).decode()
        assert len(signed["X-PhraseApp-Signature"]) == 44
        assert signed["X-Hub-Signature-256"] == f"sha256={plain.hex()}"
        hex_variant = dict(sign(["phrase-hex"], to_sign))
        assert hex_variant["X-PhraseApp-Signature"] == plain.hex()


@pytest.mark.parametrize("receivers_secret", [WHSEC_OLD, WHSEC_NEW])
def test_the_official_standard_library_verifies_with_either_live_secret(
    receivers_secret: str,
) -> None:
    headers = dict(sign(["standard"], request(WHSEC_NEW, WHSEC_OLD)))

    verified = standardwebhooks.Webhook(receivers_secret).verify(BODY, headers)

    assert verified == json.loads(BODY)


@pytest.mark.parametrize("changed", ["message_id", "body", "secrets"])
def test_the_official_standard_library_refuses_what_was_changed(changed: str) -> None:
    to_sign = request(WHSEC_NEW)
    other: dict[str, Any] = {"message_id": "evt_2", "body": b"{}", "secrets": (WHSEC_OLD,)}
    headers = dict(sign(["standard"], replace(to_sign, **{changed: other[changed]})))
    headers["webhook-id"] = to_sign.message_id

    with pytest.raises(standardwebhooks.WebhookVerificationError):
        standardwebhooks.Webhook(WHSEC_NEW).verify(BODY, headers)


@pytest.mark.parametrize("receivers_secret", [PLAIN_OLD, PLAIN_NEW])
def test_the_official_stripe_library_verifies_with_either_live_secret(
    receivers_secret: str,
) -> None:
    header = dict(sign(["stripe"], request(PLAIN_NEW, PLAIN_OLD)))["Stripe-Signature"]

    event = stripe.Webhook.construct_event(BODY, header, receivers_secret)

    assert event["type"] == "Task.update"
    with pytest.raises(stripe.SignatureVerificationError):
        stripe.WebhookSignature.verify_header(BODY.decode(), header, "whsec_other", 300)


@pytest.mark.parametrize("scheme", ["repsona", "phrase", "phrase-hex", "github"])
def test_a_scheme_with_room_for_one_signature_uses_the_newest_secret(scheme: str) -> None:
    both = request(PLAIN_NEW, PLAIN_OLD)

    assert sign([scheme], both) == sign([scheme], replace(both, secrets=(PLAIN_NEW,)))


def test_standard_leaves_out_a_live_secret_that_it_never_could_use() -> None:
    """After `standard` was added to a subscription whose old secret is still live."""
    mixed = request(WHSEC_NEW, PLAIN_OLD)

    assert sign(["standard"], mixed) == sign(["standard"], replace(mixed, secrets=(WHSEC_NEW,)))


@pytest.mark.parametrize("count", [1, 2, 5])
def test_standard_entries_have_one_space_between_and_a_comma_each(count: int) -> None:
    secrets = [generate_secret() for _ in range(count)]

    value = dict(sign(["standard"], request(*secrets)))["webhook-signature"]

    entries = value.split(" ")
    assert len(entries) == count
    assert all(entry.startswith("v1,") and len(entry) == 3 + 44 for entry in entries)


def test_several_schemes_are_sent_together_in_their_order() -> None:
    headers = sign(["github", "standard", "phrase", "stripe"], request(WHSEC_NEW))

    assert [name for name, _ in headers] == [
        "X-GitHub-Event",
        "X-GitHub-Delivery",
        "X-Hub-Signature-256",
        "webhook-id",
        "webhook-timestamp",
        "webhook-signature",
        "X-PhraseApp-Event",
        "X-PhraseApp-Signature",
        "Stripe-Signature",
    ]


@pytest.mark.parametrize(
    ("schemes", "secrets"),
    [
        (["standard"], []),
        (["repsona"], []),
        (["unknown"], [WHSEC_NEW]),
        (["standard"], [PLAIN_NEW]),
        (["standard"], ["whsec_\ud800"]),
        (["repsona"], ["half\ud800pair"]),
        (["stripe"], [PLAIN_NEW, "half\ud800pair"]),
        (["phrase"], ["half\ud800pair"]),
    ],
)
def test_what_cannot_be_signed_says_so_without_the_secret(
    schemes: list[str], secrets: list[str]
) -> None:
    with pytest.raises(NotSignable) as caught:
        sign(schemes, request(*secrets))

    assert not any(secret in str(caught.value) for secret in secrets)
