"""What cannot run scripts can do all the same: forms and links are enough."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Visit
from tests.browser.site import Answering, Site

pytestmark = pytest.mark.sqlite


def test_without_scripts_a_subscription_is_made_and_tested(
    visit: Visit, receiver: Answering
) -> None:
    page = visit("editor", "subscriptions/new", scripts=False)
    page.locator("#id_url").fill(receiver.url)
    page.locator("#id_event_types").fill("plain.made")
    page.locator("button[name=preview]").click()
    expect(page.locator("#id_url")).to_have_value(receiver.url)
    expect(page.locator("#wire-preview mark")).to_contain_text("webhook-signature")
    expect(page.locator("#wire-preview")).to_contain_text("plain.made")
    page.locator("main form.beside button.main").click()
    expect(page).to_have_url(re.compile(r"/subscriptions/sub_\w+$"))
    page.locator("#test-data").fill('{"number": 4711}')
    page.locator("#test-send").click()
    expect(page).to_have_url(re.compile(r"/deliveries/dlv_\w+$"))
    expect(page.locator("#live .heading .state.good")).to_be_visible()
    assert receiver.bodies[0]["data"] == {"number": 4711}


def test_without_scripts_the_history_is_filtered_and_a_delivery_sent_again(
    visit: Visit, site: Site, receiver: Answering
) -> None:
    subscription = site.subscribe(receiver, "plain.filtered")
    site.delivered("plain.filtered")
    receiver.status = 500
    failed = site.delivered("plain.filtered")["id"]
    page = visit("editor", f"deliveries?subscription={subscription}", scripts=False)
    expect(page.locator("#list tbody tr")).to_have_count(2)
    page.locator("#status").select_option("failed")
    page.locator("form.filters .actions button").click()
    expect(page.locator("#list tbody tr")).to_have_count(1)
    page.locator(f"#{failed}").click()
    receiver.status = 200
    page.locator("form[action$='/redeliver'] button").click()
    site.ended(failed)
    page.reload()
    expect(page.locator("#live .heading .state.good")).to_be_visible()
    expect(page.locator("ol.timeline > li")).to_have_count(2)


def test_without_scripts_what_was_missed_is_counted_and_sent(
    visit: Visit, site: Site, receiver: Answering
) -> None:
    subscription = site.deactivated(receiver, "plain.missed")
    site.publish("plain.missed", missed=0)
    receiver.status = 200
    page = visit("editor", f"subscriptions/{subscription}", scripts=False)
    page.locator("#missed a[href$='/missed']").click()
    expect(page.locator("form[action$='/missed'] button")).to_contain_text("1")
    with page.expect_navigation():
        page.locator("form[action$='/missed'] button").click()
    expect(page.locator("section[aria-labelledby=recovery]")).to_be_visible()
