"""What the pages name exists: files, routes, commands, links; generated parts are up to date."""

from __future__ import annotations

import re

import pytest
from django.core.management import get_commands

from subscriptions.wire_formats import SIGNATURE_SCHEMES, WIRE_FORMATS
from tests.docs.generated import names_of, wanted_examples, write_page
from tests.docs.pages import PAGES, ROOT, anchors_of, prose_of, rows_of, section_of, text_of

LANGUAGES = {"sh", "text", "json", "python", "http", "js", "go", "java", "ruby"}


@pytest.mark.parametrize("page", PAGES)
def test_every_link_leads_to_a_page_and_a_heading(page: str) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)]+)\)", prose_of(page)):
        path, _, anchor = target.partition("#")
        file = ((ROOT / page).parent / path).resolve() if path else ROOT / page
        assert file.exists(), target
        if anchor:
            assert anchor in anchors_of(file.relative_to(ROOT).as_posix()), target


@pytest.mark.parametrize("page", PAGES)
def test_every_fenced_block_names_its_language(page: str) -> None:
    fences = re.findall(r"^ *```(.*)$", text_of(page), re.MULTILINE)
    assert set(fences[0::2]) <= LANGUAGES
    assert set(fences[1::2]) <= {""}


@pytest.mark.parametrize("page", [*PAGES, ".env.example"])
def test_every_management_command_that_is_named_exists(page: str) -> None:
    assert set(re.findall(r"manage\.py (\w+)", text_of(page))) <= set(get_commands())


@pytest.mark.parametrize("page", [page for page in PAGES if names_of(page)])
def test_generated_parts_are_up_to_date(page: str) -> None:
    assert text_of(page) == write_page(page), "run: python -m tests.docs.generated"


def test_every_wire_format_has_its_example_and_every_scheme_its_row() -> None:
    page = "docs/reference/wire-formats.md"
    assert wanted_examples() <= set(names_of(page))
    assert {row[0] for row in rows_of(text_of(page).partition("\nEvery request")[0])} == set(
        WIRE_FORMATS
    )
    how_to = section_of("docs/how-to/verify-a-signature.md", "Other schemes")
    assert {row[0] for row in rows_of(how_to)} == set(SIGNATURE_SCHEMES) - {"standard"}


def test_every_file_that_the_readme_s_table_names_is_there() -> None:
    rows = rows_of(section_of("README.md", "Where is …?"))
    assert len(rows) > 8
    for _, cell in rows:
        names = re.findall(r"[\w./-]+", cell)
        folder = names[0].rpartition("/")[0]
        for name in names:  # a bare file name stands beside the one before it
            assert (ROOT / name).exists() or (ROOT / folder / name).exists(), name


def test_every_file_that_a_page_of_the_root_names_is_there() -> None:
    for page in PAGES:
        for name in re.findall(
            r"`((?:tests|docs|requirements|deliveries)/[\w./-]+)`", text_of(page)
        ):
            assert (ROOT / name).exists(), f"{page}: {name}"


def test_every_page_can_be_reached_from_the_index() -> None:
    reached, waiting = set[str](), ["README.md"]
    while waiting:
        page = waiting.pop()
        if page in reached:
            continue
        reached.add(page)
        for target in re.findall(r"\]\((?!https?:)([^)#]+\.md)[^)]*\)", prose_of(page)):
            waiting.append(((ROOT / page).parent / target).resolve().relative_to(ROOT).as_posix())
    assert reached == set(PAGES)
