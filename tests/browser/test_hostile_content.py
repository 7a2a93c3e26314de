"""What receivers and publishers send is shown as text: it opens nothing and breaks no page."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Dialog, Page, expect

from tests.browser.conftest import Visit
from tests.browser.site import Site

pytestmark = pytest.mark.sqlite

PHONE, DESK = 360, 1280

BODIES = {
    "a script": b"<script>alert(1)</script>",
    "the end of a script, and an image": b"</script></pre><img src=x onerror=alert(1)>",
    "the end of a text area": b"</textarea><svg onload=alert(1)>",
    "a template": b"{{7*7}}{% debug %}${7*7}#{7*7}<%= 7*7 %>",
    "htmx": b'<div hx-get="/sign-out" hx-trigger="load">x</div>',
    "a meta refresh": b'<meta http-equiv="refresh" content="0;url=/x"><base href="//evil.test">',
    "NUL and controls": bytes(range(32)) + b"\x7f",
    "terminal escapes": b"\x1b[2J\x1b]0;title\x07\x1b[31mred",
    "not UTF-8": bytes(range(128, 256)),
    "right to left": "\u202etxt.exe\u2066\u2067 \u200f\u061c end".encode(),
    "one long word": b"w" * 15_000,
    "many lines": b"line\n" * 3_000,
    "many marks on one letter": ("Z" + "\u0300" * 2_000).encode(),
    "deep JSON": b"[" * 4_000 + b"]" * 4_000,
    "JSON that lies of itself": b'{"a": 1e999, "a": NaN, "__proto__": {"x": "</script>"}}',
}


@pytest.fixture
def deliveries(site: Site) -> dict[str, str]:
    """A delivery to a receiver that answered so, for each body; by what the body is."""
    data = {"</script><b>": "\u202e<img src=x onerror=alert(1)>"}
    wanted = {"url": site.receiver.url, "event_types": ["*"], "description": "<i>\u202e</i>" * 9}
    subscription = site.api("POST", "subscriptions", wanted)["id"]
    event = {"type": "hostile.content", "data": data}
    found = {}
    for name, body in BODIES.items():
        site.receiver.body = body
        identifier = site.api("POST", "events", event)["deliveries"][0]
        site.ended(identifier)
        found[name] = identifier
    site.receiver.body = b"ok"
    site.api("DELETE", f"subscriptions/{subscription}")
    return found


@pytest.mark.parametrize("width", [PHONE, DESK])
def test_no_content_opens_a_dialog_or_breaks_a_page(
    visit: Visit, site: Site, deliveries: dict[str, str], width: int
) -> None:
    page = visit("viewer", "deliveries", width=width)
    dialogs: list[str] = []

    def dismiss(dialog: Dialog) -> None:
        dialogs.append(dialog.message)
        dialog.dismiss()

    page.on("dialog", dismiss)
    _check_layout(page, "the list")
    for name, identifier in deliveries.items():
        page.goto(f"{site.address}/projects/acme/deliveries/{identifier}")
        expect(page.get_by_role("heading", level=1)).to_have_count(1)
        _check_layout(page, name)
    event = site.api("GET", f"deliveries/{identifier}")["event"]
    page.goto(f"{site.address}/projects/acme/events/{_id_of(event)}")
    _check_layout(page, "the event")
    page.goto(f"{site.address}/projects/acme/deliveries")
    expect(page).not_to_have_url("/sign-in")
    assert dialogs == []


def _check_layout(page: Page, name: str) -> None:
    """No element reaches out of the window, and nothing of the content became an element."""
    page.wait_for_load_state("networkidle")
    is_wide = "document.documentElement.scrollWidth > document.documentElement.clientWidth"
    assert not page.evaluate(is_wide), f"{name}: wider than the window"
    assert (
        page.locator("main img, main base, main meta, main [onerror], main [onload]").count() == 0
    )


def _id_of(event: Any) -> str:
    return event if isinstance(event, str) else str(event["id"])
