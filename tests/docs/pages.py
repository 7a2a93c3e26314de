"""Reads the documentation: its pages, their fenced blocks, tables and headings.

Used by the tests beside it; knows Markdown as far as these pages use it.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
PAGES = sorted(
    path.relative_to(ROOT).as_posix() for path in (*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"))
)
"""Paths from the repository's root."""

_FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """One fenced block: its language tag and text, without indentation."""

    page: str
    line: int
    language: str
    text: str


def text_of(page: str) -> str:
    """Return a page's text."""
    return (ROOT / page).read_text()


def blocks_of(page: str, *languages: str) -> list[Block]:
    """Return a page's fenced blocks in order; only those of `languages` where any are named."""
    return [block for block in _blocks(page) if block.language in languages or not languages]


def _blocks(page: str) -> Iterator[Block]:
    text = text_of(page)
    for found in _FENCE.finditer(text):
        line = text.count("\n", 0, found.start()) + 1
        yield Block(page, line, found[2], textwrap.dedent(found[3]))


def prose_of(page: str) -> str:
    """Return a page's text without its fenced blocks."""
    return _FENCE.sub("", text_of(page))


def section_of(page: str, heading: str) -> str:
    """Return what stands under a heading, up to the next one of any level."""
    found = re.search(
        rf"^#+ {re.escape(heading)}\n(.*?)(?=^#|\Z)", prose_of(page), re.MULTILINE | re.DOTALL
    )
    assert found, f"{page} has no section {heading!r}"
    return found[1]


def rows_of(section: str) -> list[list[str]]:
    """Return the cells of all tables' rows, without headers and code marks."""
    lines = [line for line in section.splitlines() if line.startswith("|")]
    is_rule = [set(line) <= set("|-: ") and "-" in line for line in lines]
    return [
        [cell.strip().strip("`") for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        for line, is_this_rule, is_next_rule in zip(
            lines, is_rule, [*is_rule[1:], False], strict=True
        )
        if not is_this_rule and not is_next_rule
    ]


def anchors_of(page: str) -> set[str]:
    """Return the anchors of a page's headings, as the usual hosts make them."""
    headings = re.findall(r"^#+ (.+)$", prose_of(page), re.MULTILINE)
    return {
        re.sub(r"[^\w\- ]", "", heading.replace("`", "").lower()).replace(" ", "-")
        for heading in headings
    }
