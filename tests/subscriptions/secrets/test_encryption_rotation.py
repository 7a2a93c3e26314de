"""Changing the key that encrypts at rest, beside whoever reads and writes meanwhile."""

from __future__ import annotations

from io import StringIO
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.core.management import call_command
from django.db.models import TextField
from django.db.models.functions import Cast

from deliveries.sending.snapshot import load_snapshots
from subscriptions.models import AuditEntry, EncryptionCanary, SigningSecret, Subscription
from subscriptions.secrets import encryption_canary, encryption_rotation
from subscriptions.secrets.encryption import SecretUnreadable, needs_old_key
from subscriptions.secrets.secret_format import generate_secret
from subscriptions.secrets.secret_rotation import rotate
from subscriptions.secrets.signing_secrets import reveal_newest
from tests.factories import make_project, make_subscription

pytestmark = pytest.mark.django_db

OLD, NEW, OTHER = (Fernet.generate_key().decode() for _ in range(3))
HEADERS = {"Authorization": "Bearer " + "x" * 30}


@pytest.fixture
def subscription(settings: Any) -> Subscription:
    """Everything that is stored encrypted, by the old key."""
    settings.DISPATCHER_ENCRYPTION_KEYS = (OLD,)
    encryption_canary.replace()
    row = make_subscription(custom_headers=HEADERS)
    rotate(row.project)
    return row


def run(*arguments: str, ends_with: int = 0) -> str:
    output = StringIO()
    if ends_with:
        with pytest.raises(SystemExit) as ended:
            call_command("rotate_encryption_key", *arguments, stdout=output)
        assert ended.value.code == ends_with
    else:
        call_command("rotate_encryption_key", *arguments, stdout=output)
    return output.getvalue()


def stored() -> set[str]:
    """All ciphertext that there is."""
    as_stored = Subscription.objects.annotate(stored=Cast("custom_headers", TextField()))
    return {
        *SigningSecret.objects.values_list("ciphertext", flat=True),
        *EncryptionCanary.objects.values_list("token", flat=True),
        *as_stored.values_list("stored", flat=True),
    }


def test_after_a_rotation_the_old_key_can_be_removed(
    subscription: Subscription, settings: Any
) -> None:
    secret = reveal_newest(subscription)
    settings.DISPATCHER_ENCRYPTION_KEYS = (NEW, OLD)
    assert "4 of 4 still need an older key" in run("--check", ends_with=1)

    output = run()

    assert "4 encrypted anew, of 4." in output
    assert "older ones can be removed" in output
    settings.DISPATCHER_ENCRYPTION_KEYS = (NEW,)
    encryption_canary.check_keys()
    assert reveal_newest(subscription) == secret
    assert Subscription.objects.get().custom_headers == HEADERS
    snapshot = load_snapshots([subscription.id])[subscription.id]
    assert (snapshot.secret_error, dict(snapshot.custom_headers)) == ("", HEADERS)
    assert "older ones can be removed" in run("--check")
    entry = AuditEntry.objects.get(action="encryption_key.rotated")
    assert entry.after == {"encrypted_anew": 4, "unreadable": 0, "loss_accepted": False}
    assert entry.actor_kind == "command"


def test_checking_changes_nothing(subscription: Subscription, settings: Any) -> None:
    before = stored()
    settings.DISPATCHER_ENCRYPTION_KEYS = (NEW, OLD)
    run("--check", ends_with=1)
    assert stored() == before
    assert Subscription.objects.get() == subscription


def test_a_rotation_that_was_cut_short_is_simply_begun_again(
    subscription: Subscription, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(5):
        make_subscription(project=subscription.project)
    settings.DISPATCHER_ENCRYPTION_KEYS = (NEW, OLD)
    monkeypatch.setattr(encryption_rotation, "_BATCH", 2)
    places = encryption_rotation._PLACES
    monkeypatch.setattr(encryption_rotation, "_PLACES", places[:1])
    assert encryption_rotation.rotate().encrypted_anew == 1
    monkeypatch.setattr(encryption_rotation, "_PLACES", places)

    found = encryption_rotation.rotate()

    assert found.encrypted_anew == 8  # seven secrets, one map of headers; the canary is done
    assert not any(needs_old_key(token) for token in stored() if token)


@pytest.mark.usefixtures("subscription")
def test_what_a_writer_has_replaced_meanwhile_is_left_alone(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.DISPATCHER_ENCRYPTION_KEYS = (NEW, OLD)
    anew = encryption_rotation._anew

    def while_somebody_writes(ciphertext: str) -> str | None:
        Subscription.objects.update(custom_headers={"X-Team": "billing"})
        return anew(ciphertext)

    monkeypatch.setattr(encryption_rotation, "_anew", while_somebody_writes)
    assert encryption_rotation._encrypt_anew(Subscription, "custom_headers") == 0
    assert Subscription.objects.get().custom_headers == {"X-Team": "billing"}


def test_a_process_that_still_writes_with_the_old_key_is_noticed(
    subscription: Subscription, settings: Any
) -> None:
    settings.DISPATCHER_ENCRYPTION_KEYS = (NEW, OLD)
    run()
    settings.DISPATCHER_ENCRYPTION_KEYS = (OLD, NEW)
    rotate(subscription, secret=generate_secret())
    settings.DISPATCHER_ENCRYPTION_KEYS = (NEW, OLD)
    assert "1 of 5 still need an older key" in run("--check", ends_with=1)


def test_what_no_key_reads_is_named_and_its_loss_can_be_accepted(
    subscription: Subscription, settings: Any
) -> None:
    settings.DISPATCHER_ENCRYPTION_KEYS = (OTHER,)
    output = run(ends_with=1)
    assert "4 cannot be read with any of the keys:" in output
    assert f"signing secret of sub_{subscription.id.hex}" in output
    assert f"signing secret of {subscription.project.slug}" in output
    assert f"custom headers of sub_{subscription.id.hex}" in output
    with pytest.raises(encryption_canary.WrongKeys):
        encryption_canary.check_keys()

    run("--accept-loss", ends_with=1)

    encryption_canary.check_keys()
    with pytest.raises(SecretUnreadable):
        reveal_newest(subscription)
    rotate(subscription, overlap_hours=0)
    assert reveal_newest(subscription).startswith("whsec_")


def test_an_installation_without_secrets_has_nothing_to_do() -> None:
    make_project()
    assert "older ones can be removed" in run("--check")
