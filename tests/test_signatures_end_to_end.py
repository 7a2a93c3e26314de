"""Signatures as they arrive, judged by libraries that this project did not write.

Python's judges always; those from npm where `make judges` has installed them.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import stripe
from gidgethub import ValidationFailure
from gidgethub.sansio import validate_event
from standardwebhooks import Webhook, WebhookVerificationError

from deliveries.models import Delivery
from deliveries.publishing.ingest import publish
from dispatcher.chaos.threaded_server import KEEP, Connection, Received, ThreadedServer
from subscriptions.models import Subscription
from subscriptions.secrets.secret_rotation import end_overlap, rotate
from subscriptions.secrets.signing_secrets import reveal_newest
from tests.factories import make_project, make_subscription
from tests.workers import allow_loopback, eventually, sending

pytestmark = pytest.mark.django_db(transaction=True)

THREE_SCHEMES = ["standard", "stripe", "github"]
DATA = {"id": 20004, "名前": "タスク", "text": "</script> \u2028 \\ /"}
JUDGES = Path(__file__).parent / "judges"


def accept(connection: Connection) -> bool:
    connection.send(b"HTTP/1.1 204 No Content\r\n\r\n")
    return KEEP


@pytest.fixture
def receiver(settings: object) -> Iterator[ThreadedServer]:
    allow_loopback(settings)
    server = ThreadedServer({"accept": accept})
    yield server
    server.close()


def deliver(subscription: Subscription, receiver: ThreadedServer) -> Received:
    """Publish an event, and return the one request that came of it."""
    before = len(receiver.requests)
    publish(project=subscription.project, event_type="Task.update", data=DATA)
    with sending():
        eventually(lambda: not Delivery.objects.filter(next_attempt_at__isnull=False).exists())
    (request,) = receiver.requests[before:]
    return request


def verifies_as_standard(request: Received, secret: str) -> bool:
    try:
        Webhook(secret).verify(request.body, request.headers)
    except WebhookVerificationError:
        return False
    return True


def verifies_as_stripe(request: Received, secret: str) -> bool:
    text, header = request.body.decode(), request.headers["stripe-signature"]
    try:
        stripe.WebhookSignature.verify_header(text, header, secret, tolerance=300)
    except stripe.SignatureVerificationError:
        return False
    return True


def verifies_as_github(request: Received, secret: str) -> bool:
    signature = request.headers["x-hub-signature-256"]
    try:
        validate_event(request.body, signature=signature, secret=secret)
    except ValidationFailure:
        return False
    return True


def test_one_request_satisfies_receivers_of_three_schemes(receiver: ThreadedServer) -> None:
    subscription = make_subscription(
        url=f"{receiver.origin}/accept", signature_schemes=THREE_SCHEMES
    )
    secret, other = reveal_newest(subscription), "whsec_" + "A" * 43 + "="

    request = deliver(subscription, receiver)

    for verifies in (verifies_as_standard, verifies_as_stripe, verifies_as_github):
        assert verifies(request, secret), verifies
        assert not verifies(request, other), verifies
    assert request.headers["x-github-event"] == "Task.update"
    assert request.headers["x-github-delivery"] == request.headers["webhook-id"]
    assert json.loads(request.body)["data"] == DATA


@pytest.mark.parametrize("wire_format", ["stripe", "github"])
def test_the_formats_of_stripe_and_github_arrive_and_verify(
    receiver: ThreadedServer, wire_format: str
) -> None:
    subscription = make_subscription(url=f"{receiver.origin}/accept", wire_format=wire_format)
    secret = reveal_newest(subscription)

    request = deliver(subscription, receiver)

    if wire_format == "stripe":
        assert verifies_as_stripe(request, secret)
        assert list(json.loads(request.body)) == ["type", "timestamp", "data"]
    else:
        assert verifies_as_github(request, secret)
        assert json.loads(request.body) == DATA


def test_while_a_secret_is_rotated_the_old_and_the_new_both_verify(
    receiver: ThreadedServer,
) -> None:
    subscription = make_subscription(
        url=f"{receiver.origin}/accept", signature_schemes=THREE_SCHEMES
    )
    old = reveal_newest(subscription)
    new = rotate(subscription).secret

    during = deliver(subscription, receiver)
    end_overlap(subscription)
    afterwards = deliver(subscription, receiver)

    for verifies in (verifies_as_standard, verifies_as_stripe):
        assert verifies(during, old), verifies
        assert verifies(during, new), verifies
    assert verifies_as_github(during, new)  # its header has room for one
    assert not verifies_as_github(during, old)
    for verifies in (verifies_as_standard, verifies_as_stripe, verifies_as_github):
        assert not verifies(afterwards, old), verifies
        assert verifies(afterwards, new), verifies


def test_the_project_default_secret_signs(receiver: ThreadedServer) -> None:
    project = make_project()
    rotate(project, secret="a verification token")
    subscription = make_subscription(
        project=project,
        url=f"{receiver.origin}/accept",
        wire_format="github",
        uses_default_secret=True,
    )

    request = deliver(subscription, receiver)

    assert verifies_as_github(request, "a verification token")
    assert not verifies_as_github(request, reveal_newest(subscription))


def test_repsona_fields_stand_at_the_top_of_the_body(receiver: ThreadedServer) -> None:
    subscription = make_subscription(
        url=f"{receiver.origin}/accept", wire_format="repsona", repsona_fields=True
    )
    publish(
        project=subscription.project, event_type="Task.update", data={"task": {"id": 2, "n": 1}}
    )
    with sending():
        eventually(lambda: len(receiver.requests) == 1)

    assert json.loads(receiver.requests[0].body) == {
        "type": "Task.update",
        "model": "Task",
        "modelId": 2,
        "action": "update",
        "event": {"task": {"id": 2, "n": 1}},
    }


@pytest.mark.skipif(
    not (JUDGES / "node_modules").is_dir() or shutil.which("node") is None,
    reason="needs Node.js and the libraries that `make judges` installs",
)
def test_the_verifiers_of_other_languages_agree(receiver: ThreadedServer) -> None:
    subscription = make_subscription(
        url=f"{receiver.origin}/accept", signature_schemes=THREE_SCHEMES
    )
    old = reveal_newest(subscription)
    new = rotate(subscription).secret
    request = deliver(subscription, receiver)

    secrets = {"old": old, "new": new, "other": "whsec_" + "A" * 44}
    question = {"body": request.body.decode(), "headers": request.headers, "secrets": secrets}
    asked = json.dumps(question)
    judged = subprocess.run(
        ["node", "judge.mjs"], cwd=JUDGES, input=asked, capture_output=True, text=True, check=True
    )

    assert json.loads(judged.stdout) == {
        "standardwebhooks": {"old": True, "new": True, "other": False},
        "@octokit/webhooks-methods": {"old": False, "new": True, "other": False},
        "stripe": {"old": True, "new": True, "other": False},
    }
