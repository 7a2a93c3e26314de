"""A provider shows the pages inside its own product; nobody else can frame them."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from dispatcher.chaos.threaded_server import KEEP, Connection, ThreadedServer
from tests.browser.accessibility import violations
from tests.browser.conftest import Visit
from tests.browser.site import Answering, Site

pytestmark = pytest.mark.sqlite


class _Product:
    """Somebody's own page, which frames what it is told to."""

    def __init__(self) -> None:
        self.framed = ""
        self.server = ThreadedServer({"": self._answer, "favicon.ico": self._answer})
        self.origin = self.server.origin.replace("127.0.0.1", "localhost")

    def _answer(self, connection: Connection) -> bool:
        body = (
            "<!doctype html><html lang=en><title>Ours</title><h1>Ours</h1>"
            f"<iframe src='{self.framed}' title='Webhooks' width=1000 height=700></iframe>"
        ).encode()
        head = f"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {len(body)}\r\n\r\n"
        connection.send(head.encode() + body)
        return KEEP


@pytest.fixture
def products() -> Iterator[list[_Product]]:
    """Two, on ports of their own: the first may frame the pages."""
    both = [_Product(), _Product()]
    yield both
    for product in both:
        product.server.close()


def test_the_pages_work_in_a_frame_of_an_allowed_origin_and_of_no_other(
    visit: Visit,
    site: Site,
    receiver: Answering,
    products: list[_Product],
    expected: set[str],
) -> None:
    ours, strange = products
    shown = site.subscribe(receiver, "portal.shown", description="The customer’s")
    site.subscribe(receiver, "portal.hidden", description="Somebody else’s")
    site.delivered("portal.shown")
    site.api("PATCH", "", {"portal_origins": [ours.origin]})
    link = site.api("POST", "portal-links", {"role": "editor", "subscriptions": [shown]})["url"]
    ours.framed = strange.framed = link
    page = visit(None)
    page.goto(ours.origin)
    frame = page.frame_locator("iframe")
    expect(frame.get_by_role("heading", level=1)).to_have_text("Overview")
    frame.get_by_role("link", name="Subscriptions", exact=True).click()
    expect(frame.locator("main")).to_contain_text("The customer’s")
    expect(frame.locator("main")).not_to_contain_text("Somebody else’s")
    frame.get_by_role("link", name=receiver.url).click()
    frame.locator("#test-send").click()
    expect(frame.locator("#test-result .heading .state.good")).to_be_visible()
    frame.locator("form[action$='/deactivate'] button").click()
    expect(frame.locator(".heading .state").first).to_have_text("Inactive")
    assert "sessionid" not in {cookie["name"] for cookie in page.context.cookies()}
    refusal = re.compile("frame-ancestors")
    blocked = visit(None)
    with blocked.expect_console_message(lambda said: bool(refusal.search(said.text))) as heard:
        blocked.goto(strange.origin)
    expected.add(heard.value.text)
    assert blocked.frame_locator("iframe").get_by_role("heading", name="Overview").count() == 0


def test_a_link_that_ended_says_so(visit: Visit, expected: set[str]) -> None:
    expected.add("Failed to load resource: the server responded with a status of 410 (Gone)")
    page = visit(None)
    page.goto("/portal/not-a-link/")
    expect(page.get_by_role("heading", level=1)).to_have_text("This link has ended")
    assert violations(page) == []
