"""A receiver fails until its subscription is off: understood, repaired, and nothing is missing."""

from __future__ import annotations

import re
from dataclasses import dataclass

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import LANGUAGES, Visit, check_language
from tests.browser.site import Answering, Site

pytestmark = pytest.mark.sqlite


@LANGUAGES
def test_a_deactivated_subscription_says_why_and_is_sent_what_it_missed(
    visit: Visit, site: Site, receiver: Answering, language: str
) -> None:
    event_type = f"order.paid.{language}"
    subscription = site.deactivated(receiver, event_type)
    for number in range(3):
        site.publish(event_type, missed=number)
    page = visit("editor", f"subscriptions/{subscription}", language=language)
    check_language(page, language)
    banner = page.locator("section[aria-labelledby=deactivated]")
    expect(banner).to_contain_text("500")
    banner.locator("summary").click()
    expect(banner.locator("tbody tr")).to_have_count(10)
    if language == "en":
        expect(banner).to_contain_text("Too many deliveries failed in a row.")
        expect(banner).to_contain_text("answered with status 500, 10 times in a row.")
    receiver.status = 200
    banner.locator("a[href='#test']").click()
    page.locator("#test-send").click()
    expect(page.locator("#test-result .heading .state.good")).to_be_visible()
    send = page.locator("form[action$='/missed'] button")
    expect(send).to_contain_text("3")
    send.click()
    _sees_it_done(page)
    expect(banner).to_have_count(0)
    check_language(page, language)
    missed = [body["data"]["missed"] for body in receiver.bodies if "missed" in body["data"]]
    assert sorted(missed) == [0, 1, 2]


def test_what_was_missed_is_offered_after_a_reactivation_too(
    visit: Visit, site: Site, receiver: Answering
) -> None:
    subscription = site.deactivated(receiver, "order.cancelled")
    site.publish("order.cancelled", missed=0)
    receiver.status = 200
    page = visit("editor", f"subscriptions/{subscription}")
    page.locator("form[action$='/activate'] button").click()
    expect(page.locator(".heading .state").first).to_have_text("Active")
    page.locator("form[action$='/missed'] button").click()
    _sees_it_done(page)
    assert receiver.bodies[-1]["data"] == {"missed": 0}


@dataclass
class _Hand:
    """Counts what it clicks."""

    clicks: int = 0

    def click(self, target: Locator) -> None:
        target.click()
        self.clicks += 1


CLICKS = 8
"""From the first page to the last missed event, the failures of the receiver understood."""


def test_following_only_the_pages_it_takes_few_clicks_from_nothing_to_recovered(
    visit: Visit, site: Site, receiver: Answering
) -> None:
    hand, event_type = _Hand(), "followed.through"
    page = visit("editor")
    hand.click(page.get_by_role("link", name="Subscriptions", exact=True))
    hand.click(page.get_by_role("link", name="Add a subscription"))
    page.get_by_label("URL", exact=True).fill(receiver.url)
    page.get_by_label("Event types", exact=True).fill(event_type)
    hand.click(page.get_by_role("button", name="Add the subscription"))
    hand.click(page.get_by_role("button", name="Send test"))
    expect(page.locator("#test-result .heading .state.good")).to_be_visible()
    receiver.status = 401
    for number in range(10):
        site.delivered(event_type, number=number)
    for number in range(2):
        site.publish(event_type, missed=number)
    hand.click(page.get_by_role("link", name="Overview", exact=True))
    trouble = page.get_by_role("region", name="Subscriptions in trouble")
    hand.click(trouble.get_by_role("link", name=receiver.url))
    expect(page.locator("section[aria-labelledby=deactivated]")).to_contain_text(
        "This is usually a failed signature check."
    )
    receiver.status = 200
    hand.click(page.get_by_role("button", name="Send test"))
    expect(page.locator("#test-result .heading .state.good")).to_be_visible()
    hand.click(page.get_by_role("button", name=re.compile("Reactivate and send what was missed")))
    _sees_it_done(page)
    missed = [body["data"]["missed"] for body in receiver.bodies if "missed" in body["data"]]
    assert sorted(missed) == [0, 1]
    assert hand.clicks == CLICKS


def _sees_it_done(page: Page) -> None:
    """See the progress end by itself, with nobody loading the page again."""
    expect(page.locator("section[aria-labelledby=recovery].good")).to_be_visible(timeout=30_000)
