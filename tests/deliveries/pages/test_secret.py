"""The panel of the signing secret: seen once, written down, rotated without a gap."""

from __future__ import annotations

import logging

import pytest

from subscriptions.models import AuditEntry, Subscription
from subscriptions.secrets.secret_format import generate_secret
from subscriptions.secrets.secret_rotation import list_live, rotate
from subscriptions.secrets.signing_secrets import add_secret, reveal_newest
from tests.deliveries.pages.test_subscription import HTMX, address, page, signed_in
from tests.factories import make_project, make_subscription

pytestmark = pytest.mark.django_db


@pytest.fixture
def secret() -> str:
    return generate_secret()


@pytest.fixture
def subscription(secret: str) -> Subscription:
    return make_subscription(secret=secret)


def actions() -> list[str]:
    entries = AuditEntry.objects.filter(action__startswith="secret.").order_by("id")
    return list(entries.values_list("action", flat=True))


def test_the_page_shows_the_end_of_the_secret_only(subscription: Subscription, secret: str) -> None:
    shown = page(subscription, "viewer")

    assert f"…{secret[-4:]}" in shown
    assert secret not in shown
    assert secret[6:] not in shown


@pytest.mark.parametrize("headers", [{}, HTMX])
def test_an_editor_reveals_it_and_that_is_written_down(
    subscription: Subscription,
    secret: str,
    headers: dict[str, str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    response = signed_in(subscription.project).post(
        address(subscription, "/secret/reveal"), headers=headers
    )

    entry = AuditEntry.objects.get(action__startswith="secret.")
    assert secret in response.content.decode().replace("&#x2B;", "+")
    assert "no-store" in response["Cache-Control"]
    assert entry.action == "secret.revealed"
    assert entry.actor_label.startswith("editor-")
    assert secret not in caplog.text


def test_neither_a_viewer_nor_a_link_reveals_it(subscription: Subscription, secret: str) -> None:
    path = address(subscription, "/secret/reveal")
    viewer = signed_in(subscription.project, "viewer").post(path)
    stranger = signed_in(make_project()).post(path)
    link = signed_in(subscription.project).get(path)

    assert [viewer.status_code, stranger.status_code, link.status_code] == [403, 404, 405]
    assert secret not in viewer.content.decode() + stranger.content.decode()
    assert actions() == []


def test_rotating_leads_back_without_showing_the_new_one(
    subscription: Subscription, secret: str
) -> None:
    client = signed_in(subscription.project)
    response = client.post(address(subscription, "/secret/rotate"), {"overlap_hours": "24"})

    live = list_live(subscription)
    shown = client.get(response["Location"]).content.decode()
    assert response.status_code == 302
    assert [one.expires_at is None for one in live] == [True, False]
    assert reveal_newest(subscription) != secret
    assert reveal_newest(subscription) not in shown
    assert "End the overlap now" in shown


def test_with_no_overlap_the_old_one_ends(subscription: Subscription) -> None:
    signed_in(subscription.project).post(
        address(subscription, "/secret/rotate"), {"overlap_hours": "0"}
    )

    assert len(list_live(subscription)) == 1


@pytest.mark.parametrize("hours", ["", "-1", "169", "1.5", "abc", "٢٤", "9" * 5000])
def test_other_hours_are_refused_at_the_field(
    subscription: Subscription, secret: str, hours: str
) -> None:
    response = signed_in(subscription.project).post(
        address(subscription, "/secret/rotate"), {"overlap_hours": hours}
    )

    shown = response.content.decode()
    assert response.status_code == 422
    assert 'aria-describedby="overlap-hours-help overlap-hours-error" aria-invalid="true"' in shown
    assert reveal_newest(subscription) == secret


def test_a_third_secret_is_refused_while_two_sign(subscription: Subscription) -> None:
    rotate(subscription)

    response = signed_in(subscription.project).post(
        address(subscription, "/secret/rotate"), {"overlap_hours": "24"}
    )

    assert response.status_code == 422
    assert "End the overlap first" in response.content.decode()


def test_the_overlap_is_ended(subscription: Subscription, secret: str) -> None:
    rotate(subscription)

    signed_in(subscription.project).post(address(subscription, "/secret/end-overlap"))

    assert len(list_live(subscription)) == 1
    assert reveal_newest(subscription) != secret
    assert actions() == ["secret.rotated", "secret.expired"]


@pytest.mark.parametrize("rest", ["reveal", "rotate", "end-overlap"])
def test_a_default_secret_is_not_the_subscriptions_to_show_or_change(rest: str) -> None:
    subscription = make_subscription(uses_default_secret=True)
    default = generate_secret()
    add_secret(subscription.project, default)
    client = signed_in(subscription.project)

    response = client.post(address(subscription, f"/secret/{rest}"), {"overlap_hours": "0"})

    shown = client.get(address(subscription)).content.decode()
    assert response["Location"] == address(subscription)
    assert "default secret signs" in shown
    assert "secret/reveal" not in shown
    assert default not in shown
    assert actions() == []


def test_what_cannot_be_read_is_said(subscription: Subscription) -> None:
    subscription.signing_secrets.update(ciphertext="nonsense")
    client = signed_in(subscription.project)

    client.post(address(subscription, "/secret/reveal"))

    shown = client.get(address(subscription)).content.decode()
    assert "The secret cannot be read" in shown
