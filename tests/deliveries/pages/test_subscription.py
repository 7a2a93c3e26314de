"""The page of one subscription: what it shows to whom, switching it on and off."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from deliveries.costly_requests import FIGURES, turn
from deliveries.models import Delivery
from subscriptions.ids import to_public
from subscriptions.models import Member, Project, Subscription
from tests.deliveries.history_rows import add_delivery, prepare_days
from tests.factories import make_project, make_subscription

pytestmark = pytest.mark.django_db

EVIL = '<script>alert("1")</script>'
HTMX = {"HX-Request": "true"}


def signed_in(project: Project, role: str = "editor") -> Client:
    """A member of this role, in a browser."""
    user = get_user_model().objects.create_user(f"{role}-{project.slug}")
    Member.objects.create(project=project, user=user, role=role)
    client = Client()
    client.force_login(user)
    return client


def address(subscription: Subscription, rest: str = "") -> str:
    identifier = to_public("sub", subscription.id)
    return f"/projects/{subscription.project.slug}/subscriptions/{identifier}{rest}"


def page(subscription: Subscription, role: str = "editor") -> str:
    response = signed_in(subscription.project, role).get(address(subscription))
    assert response.status_code == 200
    return response.content.decode()


def fail(subscription: Subscription, times: int = 10, **fields: Any) -> list[Delivery]:
    """Deliveries that failed, and the subscription switched off for it."""
    now = timezone.now()
    failed = [
        add_delivery(
            subscription,
            now - timedelta(minutes=times - number),
            status="failed",
            durations_ms=(5,),
            **fields,
        )
        for number in range(times)
    ]
    Subscription.objects.filter(id=subscription.id).update(
        is_active=False,
        deactivated_at=now,
        deactivation_reason="failures",
        failure_streak=10,
        generation=2,
    )
    subscription.refresh_from_db()
    return failed


def test_the_page_shows_the_settings_and_masks_custom_headers() -> None:
    subscription = make_subscription(
        description="Orders for the shop",
        custom_headers={"X-Key": "a-long-credential-9876"},
        metadata={"team": "billing"},
        retry_schedule=[5, 300, 7200],
        event_types=["order.*"],
    )

    shown = page(subscription, "viewer")

    for text in (subscription.url, "Orders for the shop", "order.*", "5 s, 5 min, 2 h", "billing",
                 "X-Key: …9876"):  # fmt: skip
        assert text in shown
    assert "a-long-credential" not in shown


def test_hostile_text_is_escaped() -> None:
    shown = page(make_subscription(description=EVIL, metadata={EVIL: EVIL}))

    assert EVIL not in shown
    assert "&lt;script&gt;" in shown


def test_who_may_only_look_is_offered_no_change() -> None:
    subscription = make_subscription()

    assert 'method="post"' not in page(subscription, "viewer").partition('id="content"')[2]
    assert "/deactivate" in page(subscription, "editor")


def test_another_projects_subscription_is_not_found() -> None:
    subscription = make_subscription()
    stranger = signed_in(make_project())
    own = make_subscription(project=make_project())
    member = signed_in(own.project)
    crossed = address(subscription).replace(subscription.project.slug, own.project.slug)

    assert stranger.get(address(subscription)).status_code == 404
    assert member.get(crossed).status_code == 404
    assert member.get(f"/projects/{own.project.slug}/subscriptions/nonsense").status_code == 404


def test_who_is_signed_out_is_led_to_the_sign_in() -> None:
    response = Client().get(address(make_subscription()))

    assert response.status_code == 302
    assert "sign-in" in response["Location"]


def test_the_latest_ten_deliveries_link_to_their_pages() -> None:
    subscription = make_subscription()
    now = timezone.now()
    made = [add_delivery(subscription, now - timedelta(minutes=n)) for n in range(12)]

    shown = page(subscription)

    links = [to_public("dlv", delivery.id) in shown for delivery in made]
    assert links == [True] * 10 + [False] * 2
    assert f"deliveries?subscription={to_public('sub', subscription.id)}" in shown


def test_the_page_takes_as_many_queries_however_much_there_is() -> None:
    little, much = make_subscription(), make_subscription()
    fail(little, times=1)
    fail(much, times=30)
    counts = []
    for subscription in (little, much):
        client = signed_in(subscription.project)
        client.get(address(subscription))
        with CaptureQueriesContext(
            connection,
        ) as queries:
            client.get(address(subscription))
        counts.append(len(queries))

    assert counts[0] == counts[1]
    assert counts[1] <= 14


# ---- Figures --------------------------------------------------------------------------------


def test_figures_come_by_themselves_and_count_what_was_sent() -> None:
    subscription = make_subscription()
    now = timezone.now()
    prepare_days(now - timedelta(days=3))
    for status in ("succeeded", "succeeded", "succeeded", "failed"):
        add_delivery(subscription, now - timedelta(hours=1), status=status, durations_ms=(20,))
    add_delivery(subscription, now - timedelta(days=3), durations_ms=(20,))
    client = signed_in(subscription.project, "viewer")

    day = client.get(address(subscription, "/figures"), headers=HTMX).content.decode()
    week = client.get(address(subscription, "/figures?days=7"), headers=HTMX).content.decode()

    assert 'hx-trigger="load"' in page(subscription)
    assert "75 %" in day
    assert "80 %" in week
    assert "status 500" in day
    assert "<html" not in day


def test_without_scripts_the_figures_are_on_the_page() -> None:
    subscription = make_subscription()
    add_delivery(subscription, timezone.now() - timedelta(hours=1))

    shown = signed_in(subscription.project).get(address(subscription, "/figures")).content.decode()

    assert "100 %" in shown
    assert "<html" in shown


def test_figures_wait_for_their_projects_turn() -> None:
    subscription = make_subscription()
    with turn(subscription.project, FIGURES):
        response = signed_in(subscription.project).get(
            address(subscription, "/figures"), headers=HTMX
        )

    assert response.status_code == 200
    assert "Try again in" in response.content.decode()


# ---- On and off -----------------------------------------------------------------------------


def test_an_editor_switches_off_and_what_waits_is_cancelled(
    django_capture_on_commit_callbacks: Any,
) -> None:
    subscription = make_subscription()
    waiting = add_delivery(subscription, timezone.now(), status="pending")
    client = signed_in(subscription.project)

    with django_capture_on_commit_callbacks(execute=True):
        response = client.post(address(subscription, "/deactivate"))

    waiting.refresh_from_db()
    subscription.refresh_from_db()
    assert response["Location"] == address(subscription)
    assert not subscription.is_active
    assert waiting.status == "cancelled"
    assert "is inactive" in client.get(address(subscription)).content.decode()


def test_an_editor_switches_on() -> None:
    subscription = make_subscription(is_active=False)

    signed_in(subscription.project).post(address(subscription, "/activate"))

    subscription.refresh_from_db()
    assert subscription.is_active


@pytest.mark.parametrize("rest", ["/activate", "/deactivate"])
def test_a_viewer_switches_nothing_and_a_link_neither(rest: str) -> None:
    subscription = make_subscription()

    assert (
        signed_in(subscription.project, "viewer").post(address(subscription, rest)).status_code
        == 403
    )
    assert signed_in(subscription.project).get(address(subscription, rest)).status_code == 405
    subscription.refresh_from_db()
    assert subscription.is_active


# ---- Deactivated ----------------------------------------------------------------------------


def test_the_banner_says_why_and_what_to_do() -> None:
    subscription = make_subscription()
    failed = fail(subscription, last_status_code=401)

    shown = page(subscription)

    assert "Too many deliveries failed in a row." in shown
    assert "127.0.0.1 answered with status 401, 10 times in a row." in shown
    assert f"signature-debugger?subscription={to_public('sub', subscription.id)}" in shown
    banner = shown.partition('id="deactivated"')[2].partition("</section>")[0]
    assert all(to_public("dlv", delivery.id) in banner for delivery in failed)
    assert "Reactivate" in banner
    assert 'href="#test"' in banner


def test_of_many_failures_only_those_that_led_to_it_are_listed() -> None:
    subscription = make_subscription()
    failed = fail(subscription, times=12)

    banner = page(subscription).partition('id="deactivated"')[2].partition("</section>")[0]

    listed = [to_public("dlv", delivery.id) in banner for delivery in failed]
    assert listed == [False] * 2 + [True] * 10


def test_a_timeout_does_not_lead_to_the_signature_debugger() -> None:
    subscription = make_subscription()
    fail(subscription, outcome="timeout")

    banner = page(subscription).partition('id="deactivated"')[2].partition("</section>")[0]

    assert "did not answer in time" in banner
    assert "signature-debugger" not in banner


def test_what_was_switched_off_by_hand_blames_nobody() -> None:
    subscription = make_subscription(is_active=False, deactivation_reason="by_hand")
    add_delivery(subscription, timezone.now() - timedelta(hours=1), status="failed")

    shown = page(subscription)

    assert "switched off by a member" in shown
    assert "The delivery that failed" not in shown
