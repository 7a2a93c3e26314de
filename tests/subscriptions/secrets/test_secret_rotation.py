"""Rotating signing secrets: who signs when, for a subscription and for a project's default."""

from __future__ import annotations

from datetime import timedelta
from threading import Barrier, Thread

import pytest
from django.db import IntegrityError, connection
from django.utils import timezone

from deliveries.sending.snapshot import load_snapshots
from deliveries.upkeep.pruning import prune
from subscriptions.field_errors import FieldsRefused
from subscriptions.models import SigningSecret, Subscription
from subscriptions.secrets.secret_format import generate_secret
from subscriptions.secrets.secret_rotation import (
    DEFAULT_OVERLAP_HOURS,
    NoSecret,
    OverlapUnderWay,
    end_overlap,
    reveal,
    rotate,
)
from subscriptions.secrets.signing_secrets import reveal_newest
from tests.factories import make_project, make_subscription

pytestmark = pytest.mark.django_db


def signing(subscription: Subscription) -> tuple[str, ...]:
    """The secrets that the sender would sign with now, newest first."""
    return load_snapshots([subscription.id])[subscription.id].secrets


def let_overlap_pass() -> None:
    SigningSecret.objects.exclude(expires_at=None).update(
        expires_at=timezone.now() - timedelta(seconds=1)
    )


def test_both_secrets_sign_for_a_day_and_then_the_new_one_alone() -> None:
    subscription = make_subscription()
    old = reveal_newest(subscription)

    state = rotate(subscription)

    assert state.secret != old
    assert signing(subscription) == (state.secret, old)
    assert state.previous is not None
    assert state.previous.hint == f"…{old[-4:]}"
    left = state.previous.expires_at - timezone.now()
    assert abs(left - timedelta(hours=DEFAULT_OVERLAP_HOURS)) < timedelta(minutes=1)
    let_overlap_pass()
    assert signing(subscription) == (state.secret,)
    assert reveal(subscription).previous is None


def test_a_leaked_secret_signs_no_more_when_there_is_no_overlap() -> None:
    subscription = make_subscription()

    state = rotate(subscription, overlap_hours=0)

    assert state.previous is None
    assert signing(subscription) == (state.secret,)
    assert SigningSecret.objects.count() == 1


def test_a_secret_of_ones_own_choice_is_taken_and_checked() -> None:
    subscription = make_subscription(wire_format="github")
    assert rotate(subscription, secret="a secret of mine").secret == "a secret of mine"

    other = make_subscription()
    before = signing(other)
    with pytest.raises(FieldsRefused, match="standard"):
        rotate(other, secret="a secret of mine")
    assert signing(other) == before


def test_there_are_never_three() -> None:
    subscription = make_subscription()
    state = rotate(subscription)

    with pytest.raises(OverlapUnderWay):
        rotate(subscription)
    assert signing(subscription)[0] == state.secret
    at_once = rotate(subscription, overlap_hours=0)
    assert signing(subscription) == (at_once.secret,)


def test_an_overlap_that_is_over_does_not_hinder_the_next_rotation() -> None:
    subscription = make_subscription()
    second = rotate(subscription).secret
    let_overlap_pass()

    third = rotate(subscription).secret

    assert signing(subscription) == (third, second)
    assert SigningSecret.objects.count() == 2


def test_an_overlap_can_be_ended_early() -> None:
    subscription = make_subscription()
    state = rotate(subscription)

    assert end_overlap(subscription).previous is None

    assert signing(subscription) == (state.secret,)
    assert end_overlap(subscription).secret == state.secret


def test_another_subscription_is_not_touched() -> None:
    project = make_project()
    mine, other = (make_subscription(project=project) for _ in range(2))
    before = signing(other)

    rotate(mine, overlap_hours=0)
    end_overlap(mine)

    assert signing(other) == before


def test_the_default_secret_signs_for_those_that_ask_for_it() -> None:
    project = make_project()
    own = make_subscription(project=project)
    using = make_subscription(project=project, uses_default_secret=True)
    with pytest.raises(NoSecret):
        reveal(project)

    first = rotate(project)
    second = rotate(project)

    assert first.previous is None
    assert signing(using) == (second.secret, first.secret)
    assert signing(own) == (reveal_newest(own),)


def test_a_default_secret_must_suit_all_schemes_that_use_it() -> None:
    project = make_project()
    rotate(project, secret="a verification token")
    make_subscription(project=project, wire_format="phrase", uses_default_secret=True)
    rotate(project, secret="another verification token", overlap_hours=0)
    make_subscription(project=project, wire_format="standard", uses_default_secret=True)

    with pytest.raises(FieldsRefused, match="standard"):
        rotate(project, secret="a third verification token", overlap_hours=0)
    assert reveal(project).secret == "another verification token"


def test_a_deleted_subscription_has_no_say_in_the_default_secret() -> None:
    project = make_project()
    make_subscription(
        project=project, uses_default_secret=True, is_active=False, deleted_at=timezone.now()
    )
    assert rotate(project, secret="a verification token").secret == "a verification token"


def test_what_signs_no_more_is_forgotten_by_pruning() -> None:
    subscription = make_subscription()
    state = rotate(subscription)
    prune()
    assert SigningSecret.objects.count() == 2

    let_overlap_pass()
    prune()

    assert SigningSecret.objects.count() == 1
    assert signing(subscription) == (state.secret,)


def test_a_secret_has_exactly_one_owner() -> None:
    subscription = make_subscription()
    with pytest.raises(IntegrityError):
        SigningSecret.objects.create(
            subscription=subscription, project=subscription.project, ciphertext=generate_secret()
        )


@pytest.mark.django_db(transaction=True)
def test_of_rotations_at_the_same_time_one_succeeds() -> None:
    subscription = make_subscription()
    barrier = Barrier(4)
    results: list[object] = []

    def run() -> None:
        barrier.wait()
        try:
            results.append(rotate(subscription).secret)
        except OverlapUnderWay:
            results.append(None)
        finally:
            connection.close()

    threads = [Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    (new,) = [secret for secret in results if secret]
    assert signing(subscription)[0] == new
    assert SigningSecret.objects.count() == 2
