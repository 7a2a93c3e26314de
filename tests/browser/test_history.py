"""What was sent is found, understood and sent again: history, delivery, event."""

from __future__ import annotations

import csv
import re

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import LANGUAGES, Visit, check_language
from tests.browser.site import Answering, Site

pytestmark = pytest.mark.sqlite

ROWS = "#list tbody tr"


@LANGUAGES
def test_the_history_is_narrowed_by_status_and_by_a_bar_of_its_chart(
    visit: Visit, site: Site, receiver: Answering, language: str
) -> None:
    event_type = f"history.narrowed.{language}"
    subscription = site.subscribe(receiver, event_type)
    for status in (200, 200, 500):
        receiver.status = status
        site.delivered(event_type)
    page = visit("viewer", f"deliveries?subscription={subscription}", language=language)
    check_language(page, language)
    expect(page.locator(ROWS)).to_have_count(3)
    page.locator("#status").select_option("failed")
    expect(page).to_have_url(re.compile("status=failed"))
    expect(page.locator(ROWS)).to_have_count(1)
    expect(page.locator(f"{ROWS} .state.bad")).to_have_count(1)
    page.locator("#status").select_option("")
    expect(page.locator(ROWS)).to_have_count(3)
    page.locator("svg[data-range] a", has=page.locator("rect.ok")).last.click()
    expect(page).to_have_url(re.compile("since=.+until=|until=.+since="))
    expect(page.locator("#since")).not_to_have_value("")
    expect(page.locator(ROWS)).to_have_count(3)
    page.locator("svg[data-range] a").first.focus()
    page.keyboard.press("Enter")
    expect(page.locator(ROWS)).to_have_count(0)


def test_dragging_across_bars_chooses_the_time_from_the_first_to_the_last(
    visit: Visit, site: Site, receiver: Answering
) -> None:
    subscription = site.subscribe(receiver, "history.dragged")
    site.delivered("history.dragged")
    page = visit("viewer", f"deliveries?subscription={subscription}")
    box = page.locator("svg[data-range]").bounding_box()
    assert box
    height = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] * 0.25, height)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.5, height, steps=4)
    page.mouse.up()
    expect(page).to_have_url(re.compile("since="))
    expect(page.locator(ROWS)).to_have_count(0)


def test_keys_move_along_the_rows_and_open_one(
    visit: Visit, site: Site, receiver: Answering
) -> None:
    subscription = site.subscribe(receiver, "history.keys")
    deliveries = [site.delivered("history.keys")["id"] for _ in range(3)]
    page = visit("viewer", f"deliveries?subscription={subscription}")
    for key, focused in (("j", 2), ("j", 1), ("j", 0), ("j", 0), ("k", 1)):
        page.keyboard.press(key)
        expect(page.locator(f"#{deliveries[focused]}")).to_be_focused()
    page.keyboard.press("/")
    expect(page.locator("#search")).to_be_focused()
    page.keyboard.type("j")
    expect(page.locator("#search")).to_have_value("j")
    page.locator(f"#{deliveries[1]}").focus()
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(f"/deliveries/{deliveries[1]}$"))


def test_a_new_delivery_appears_with_nobody_loading_the_page_again(
    visit: Visit, site: Site, receiver: Answering
) -> None:
    subscription = site.subscribe(receiver, "history.live")
    site.delivered("history.live")
    page = visit("viewer", f"deliveries?subscription={subscription}")
    expect(page.locator(ROWS)).to_have_count(1)
    page.evaluate("window.isStillThere = true")
    delivery = site.delivered("history.live")["id"]
    expect(page.locator(f"#{delivery}")).to_be_visible(timeout=20_000)
    expect(page.locator("#news")).to_have_text("One delivery is new.")
    assert page.evaluate("window.isStillThere")


def test_what_the_filters_find_is_exported(visit: Visit, site: Site, receiver: Answering) -> None:
    subscription = site.subscribe(receiver, "history.exported")
    wanted = site.delivered("history.exported")["id"]
    receiver.status = 500
    site.delivered("history.exported")
    page = visit("viewer", f"deliveries?subscription={subscription}&status=succeeded")
    with page.expect_download() as download:
        page.locator("main a[href*='format=csv']").click()
    assert download.value.suggested_filename.endswith(".csv")
    with download.value.path().open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["id"] for row in rows] == [wanted]


@LANGUAGES
def test_a_delivery_shows_each_attempt_and_is_sent_again(
    visit: Visit, site: Site, receiver: Answering, language: str
) -> None:
    event_type = f"delivery.shown.{language}"
    site.subscribe(receiver, event_type)
    receiver.status, receiver.body = 503, b"come back later"
    delivery = site.delivered(event_type, number=4711)["id"]
    page = visit("editor", f"deliveries/{delivery}", language=language)
    check_language(page, language)
    attempts = page.locator("ol.timeline > li")
    expect(attempts).to_have_count(1)
    expect(attempts.locator("summary .state.bad").first).to_contain_text("503")
    expect(attempts.locator("pre[id$=-response-body]")).to_have_text("come back later")
    expect(attempts.locator("table.waterfall tbody tr")).not_to_have_count(0)
    if language == "en":
        expect(page.locator("main")).to_contain_text("It matched because its filter")
    attempts.locator("button[data-copy$='-curl']").click()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied.startswith("curl ")
    assert receiver.url in copied
    assert "4711" in copied
    receiver.status = 200
    page.locator("form[action$='/redeliver'] button").click()
    expect(page.locator("#live .heading .state.good")).to_be_visible(timeout=20_000)
    expect(attempts).to_have_count(2)
    expect(page.locator("#attempt-2")).to_have_attribute("open", "")


def test_an_event_says_who_got_it_and_who_did_not_and_why(visit: Visit, site: Site) -> None:
    receivers = [Answering() for _ in range(3)]
    wanting, other, off = receivers
    site.subscribe(wanting, "event.*")
    site.subscribe(other, "something.else")
    site.subscribe(off, "event.told", active=False)
    delivery = site.delivered("event.told", number=4711)["id"]
    page = visit("viewer", f"deliveries/{delivery}")
    page.locator("main dd a[href*='/events/']").click()
    expect(page.locator("#payload")).to_contain_text("4711")
    got = page.get_by_role("region", name="Who got it")
    expect(got.locator("tbody tr")).to_have_count(1)
    expect(got.get_by_role("row").filter(has_text=wanting.url)).to_contain_text("event.*")
    missed = page.get_by_role("region", name="Who did not, and why")
    for receiver, why in ((other, "filter"), (off, "inactive")):
        row = missed.get_by_role("row").filter(has_text=receiver.url)
        expect(row).to_contain_text(why, ignore_case=True)
    for receiver in receivers:
        receiver.server.close()
