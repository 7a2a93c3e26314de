"""Signing in and out, languages, roles, and what another's project looks like: like nothing."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.browser.accessibility import violations
from tests.browser.conftest import LANGUAGES, Visit, check_language, refused, sign_in, status_of
from tests.browser.site import OTHER, Answering, Site

pytestmark = pytest.mark.sqlite


@LANGUAGES
def test_nobody_is_kept_out_of_the_sign_in_page(visit: Visit, language: str) -> None:
    page = visit(None, language=language)
    expect(page).to_have_url(re.compile(r"/sign-in\?next=/projects/"))
    expect(page.locator("html")).to_have_attribute("lang", language)
    assert violations(page) == []


@LANGUAGES
def test_a_member_signs_in_to_the_page_that_was_asked_for_and_out_again(
    visit: Visit, language: str
) -> None:
    page = visit(None, "subscriptions", language=language)
    sign_in(page, "acme-viewer")
    expect(page).to_have_url(re.compile(r"/projects/acme/subscriptions$"))
    check_language(page, language)
    page.locator("form[action='/sign-out'] button").click()
    expect(page).to_have_url(re.compile(r"/sign-in"))
    page.goto("/projects/acme/subscriptions")
    expect(page).to_have_url(re.compile(r"/sign-in"))


def test_a_wrong_password_is_said_in_words_and_signs_nobody_in(visit: Visit) -> None:
    page = visit(None)
    sign_in(page, "acme-owner", "not the password")
    expect(page.get_by_role("alert")).to_contain_text("correct username and password")
    expect(page.locator("input[name=username]")).to_have_value("acme-owner")
    assert violations(page) == []
    page.goto("/projects")
    expect(page).to_have_url(re.compile(r"/sign-in"))


def test_the_language_is_switched_where_one_is_and_stays(visit: Visit) -> None:
    page = visit("viewer", "deliveries?status=failed")
    page.locator("form.languages button[value=ja]").click()
    expect(page).to_have_url(re.compile(r"/projects/acme/deliveries\?status=failed$"))
    check_language(page, "ja")
    page.goto("/projects/acme/subscriptions")
    check_language(page, "ja")
    page.locator("form.languages button[value=en]").click()
    check_language(page, "en")


def test_the_project_is_switched_from_any_page(visit: Visit) -> None:
    page = visit("operator", "members")
    page.locator(".switcher summary").click()
    page.locator(".switcher").get_by_role("link", name="Umbrella").click()
    expect(page).to_have_url(re.compile(r"/projects/umbrella/$"))
    expect(page.locator(".switcher summary")).to_have_text("Umbrella")


def test_a_viewer_sees_everything_and_no_button_that_changes_anything(
    visit: Visit, site: Site, receiver: Answering, expected: set[str]
) -> None:
    subscription = site.subscribe(receiver, "seen.by.viewer")
    delivery = site.delivered("seen.by.viewer")
    event = site.api("GET", f"deliveries/{delivery['id']}")["event"]
    page = visit("viewer")
    for path in (
        "",
        "subscriptions",
        f"subscriptions/{subscription}",
        "deliveries",
        f"deliveries/{delivery['id']}",
        f"events/{event if isinstance(event, str) else event['id']}",
        "event-types",
    ):
        page.goto(f"/projects/acme/{path}")
        expect(page.get_by_role("heading", level=1)).to_have_count(1)
        assert page.locator("main form[method=post]").count() == 0, path
        assert page.locator("main a[href$='/edit'], main a[href$='/new']").count() == 0, path
    expected.add(refused(403))
    for path in ("members", "keys", "audit-log", "signature-debugger", "subscriptions/new"):
        page.goto(f"/projects/acme/{path}")
        expect(page.get_by_role("heading", level=1)).to_have_text("Your role does not allow this")


def test_what_is_in_one_project_is_not_found_in_another(
    visit: Visit, site: Site, receiver: Answering, expected: set[str]
) -> None:
    subscription = site.subscribe(receiver, "only.acme")
    delivery = site.delivered("only.acme")["id"]
    event = site.api("GET", f"deliveries/{delivery}")["event"]
    paths = (
        f"subscriptions/{subscription}",
        f"subscriptions/{subscription}/edit",
        f"deliveries/{delivery}",
        f"events/{event if isinstance(event, str) else event['id']}",
    )
    own, others = visit("owner"), visit("owner", project=OTHER)
    expected.add(refused(404))
    for path in paths:
        assert status_of(own, f"/projects/acme/{path}") == 200, path
        for project in ("umbrella", "acme"):
            assert status_of(others, f"/projects/{project}/{path}") == 404, (project, path)
            expect(others.get_by_role("heading", level=1)).to_have_text("There is nothing here")
    others.goto("/projects/umbrella/deliveries")
    expect(others.locator("main")).not_to_contain_text("only.acme")
