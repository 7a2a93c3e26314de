"""Asks axe-core what would keep people out of a page: WCAG 2.2, levels A and AA."""

from __future__ import annotations

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

_RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]


def violations(page: Page) -> list[str]:
    """Name each rule that the page breaks, with the elements that break it."""
    found = Axe().run(page, options={"runOnly": {"type": "tag", "values": _RULES}})
    return [
        f"{broken['id']} ({broken['impact']}): "
        + ", ".join(str(node["target"]) for node in broken["nodes"])
        for broken in found.response["violations"]
    ]
