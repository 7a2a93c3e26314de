"""The pages' sentences and their Japanese: `python -m tests.messages` (`make messages`).

Collects what templates and code give to gettext, without its tools: Django turns templates into
code, Babel reads code. Writes `locale/ja/LC_MESSAGES/django.po`, keeping what is translated, and
compiles it. tests/dispatcher/test_locale.py asks whether both are up to date and complete.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract
from babel.messages.mofile import read_mo, write_mo
from babel.messages.pofile import read_po, write_po
from django.utils.translation.template import templatize

HERE: Final = Path(__file__).resolve().parent.parent
FOLDER: Final = HERE / "locale" / "ja" / "LC_MESSAGES"
TEXT, COMPILED = FOLDER / "django.po", FOLDER / "django.mo"

_KEYWORDS: Final = {
    "_": None, "gettext": None, "gettext_lazy": None, "gettext_noop": None,
    "ngettext": (1, 2), "ngettext_lazy": (1, 2),
    "pgettext": ((1, "c"), 2), "pgettext_lazy": ((1, "c"), 2), "npgettext": ((1, "c"), 2, 3),
}  # fmt: skip

_ENGLISH_ONLY: Final = re.compile(r"admin|dispatcher/(system_\w+|demo/.*|management/.*)\.py")
"""What operators and programs read."""

_HEADER: Final = """\
# What the pages say, in Japanese. `make messages` collects the sentences and compiles them.
"""


def sources() -> Iterator[Path]:
    """Yield the templates and modules whose words a page shows."""
    for path in sorted((HERE / "templates").rglob("*.html")):
        if path.relative_to(HERE).parts[1] != "admin":
            yield path
    for app in ("deliveries", "dispatcher", "subscriptions"):
        for path in sorted((HERE / app).rglob("*.py")):
            if not _ENGLISH_ONLY.search(str(path.relative_to(HERE))):
                yield path


def collect() -> Catalog:
    """Return every sentence that is to be translated."""
    catalog = Catalog(locale="ja", fuzzy=False)
    for path in sources():
        code = path.read_text()
        if path.suffix == ".html":
            # Of a template's text nothing remains but space and X; indents are no code's.
            code = "\n".join(line.lstrip() for line in templatize(code).splitlines())
        place = str(path.relative_to(HERE))
        found = extract("python", io.BytesIO(code.encode()), _KEYWORDS)
        for _line, message, _comments, context in found:
            catalog.add(message, locations=[(place, 0)], context=context)
    return catalog


def read_text() -> Catalog:
    """Return the sentences as they are translated."""
    with TEXT.open("rb") as file:
        return read_po(file, locale="ja")


def read_compiled() -> Catalog:
    """Return what pages use."""
    with COMPILED.open("rb") as file:
        return read_mo(file)


def as_pairs(catalog: Catalog) -> dict[object, object]:
    """Return what is translated into what, without the header."""
    return {
        (message.context, _forms(message.id)): _forms(message.string)
        for message in catalog
        if message.id and is_translated(message)
    }


def _forms(words: str | list[str] | tuple[str, ...] | None) -> tuple[str, ...]:
    return (words,) if isinstance(words, str) else tuple(words or ())


def is_translated(message: Message) -> bool:
    """Say whether there are words, in every form."""
    words = message.string
    return all(words) if isinstance(words, list | tuple) else bool(words)


def write() -> None:
    """Collect again, keep the translations that still apply, compile."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    known = read_text() if TEXT.exists() else Catalog(locale="ja")
    catalog = collect()
    for message in catalog:
        old = known.get(message.id, message.context) if message.id else None
        if old is not None and is_translated(old) and old.pluralizable == message.pluralizable:
            message.string = old.string
    text = io.BytesIO()
    write_po(text, catalog, width=100, omit_header=True, include_lineno=False, sort_by_file=True)
    TEXT.write_bytes(_HEADER.encode() + _mime_header() + text.getvalue())
    compile_text()


def compile_text() -> None:
    """Write what pages use from the translations."""
    with COMPILED.open("wb") as file:
        write_mo(file, read_text())


def _mime_header() -> bytes:
    """Return gettext's own entry: nothing in it changes by itself."""
    lines = (
        "Language: ja",
        "MIME-Version: 1.0",
        "Content-Type: text/plain; charset=utf-8",
        "Content-Transfer-Encoding: 8bit",
        "Plural-Forms: nplurals=1; plural=0;",
    )
    return "\n".join(
        ('msgid ""', 'msgstr ""', *(f'"{line}\\n"' for line in lines), "", "")
    ).encode()


if __name__ == "__main__":
    write()
    missing = [message.id for message in read_text() if message.id and not is_translated(message)]
    for each in missing:
        print("not translated:", each)  # noqa: T201
    raise SystemExit(bool(missing))
