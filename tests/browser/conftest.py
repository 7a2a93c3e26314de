"""A Chromium and a site for it; a page that complained in its console fails its test."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator
from http import HTTPStatus
from pathlib import Path

import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    StorageState,
    expect,
    sync_playwright,
)

from tests.browser.site import NEWCOMER, PASSWORD, PROJECT, Answering, Site, running_site

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
NEEDED = "BROWSER_TESTS"
"""`make browser` sets it: without a Chromium the tests then fail."""

SHOTS = Path(__file__).parents[2] / "var" / "screenshots"

expect.set_options(timeout=15_000)  # as long as any other step of a page may take, see `visit`

Visit = Callable[..., Page]

_ABANDONED = ("htmx:afterRequest,", "htmx:sendAbort,")
"""What htmx writes of a request that a newer one has replaced, such as that for the last letter."""

LANGUAGES = pytest.mark.parametrize("language", ["en", "ja"])
"""The main journeys are gone in both; such a test finds its way by addresses, ids and roles."""

_JAPANESE = re.compile("[\u3040-\u30ff\u4e00-\u9fff]")
_HAS_JAPANESE = (SHOTS.parents[1] / "locale" / "ja").is_dir()


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """One for all tests of this process; tests make what they need in it."""
    with running_site(tmp_path_factory.mktemp("site")) as running:
        yield running


@pytest.fixture
def receiver() -> Iterator[Answering]:
    """A receiver of this test's own."""
    own = Answering()
    yield own
    own.server.close()


@pytest.fixture(scope="session")
def cookies() -> dict[str, StorageState]:
    """What tells who is signed in, by user name: passwords take their time to check."""
    return {}


@pytest.fixture
def expected() -> set[str]:
    """What pages may write to the console in this test; see `refused`."""
    return set()


def status_of(page: Page, address: str) -> int:
    """Go there; return the status that the site answered with."""
    answer = page.goto(address)
    assert answer is not None
    return answer.status


def refused(status: int) -> str:
    """Return what Chromium writes of an answer with this status, which is how it should be."""
    return (
        "Failed to load resource: the server responded with a status of "
        f"{status} ({HTTPStatus(status).phrase})"
    )


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A Chromium, or no test."""
    if CHROMIUM is None:
        if os.environ.get(NEEDED):
            pytest.fail("No Chromium on PATH: `apt-get install chromium`, or whatever brings it.")
        pytest.skip("no Chromium on PATH; `make browser` would fail")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture
def visit(
    browser: Browser, site: Site, cookies: dict[str, StorageState], expected: set[str]
) -> Iterator[Visit]:
    """`visit("owner", "subscriptions")`: a new window in which that person is signed in.

    Further names: `project`, `language` (`ja`), `width` (pixels), `scheme` (`dark`), `scripts`.
    At the end no page may have complained in its console, blocked content included.
    """
    contexts: list[BrowserContext] = []
    complaints: list[tuple[str, str]] = []

    def hear(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and not message.text.startswith(_ABANDONED):
            complaints.append((message.text, message.location.get("url", "")))

    def open_page(  # each has a name
        who: str | None,
        path: str = "",
        *,
        project: str = PROJECT,
        language: str = "en",
        width: int = 1280,
        scheme: str = "light",
        scripts: bool = True,
    ) -> Page:
        context = browser.new_context(
            base_url=site.address,
            locale={"en": "en-US", "ja": "ja-JP"}[language],
            viewport={"width": width, "height": 900},
            color_scheme=scheme,  # type: ignore[arg-type]  # one of its words
            java_script_enabled=scripts,
            reduced_motion="reduce",
            storage_state=_cookies_of(who, project, browser, site, cookies),
            permissions=["clipboard-read", "clipboard-write"],
        )
        contexts.append(context)
        page = context.new_page()
        page.on("console", hear)
        page.on("pageerror", lambda error: complaints.append((str(error), page.url)))
        page.set_default_timeout(15_000)
        page.goto(f"/projects/{project}/{path}")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert [said for said in complaints if said[0] not in expected] == []


def _cookies_of(
    who: str | None, project: str, browser: Browser, site: Site, known: dict[str, StorageState]
) -> StorageState | None:
    if who is None:
        return None
    name = who if who in ("operator", NEWCOMER) else f"{project}-{who}"
    if name not in known:
        with browser.new_context(base_url=site.address) as context:
            page = context.new_page()
            sign_in(page, name)
            page.wait_for_url("**/projects**")
            known[name] = context.storage_state()
    return known[name]


def sign_in(page: Page, name: str, password: str = PASSWORD) -> None:
    """Type name and password, unless the page is another's than the sign-in's."""
    if "/sign-in" not in page.url:
        page.goto("/sign-in")
    page.locator("input[name=username]").fill(name)
    page.locator("input[name=password]").fill(password)
    page.locator("button.main").click()


@pytest.fixture
def shoot() -> Callable[[Page, str], Path]:
    """Keep a picture of the whole page under `var/screenshots`."""

    def keep(page: Page, name: str) -> Path:
        SHOTS.mkdir(parents=True, exist_ok=True)
        file = SHOTS / f"{name}.png"
        # Hiding the caret is an inline style, which the pages' policy blocks.
        page.screenshot(path=file, full_page=True, caret="initial")
        return file

    return keep


def check_language(page: Page, language: str) -> None:
    """Whatever the pages themselves say in headings is said in this language."""
    expect(page.locator("html")).to_have_attribute("lang", language)
    if language == "ja" and _HAS_JAPANESE:
        headings = page.locator("main h1:not(.foreign, .mono), main h2:not(.foreign)")
        said = [heading for heading in headings.all_inner_texts() if heading]
        assert [heading for heading in said if not _JAPANESE.search(heading)] == []
