"""Nobody is kept out of any page, in any state of it: axe-core, narrow windows, dark colours.

Each is looked at in light colours at 1280 pixels and in dark ones at 360; pictures of the main ones
are kept, in Japanese too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest
from playwright.sync_api import Page, expect

from tests.browser.accessibility import violations
from tests.browser.conftest import Visit, check_language, refused
from tests.browser.site import EMPTY, Answering, Site

pytestmark = pytest.mark.sqlite

Shoot = Callable[[Page, str], Path]

DESK, PHONE = (1280, "light"), (360, "dark")
_WIDER = "document.documentElement.scrollWidth > document.documentElement.clientWidth"


@dataclass(frozen=True, slots=True)
class Look:
    """A page in a state."""

    path: str
    """With names of what was made in braces."""
    who: str | None = "owner"
    act: Callable[[Page], None] | None = None
    """Brings it into the state."""
    status: int = 200
    """What the last answer has."""
    project: str = "acme"


def _save(page: Page) -> None:
    page.evaluate("for (const form of document.forms) form.noValidate = true")
    page.locator("main form[method=post] button.main").last.click()
    expect(page.locator("main [role=alert]").first).to_be_visible()


def _save_subscription(page: Page) -> None:
    page.locator("main form.beside button.main").click()
    expect(page.locator("main [role=alert]").first).to_be_visible()


def _judge(page: Page) -> None:
    page.locator("#id_url").fill("http://169.254.169.254/latest")
    expect(page.locator("#url-verdict .state.bad")).to_be_visible()
    page.locator("details.more summary").click()


def _test(page: Page) -> None:
    page.locator("#test-send").click()
    expect(page.locator("#test-result table.waterfall")).to_be_visible()


def _refuse_test(page: Page) -> None:
    page.locator("#test-data").fill("{")
    page.locator("#test-send").click()
    expect(page.locator("#test-data-error")).to_be_visible()


def _debug(page: Page) -> None:
    page.locator("#headers").fill("webhook-id: x\nwebhook-timestamp: 1\nwebhook-signature: v1,aa")
    page.locator("#body").fill("{}")
    page.locator("main form button.main").click()
    expect(page.locator("ol.steps")).to_be_visible()


def _make_key(page: Page) -> None:
    page.locator("main section button.main").click()
    expect(page.locator("#made-key")).to_be_visible()


def _open_all(page: Page) -> None:
    page.evaluate("for (const each of document.querySelectorAll('main details')) each.open = true")


LOOKS: Final = {
    "overview": Look(""),
    "overview-empty": Look("", project=EMPTY),
    "list": Look("subscriptions"),
    "list-empty": Look("subscriptions", project=EMPTY),
    "list-filtered": Look("subscriptions?q=nothing-has-this"),
    "form": Look("subscriptions/new", act=_judge),
    "form-errors": Look("subscriptions/new", act=_save_subscription, status=422),
    "form-edit": Look("subscriptions/{good}/edit", act=_open_all),
    "subscription": Look("subscriptions/{good}"),
    "subscription-viewer": Look("subscriptions/{good}", who="viewer"),
    "test-result": Look("subscriptions/{good}", act=_test),
    "test-errors": Look("subscriptions/{good}", act=_refuse_test, status=422),
    "deactivated": Look("subscriptions/{bad}", act=_open_all),
    "delete": Look("subscriptions/{good}/delete"),
    "history": Look("deliveries"),
    "history-empty": Look("deliveries", project=EMPTY),
    "history-nothing-found": Look("deliveries?status=cancelled&event_type=none"),
    "history-errors": Look("deliveries?since=never&search=%3F", status=422),
    "detail": Look("deliveries/{failed}", act=_open_all),
    "detail-succeeded": Look("deliveries/{succeeded}", act=_open_all),
    "event": Look("events/{event}"),
    "event-types": Look("event-types", act=_open_all),
    "event-types-empty": Look("event-types", project=EMPTY),
    "event-type": Look("event-types/look.good", act=_open_all),
    "signature-debugger": Look("signature-debugger"),
    "signature-debugger-result": Look("signature-debugger?subscription={good}", act=_debug),
    "members": Look("members", act=_open_all),
    "members-errors": Look("members", act=_save, status=422),
    "keys": Look("keys", act=_open_all),
    "keys-made": Look("keys", act=_make_key),
    "audit-log": Look("audit-log", act=_open_all),
    "audit-log-empty": Look("audit-log?action=none", project=EMPTY, status=422),
    "role-needed": Look("members", who="viewer", status=403),
    "not-found": Look("subscriptions/sub_nothing", status=404),
    "projects": Look("../../projects", who="operator"),
    "public-catalogue": Look("../../catalogue/acme", who=None),
    "public-event-type": Look("../../catalogue/acme/look.good", who=None),
}

SHOWN: Final = ("list", "form", "test-result", "history", "detail", "deactivated", "overview")


@pytest.fixture(scope="module")
def made(site: Site) -> Iterator[dict[str, str]]:
    """Something of everything to look at; by the names that `LOOKS` uses."""
    good, bad = Answering(), Answering()
    entry = {
        "name": "look.good",
        "description": "Something to look at.",
        "example": {"number": 4711},
        "schema": {"type": "object"},
    }
    if "look.good" not in {known["name"] for known in site.api("GET", "event-types")["results"]}:
        site.api("POST", "event-types", entry)
    site.api("PATCH", "", {"public_catalogue": True})
    subscription = site.subscribe(
        good,
        "look.good",
        "another.type",
        description="Invoices of the shop",
        custom_headers={"X-Team": "billing"},
        metadata={"customer": "4711"},
    )
    deactivated = site.deactivated(bad, "look.bad")
    failed = site.api("GET", f"deliveries?subscription={deactivated}")["results"][0]["id"]
    site.publish("look.bad", missed=True)
    succeeded = site.delivered("look.good", number=4711)
    event = succeeded["event"]
    yield {
        "good": subscription,
        "bad": deactivated,
        "failed": failed,
        "succeeded": succeeded["id"],
        "event": event if isinstance(event, str) else event["id"],
    }
    good.server.close()
    bad.server.close()


def _open(
    visit: Visit, look: Look, made: dict[str, str], expected: set[str], language: str
) -> Page:
    if look.status >= 400:
        expected.add(refused(look.status))
    path = look.path.format(**made)
    page = visit(look.who, path, project=look.project, language=language)
    if look.act:
        look.act(page)
    page.wait_for_load_state("networkidle")
    check_language(page, language)
    return page


@pytest.mark.parametrize("name", LOOKS)
def test_a_page_keeps_nobody_out(
    visit: Visit, made: dict[str, str], shoot: Shoot, expected: set[str], name: str
) -> None:
    page = _open(visit, LOOKS[name], made, expected, "en")
    for width, scheme in (DESK, PHONE):
        _look_at(page, width, scheme)
        shoot(page, f"{name}-en-{scheme}-{width}")
        assert violations(page) == [], (width, scheme)
        assert not page.evaluate(_WIDER), f"wider than {width} pixels"


@pytest.mark.parametrize("language", ["en", "ja"])
@pytest.mark.parametrize("name", SHOWN)
def test_a_main_page_fits_in_either_colours_width_and_language(
    visit: Visit,
    made: dict[str, str],
    shoot: Shoot,
    expected: set[str],
    name: str,
    language: str,
) -> None:
    page = _open(visit, LOOKS[name], made, expected, language)
    for width in (1280, 360):
        for scheme in ("light", "dark"):
            _look_at(page, width, scheme)
            shoot(page, f"{name}-{language}-{scheme}-{width}")
        assert not page.evaluate(_WIDER), f"wider than {width} pixels"
    assert violations(page) == []


def _look_at(page: Page, width: int, scheme: str) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    page.emulate_media(color_scheme=scheme, reduced_motion="reduce")  # type: ignore[arg-type]
