"""A subscription is made, tested, changed and deleted, as a person does it."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import LANGUAGES, Visit, check_language, refused, status_of
from tests.browser.site import Answering, Site

pytestmark = pytest.mark.sqlite

A_PAGE = re.compile(r"/projects/acme/subscriptions/sub_\w+$")


@LANGUAGES
def test_a_subscription_is_made_with_its_url_judged_and_its_requests_shown_beforehand(
    visit: Visit, receiver: Answering, language: str
) -> None:
    page = visit("editor", "subscriptions", language=language)
    page.locator("a[href$='/subscriptions/new']").first.click()
    check_language(page, language)
    verdict = page.locator("#url-verdict")
    page.locator("#id_url").fill("http://169.254.169.254/latest")
    expect(verdict.locator(".state.bad")).to_be_visible()
    if language == "en":
        expect(verdict).to_contain_text("may not be contacted")
    page.locator("#id_url").fill(receiver.url)
    expect(verdict.locator(".state.good")).to_be_visible()
    expect(verdict.locator(".state.bad")).to_have_count(0)
    page.locator("#id_event_types").fill("invoice.paid\ninvoice.sent")
    preview = page.locator("#wire-preview")
    expect(preview).to_contain_text('"invoice.paid"')
    expect(preview.locator("mark")).to_contain_text("webhook-signature: v1,")
    page.locator("input[name=wire_format][value=stripe]").check()
    expect(preview.locator("mark")).to_contain_text("Stripe-Signature", ignore_case=True)
    page.locator("main form button.main").click()
    expect(page).to_have_url(A_PAGE)
    expect(page.get_by_role("heading", level=1)).to_have_text(receiver.url)
    expect(page.get_by_role("status").first).to_be_visible()
    check_language(page, language)


def test_what_cannot_be_saved_is_said_at_its_field_and_nothing_typed_is_lost(
    visit: Visit, receiver: Answering, expected: set[str]
) -> None:
    page = visit("editor", "subscriptions/new")
    page.locator("#id_url").fill("ftp://example.com")
    page.locator("#id_description").fill("Invoices")
    expect(page.locator("#url-verdict")).to_contain_text("Cannot be saved")
    expected.add(refused(422))
    page.locator("main form button.main").click()
    expect(page.get_by_role("alert").first).to_contain_text("Nothing was saved yet")
    expect(page.locator("#id_url")).to_have_attribute("aria-invalid", "true")
    expect(page.locator("#id_description")).to_have_value("Invoices")
    page.locator("#id_url").fill(receiver.url)
    page.locator("#id_event_types").fill("*.never")
    page.locator("main form button.main").click()
    expect(page.locator("#id_event_types")).to_have_attribute("aria-invalid", "true")
    page.locator("#id_event_types").fill("never")
    page.locator("main form button.main").click()
    expect(page).to_have_url(A_PAGE)
    expect(page.locator("main")).to_contain_text("Invoices")


def test_event_types_are_picked_from_the_catalogue(visit: Visit, site: Site) -> None:
    for name in ("pick.one", "pick.two"):
        site.api("POST", "event-types", {"name": name, "description": f"About {name}"})
    page = visit("editor", "subscriptions/new")
    page.locator("#picker-search").fill("About pick.two")
    picker = page.locator(".picker-list")
    expect(picker.locator("label:visible")).to_have_count(1)
    picker.locator("label:visible input").check()
    expect(page.locator("#id_event_types")).to_have_value("pick.two")
    page.locator("#picker-search").fill("pick.")
    picker.locator("input[value='pick.*']").check()
    expect(picker.locator("input[value='pick.one']")).to_be_checked()
    for name in ("pick.one", "pick.two"):
        site.api("DELETE", f"event-types/{name}")


def test_a_subscription_is_changed_paused_and_switched_on_again(
    visit: Visit, site: Site, receiver: Answering
) -> None:
    subscription = site.subscribe(receiver, "to.change")
    page = visit("editor", f"subscriptions/{subscription}")
    page.locator("main a[href$='/edit']").click()
    page.locator("#id_description").fill("Changed by hand")
    page.locator("#id_retry_schedule").fill("5, 300")
    page.locator("main form button.main").click()
    expect(page.locator("main")).to_contain_text("Changed by hand")
    expect(page.locator("main")).to_contain_text("5 s, 5 min")
    page.locator("form[action$='/deactivate'] button").click()
    expect(page.locator(".heading .state").first).to_have_text("Inactive")
    expect(page.locator("#deactivated")).to_contain_text("events are not sent to it")
    page.locator("form[action$='/activate'] button").click()
    expect(page.locator(".heading .state").first).to_have_text("Active")
    assert site.api("GET", f"subscriptions/{subscription}")["active"]


def test_a_secret_is_revealed_copied_and_rotated(
    visit: Visit, site: Site, receiver: Answering
) -> None:
    subscription = site.subscribe(receiver, "to.rotate")
    page = visit("editor", f"subscriptions/{subscription}")
    page.locator("form[action$='/secret/reveal'] button").click()
    expect(page.locator("#revealed")).to_have_value(re.compile("^whsec_"))
    page.locator("button[data-copy='#revealed']").click()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied == page.locator("#revealed").input_value()
    page.locator("form[action$='/secret/rotate'] button").click()
    expect(page.locator("#secret tbody tr")).to_have_count(2)
    page.locator("form[action$='/secret/end-overlap'] button").click()
    expect(page.locator("#secret tbody tr")).to_have_count(1)


@LANGUAGES
def test_a_test_shows_in_place_what_was_sent_and_answered_and_where_the_time_went(
    visit: Visit, site: Site, receiver: Answering, language: str
) -> None:
    receiver.body = b"thank you"
    subscription = site.subscribe(receiver, "to.test", active=False)
    page = visit("editor", f"subscriptions/{subscription}", language=language)
    check_language(page, language)
    _send_test(page, '{"number": 4711}')
    result = page.locator("#test-result")
    expect(result.locator(".heading .state.good")).to_be_visible()
    expect(result.locator("table.waterfall tbody tr")).not_to_have_count(0)
    expect(result.locator("pre[id$=-request-body]")).to_contain_text("4711")
    expect(result.locator("pre[id$=-request-headers]")).to_contain_text("webhook-signature")
    expect(result.locator("pre[id$=-response-body]")).to_have_text("thank you")
    assert receiver.bodies[0]["data"] == {"number": 4711}
    receiver.status = 401
    _send_test(page, '{"number": 4712}')
    expect(result.locator(".heading .state.bad")).to_be_visible()
    expect(result.locator("pre[id$=-request-body]")).to_contain_text("4712")
    if language == "en":
        expect(result.locator(".note.bad")).to_contain_text("failed signature check")
    assert A_PAGE.search(page.url)


def test_a_test_that_is_no_json_is_refused_at_its_field(
    visit: Visit, site: Site, receiver: Answering, expected: set[str]
) -> None:
    expected.add(refused(422))
    subscription = site.subscribe(receiver, "to.test.badly")
    page = visit("editor", f"subscriptions/{subscription}")
    _send_test(page, "{")
    expect(page.locator("#test-data-error")).to_be_visible()
    expect(page.locator("#test-data")).to_have_value("{")
    assert receiver.bodies == []


def test_a_subscription_is_deleted_once_its_host_was_typed(
    visit: Visit, site: Site, receiver: Answering, expected: set[str]
) -> None:
    subscription = site.subscribe(receiver, "to.delete")
    page = visit("editor", f"subscriptions/{subscription}")
    page.locator("main .actions a[href$='/delete']").click()
    expected.add(refused(422))
    page.locator("#host").fill("example.com")
    page.locator("main button.danger").click()
    expect(page.locator("#host-error")).to_be_visible()
    page.locator("#host").fill("127.0.0.1")
    page.locator("main button.danger").click()
    expect(page).to_have_url(re.compile(r"/subscriptions$"))
    expect(page.locator("main")).not_to_contain_text(receiver.url)
    expected.add(refused(404))
    assert status_of(page, f"/projects/acme/subscriptions/{subscription}") == 404


def _send_test(page: Page, data: str) -> None:
    page.locator("#test-data").fill(data)
    page.locator("#test-send").click()
