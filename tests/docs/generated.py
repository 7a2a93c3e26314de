"""Writes the parts of the documentation that are made from others: settings, examples, verifiers.

    python -m tests.docs.generated

Such a part stands between `<!-- name -->` and `<!-- end -->`. A test says when a page is behind.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from uuid import UUID

from deliveries.sending.compose import compose_body, compose_head
from deliveries.sending.signing import ToSign, sign
from subscriptions.guard.address_guard import parse_destination
from subscriptions.ids import to_public
from subscriptions.wire_formats import SIGNATURE_SCHEMES, WIRE_FORMATS, default_schemes
from tests.docs.pages import PAGES, ROOT, text_of
from tests.docs.settings_table import settings_table

_PART = re.compile(r"(^ *<!-- ([\w.-]+(?: [\w.-]+)?) -->\n)(.*?)(^ *<!-- end -->)", re.M | re.S)

_FOLDER = ROOT / "docs" / "how-to" / "verify"
_LANGUAGES = {"py": "python", "mjs": "js", "go": "go", "java": "java", "rb": "ruby"}

SECRET = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
SENT_AT = datetime(2026, 1, 31, 12, 0, 1, tzinfo=UTC)
CREATED_AT = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)
MESSAGE_ID = to_public("evt", UUID("019c138a-7800-7000-8000-0123456789ab"))
EVENTS = {
    "phrase": ("translations:create", '{"message":"Peter translated page.","user":{"id":"ab12"}}'),
    "": ("Task.update", '{"id":20004,"task":{"id":2,"done":true}}'),
}
_SAID_ONCE = {"host", "user-agent", "accept", "accept-encoding", "content-length"}
"""Headers of every request, which the page lists above the examples."""


def write_page(page: str) -> str:
    """Return the page's text with every generated part as it should be."""
    return _PART.sub(lambda part: f"{part[1]}{_make(part[2])}{part[4]}", text_of(page))


def _make(name: str) -> str:
    kind, _, what = name.partition(" ")
    match kind:
        case "settings":
            return settings_table()
        case "decisions":
            return _decisions()
        case "verifier":
            return _fenced(_LANGUAGES[what.rpartition(".")[2]], (_FOLDER / what).read_text())
        case "format":
            return _fenced("http", _request(what, default_schemes(what)))
        case "repsona-fields":
            return _fenced("http", _request("repsona", ("repsona",), repsona_fields=True))
        case "scheme":
            return _fenced("http", _signature(what))
    raise ValueError(f"nothing makes {name!r}")


def _decisions() -> str:
    files = sorted((ROOT / "docs" / "adr").glob("0*.md"))
    titles = [file.read_text().partition("\n")[0].partition(". ")[2] for file in files]
    rows = [
        f"| [{file.name[:4]}]({file.name}) | {title} |"
        for file, title in zip(files, titles, strict=True)
    ]
    return "\n".join(["| | |", "|---|---|", *rows, ""])


def _fenced(language: str, text: str) -> str:
    return f"```{language}\n{text.rstrip()}\n```\n"


def _request(wire_format: str, schemes: tuple[str, ...], *, repsona_fields: bool = False) -> str:
    """Write a request of the sending engine's own making, with fixed secret, time and id."""
    event_type, data = EVENTS.get(wire_format, EVENTS[""])
    body = compose_body(
        wire_format,
        event_type=event_type,
        created_at=CREATED_AT,
        data=data,
        repsona_fields=repsona_fields,
    ).body
    head = compose_head(
        destination=parse_destination("https://example.com/hooks"),
        wire_format=wire_format,
        body=body,
        event_type=event_type,
        message_id=MESSAGE_ID,
        signature_headers=sign(schemes, _to_sign(event_type, body)),
        custom_headers=(),
    )
    shown = [f"{name}: {value}" for name, value in head.fields if name.lower() not in _SAID_ONCE]
    return "\n".join(["POST /hooks HTTP/1.1", *shown, "", body.decode()])


def _signature(scheme: str) -> str:
    """Write the header that a scheme other than its format's own puts in its place."""
    header = SIGNATURE_SCHEMES[scheme].signature_header
    wire_format = scheme.partition("-")[0]
    event_type, data = EVENTS.get(wire_format, EVENTS[""])
    body = compose_body(wire_format, event_type=event_type, created_at=CREATED_AT, data=data).body
    return f"{header}: {dict(sign([scheme], _to_sign(event_type, body)))[header]}"


def _to_sign(event_type: str, body: bytes) -> ToSign:
    return ToSign(MESSAGE_ID, int(SENT_AT.timestamp()), event_type, body, (SECRET,))


def names_of(page: str) -> list[str]:
    """Return the names of a page's generated parts."""
    return [part[2] for part in _PART.finditer(text_of(page))]


def wanted_examples() -> set[str]:
    """Return the parts that the page of wire formats must have."""
    return {f"format {name}" for name in WIRE_FORMATS} | {"repsona-fields"}


if __name__ == "__main__":
    for page in PAGES:
        (ROOT / page).write_text(write_page(page))
