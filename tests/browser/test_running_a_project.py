"""What owners do: event types and their public page, keys, members; and the audit log of it."""

from __future__ import annotations

import pytest
import requests
from playwright.sync_api import expect

from tests.browser.conftest import Visit, refused, status_of
from tests.browser.site import NEWCOMER, OTHER, Answering, Site

pytestmark = pytest.mark.sqlite


def test_an_event_type_is_described_and_shown_to_anybody_only_while_its_owner_wants_that(
    visit: Visit, expected: set[str]
) -> None:
    page = visit("owner", "event-types", project=OTHER)
    page.locator("#new summary").click()
    new = page.locator("#new")
    new.locator("[name=name]").fill("invoice.paid")
    new.locator("[name=description]").fill("Somebody paid.")
    new.locator("[name=example]").fill('{"amount": 4711}')
    new.locator("button.main").click()
    page.goto("/projects/umbrella/event-types/invoice.paid")
    expect(page.locator("main")).to_contain_text("Somebody paid.")
    expect(page.locator("#example")).to_contain_text("4711")
    page.goto("/projects/umbrella/event-types")
    page.locator("button[name=public][value=yes]").click()
    stranger = visit(None)
    assert status_of(stranger, "/catalogue/umbrella") == 200
    stranger.get_by_role("link", name="invoice.paid").click()
    expect(stranger.locator("main")).to_contain_text("Somebody paid.")
    page.locator("button[name=public][value=no]").click()
    expect(page.locator("button[name=public][value=yes]")).to_be_visible()
    expected.add(refused(404))
    assert status_of(stranger, "/catalogue/umbrella") == 404


def test_a_key_is_shown_once_works_and_is_refused_once_it_is_revoked(
    visit: Visit, site: Site
) -> None:
    page = visit("owner", "keys")
    page.locator("[name=name]").fill("Nightly report")
    page.locator("[name=scopes][value=read]").check()
    page.get_by_role("button", name="Make the key").click()
    plain = page.locator("#made-key").inner_text().strip()
    page.locator("button[data-copy='#made-key']").click()
    assert page.evaluate("navigator.clipboard.readText()").strip() == plain
    assert _status_with(site, plain) == 200
    page.get_by_role("link", name="Done").click()
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    expect(page.locator("#made-key")).to_have_count(0)
    assert plain not in page.content()
    row = page.get_by_role("row").filter(has_text="Nightly report").first
    row.locator("summary").click()
    row.locator("form[action$='/revoke'] button").click()
    row = page.get_by_role("row").filter(has_text="Nightly report").first
    expect(row.locator(".state.bad")).to_have_text("revoked")
    assert _status_with(site, plain) == 401


def test_a_member_is_added_given_a_role_and_removed_and_the_audit_log_says_so(
    visit: Visit, expected: set[str]
) -> None:
    expected.add(refused(404))
    page, theirs = visit("owner", "members"), visit(NEWCOMER)
    expect(theirs.get_by_role("heading", level=1)).to_have_text("There is nothing here")
    page.locator("section [name=user]").fill(NEWCOMER)
    page.locator("section [name=role]").select_option("viewer")
    page.locator("section button.main").click()
    row = page.get_by_role("row").filter(has_text=NEWCOMER)
    expect(row.locator("select")).to_have_value("viewer")
    theirs.goto("/projects/acme/subscriptions")
    expect(theirs.get_by_role("heading", level=1)).to_have_text("Subscriptions")
    row.locator("select").select_option("editor")
    row.locator("form[action$='/role'] button").click()
    expect(row.locator("select")).to_have_value("editor")
    theirs.goto("/projects/acme/subscriptions/new")
    expect(theirs.locator("#id_url")).to_be_visible()
    row.locator("summary").click()
    row.locator("form[action$='/remove'] button").click()
    expect(row).to_have_count(0)
    assert status_of(theirs, "/projects/acme/subscriptions") == 404
    page.goto("/projects/acme/audit-log")
    for number, action in enumerate(("member.deleted", "member.changed", "member.created")):
        entry = page.locator("main tbody tr").nth(number)
        expect(entry).to_contain_text(action)
        expect(entry).to_contain_text("acme-owner")
    expect(page.locator("main tbody tr").nth(1).locator("del")).to_contain_text("viewer")
    expect(page.locator("main tbody tr").nth(1).locator("ins")).to_contain_text("editor")


def test_the_signature_debugger_finds_a_wrong_secret_and_a_changed_body(
    visit: Visit, site: Site, receiver: Answering
) -> None:
    subscription = site.subscribe(receiver, "to.debug")
    site.delivered("to.debug", number=4711)
    (received,) = receiver.server.requests
    page = visit("editor", f"signature-debugger?subscription={subscription}")
    expect(page.locator("#subscription")).to_have_value(subscription)
    headers = b"\n".join(received.header_lines).decode()

    def check(*, body: bytes = received.body, secret: str = "") -> None:
        page.locator("#headers").fill(headers)
        page.locator("#body").fill(body.decode())
        page.locator("#secret").fill(secret)
        page.locator("main form button.main").click()

    check()
    report = page.get_by_role("region", name="standard")
    expect(report.locator(".heading .state")).to_have_text("All good")
    check(secret="whsec_" + "A" * 43 + "=")
    expect(report.locator(".heading .state")).to_have_text("Something is wrong")
    expect(report).to_contain_text("does not sign this subscription’s requests")
    assert "A" * 43 not in page.content()
    check(body=received.body.replace(b"4711", b"4712"))
    expect(report).to_contain_text("The body was changed")


def _status_with(site: Site, key: str) -> int:
    answer = requests.get(
        f"{site.address}/api/v1/projects/acme/subscriptions",
        headers={"Authorization": f"Bearer {key}"},
        timeout=20,
    )
    return answer.status_code
