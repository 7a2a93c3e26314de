"""What a worker remembers of subscriptions is never older than its claim."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction
from django.utils import timezone

from deliveries.publishing.ingest import publish
from deliveries.sending.known_snapshots import KnownSnapshots
from deliveries.sending.snapshot import SubscriptionSnapshot
from subscriptions.deactivation import deactivate, reactivate
from subscriptions.models import SigningSecret, Subscription
from subscriptions.secrets.secret_rotation import end_overlap, rotate
from subscriptions.secrets.signing_secrets import add_secret
from tests.deliveries.sending.results import claim_all
from tests.factories import make_project, make_subscription
from tests.queries import counted_queries

pytestmark = [pytest.mark.postgres, pytest.mark.django_db(transaction=True)]

SECRET = "whsec_" + "QUJD" * 10 + "QQ=="


def claimed(subscription: Subscription) -> SubscriptionSnapshot:
    publish(project=subscription.project, event_type="Task.update", data={})
    return claim_all().snapshots[subscription.id]


def change(**fields: Any) -> Callable[[Subscription], object]:
    return lambda subscription: Subscription.objects.filter(pk=subscription.pk).update(**fields)


def sign_with_default(subscription: Subscription) -> None:
    add_secret(subscription.project, SECRET)
    change(uses_default_secret=True)(subscription)


CHANGES: dict[str, Callable[[Subscription], object]] = {
    "url": change(url="http://127.0.0.1:9/other"),
    "wire_format": change(wire_format="raw"),
    "repsona_fields": change(repsona_fields=True),
    "signature_schemes": change(signature_schemes=["github"]),
    "retry_schedule": change(retry_schedule=[60]),
    "generation": lambda subscription: deactivate(subscription) and reactivate(subscription),
    "custom_headers": change(custom_headers={"X-Tenant": "7"}),
    "secrets": lambda subscription: rotate(subscription, secret=SECRET),
}


@pytest.mark.parametrize("field", CHANGES)
def test_a_change_is_seen_by_the_next_claim(field: str) -> None:
    subscription = make_subscription()
    before = claimed(subscription)
    assert claimed(subscription) == before

    CHANGES[field](subscription)

    assert getattr(claimed(subscription), field) != getattr(before, field)


def test_secrets_that_expire_are_read_each_time() -> None:
    subscription = make_subscription()
    rotate(subscription, secret=SECRET)
    both = claimed(subscription).secrets
    assert len(both) == 2

    # Time passes, and nobody changes anything: the row is put back by the clock only.
    with transaction.atomic():
        old = SigningSecret.objects.exclude(expires_at=None)
        old.update(expires_at=timezone.now() + timedelta(seconds=2))
    assert claimed(subscription).secrets == both
    while timezone.now() <= old.get().expires_at:  # type: ignore[operator]  # it has one
        time.sleep(0.02)
    assert claimed(subscription).secrets == both[:1]


def test_the_end_of_an_overlap_is_seen_by_the_next_claim() -> None:
    subscription = make_subscription()
    rotate(subscription, secret=SECRET)
    claimed(subscription)

    end_overlap(subscription)

    assert claimed(subscription).secrets == (SECRET,)


def test_a_project_s_default_secret_is_followed() -> None:
    subscription = make_subscription()
    sign_with_default(subscription)
    assert claimed(subscription).secrets == (SECRET,)

    other = SECRET.replace("QUJD", "RUZH")
    rotate(subscription.project, secret=other)

    assert claimed(subscription).secrets[0] == other


def test_a_secret_that_is_deleted_by_hand_signs_no_more() -> None:
    subscription = make_subscription()
    claimed(subscription)

    SigningSecret.objects.filter(subscription=subscription).delete()

    assert claimed(subscription).secrets == ()


def test_what_stands_is_not_read_again_whatever_its_health() -> None:
    known = KnownSnapshots()
    subscription = make_subscription()
    project_of = {subscription.id: subscription.project_id}
    first = known.find(project_of)
    Subscription.objects.update(failure_streak=3, last_error="Your server answered 500.")

    with counted_queries() as queries:
        assert known.find(project_of) == first

    assert len(queries) == 1, "the project's revision"


def test_no_more_are_kept_than_allowed() -> None:
    known = KnownSnapshots(kept_at_most=2)
    project = make_project()
    ids = [make_subscription(project=project).id for _ in range(3)]
    everyone = dict.fromkeys(ids, project.pk)
    assert known.find(everyone).keys() == set(ids)

    with counted_queries() as queries:
        assert known.find(everyone).keys() == set(ids)

    assert len(queries) == 3, "revisions, and the one that made place with its secrets"
