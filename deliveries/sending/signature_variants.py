"""Finds out how a signature was computed, if not as it should be: the mistakes that are made.

Called by `signature_check`. Tries what receivers get wrong, one thing and then several: the secret,
the key, what stands before the body, the body. Pure.
"""

from __future__ import annotations

import base64
import hmac
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import accumulate
from types import MappingProxyType
from typing import Final

import msgspec

from subscriptions.refusal import SettingRefused
from subscriptions.secrets.secret_format import PREFIX, standard_key

DIGEST_BYTES: Final = 32

_LIMIT_GROWTH: Final = 8
_SMALL_BYTES: Final = 64 * 1024
"""JSON is not indented where that would make it far longer."""

_NOT_BRACKETS: Final = re.compile(rb'"(?:[^"\\]|\\.)*"|[^\]\[{}"]+', re.DOTALL)


class Deviation(StrEnum):
    """What differs from how it should be computed."""

    OTHER_SECRET = "other_secret"  # noqa: S105  # a code
    KEY_NOT_DECODED = "key_not_decoded"
    """`whsec_…` itself is the key, where the bytes behind it should be."""
    KEY_WITHOUT_PREFIX = "key_without_prefix"
    """What follows `whsec_` is the key, not decoded."""
    KEY_DECODED = "key_decoded"
    """The bytes behind `whsec_…` are the key, where the text itself should be."""
    HEX = "hex"
    """Written in hexadecimal, where base64 should be."""
    BASE64 = "base64"
    """Written in base64, where hexadecimal should be."""
    PARTS = "parts"
    """Something before the body is left out."""
    BODY_SENT = "body_sent"
    """It fits the body that was sent, not the one that is looked at."""
    BODY_NEWLINE = "body_newline"
    """A line break at the body's end is there, or is not."""
    BODY_LINE_ENDS = "body_line_ends"
    """Line breaks are CR LF."""
    BODY_RESERIALISED = "body_reserialised"
    """The body was parsed and written again."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a scheme's signature is computed; a test holds it against `signing`."""

    parts: tuple[str, ...]
    """Before the body, each followed by a full stop: `id`, `timestamp`."""
    is_key_decoded: bool
    encoding: str
    """`hex` or `base64`."""


RECIPES: Final[Mapping[str, Recipe]] = MappingProxyType(
    {
        "standard": Recipe(("id", "timestamp"), is_key_decoded=True, encoding="base64"),
        "repsona": Recipe(("timestamp",), is_key_decoded=False, encoding="hex"),
        "phrase": Recipe((), is_key_decoded=False, encoding="base64"),
        "phrase-hex": Recipe((), is_key_decoded=False, encoding="hex"),
        "stripe": Recipe(("timestamp",), is_key_decoded=False, encoding="hex"),
        "github": Recipe((), is_key_decoded=False, encoding="hex"),
    }
)


@dataclass(frozen=True, slots=True)
class Secret:
    """A secret that may have signed."""

    name: str
    """The caller's, for words: never the secret itself."""
    text: str
    is_right: bool = True
    """It is one that should sign."""

    def __repr__(self) -> str:
        return f"Secret({self.name})"


@dataclass(frozen=True, slots=True)
class Explanation:
    """How a signature can be computed."""

    secret: Secret
    deviations: tuple[Deviation, ...]
    """None: as it should be."""


Way = tuple[tuple[Deviation, ...], bytes]
"""Bytes to sign with or over, and what differs from those that should be."""


@dataclass(frozen=True, slots=True)
class Content:
    """What is signed; a part that is not known is left out."""

    parts: Mapping[str, str]
    """By name: `id`, `timestamp`."""
    bodies: Sequence[Way]
    """What `bodies_of` gives."""


class Ways:
    """All ways to sign a content by one recipe; each is gone once, however much is asked."""

    def __init__(self, recipe: Recipe, content: Content, secrets: Sequence[Secret]) -> None:
        self._encoding = recipe.encoding
        self._ways = _ways(recipe, content, secrets)
        self._digests: list[bytes] = []
        """Of the ways that were gone so far."""

    def explain(self, signatures: Iterable[str]) -> Explanation | None:
        """Return how one of these was made with the fewest deviations; `None`: not as is known."""
        wanted = [(digest, encoding) for digest, encoding in map(decode, signatures) if digest]
        best: Explanation | None = None
        for place, (way, _key, _head, _body) in enumerate(self._ways if wanted else ()):
            if best is not None and len(best.deviations) <= len(way.deviations):
                break  # those that follow deviate as much, or more
            found = [self._written(each) for digest, each in wanted if self._is(place, digest)]
            if found:
                best = Explanation(way.secret, (*way.deviations, *min(found, key=len)))
        return best

    def _written(self, encoding: str) -> tuple[Deviation, ...]:
        if encoding == self._encoding:
            return ()
        return (Deviation.HEX if encoding == "hex" else Deviation.BASE64,)

    def _is(self, place: int, digest: bytes) -> bool:
        if place == len(self._digests):
            _way, key, head, body = self._ways[place]
            self._digests.append(hmac.digest(key, head + body, "sha256"))
        return hmac.compare_digest(self._digests[place], digest)


def decode(signature: str) -> tuple[bytes | None, str]:
    """Return the digest that a text stands for, and how it is written; `None` where it is none."""
    text = signature.strip().strip("\"'")
    if len(text) == 2 * DIGEST_BYTES:
        try:
            return bytes.fromhex(text), "hex"
        except ValueError:
            return None, ""
    padded = text.rstrip("=").replace("-", "+").replace("_", "/")
    try:
        digest = base64.b64decode(padded + "=" * (-len(padded) % 4), validate=True)
    except ValueError:
        return None, ""
    return (digest, "base64") if len(digest) == DIGEST_BYTES else (None, "")


def reserialised(body: bytes) -> Iterator[bytes]:
    """Give the body as common libraries write it again; nothing where it is no JSON."""
    try:
        yield msgspec.json.format(body, indent=-1)
        value = json.loads(body)
    except (ValueError, RecursionError):
        return
    for options in (
        {"separators": (",", ":"), "ensure_ascii": False},  # JavaScript
        {"separators": (",", ":")},  # Ruby and Java with escapes
        {},  # Python
        {"ensure_ascii": False},
    ):
        text = json.dumps(value, **options)
        yield text.encode(errors="surrogatepass")
    if _indented_size(body) <= _LIMIT_GROWTH * len(body) + _SMALL_BYTES:
        yield json.dumps(value, indent=2, ensure_ascii=False).encode(errors="surrogatepass")
    text = json.dumps(value, separators=(",", ":"))
    yield text.replace("/", "\\/").encode()  # PHP


def _indented_size(body: bytes) -> int:
    """Return about how many spaces indenting adds at most: deep ones would be a thousandfold."""
    brackets = _NOT_BRACKETS.sub(b"", body)
    depth = max(accumulate(1 if bracket in b"[{" else -1 for bracket in brackets), default=0)
    return 2 * depth * (body.count(b",") + len(brackets))


def _ways(
    recipe: Recipe, content: Content, secrets: Sequence[Secret]
) -> list[tuple[Explanation, bytes, bytes, bytes]]:
    """Return keys, what precedes the body, and bodies; those with fewer deviations first."""
    ways = [
        (Explanation(secret, (*of_secret, *of_key, *of_parts, *of_body)), key, head, body)
        for secret in secrets
        for of_secret in ((() if secret.is_right else (Deviation.OTHER_SECRET,)),)
        for of_key, key in _keys(secret.text, recipe)
        for of_parts, head in _heads(recipe, content)
        for of_body, body in content.bodies
    ]
    return sorted(ways, key=lambda way: len(way[0].deviations))


def _keys(secret: str, recipe: Recipe) -> Iterator[Way]:
    text = secret.encode(errors="surrogatepass")
    decoded = _decoded(secret)
    if recipe.is_key_decoded:
        if decoded is not None:
            yield (), decoded
        yield (Deviation.KEY_NOT_DECODED,), text
    else:
        yield (), text
        if decoded is not None:
            yield (Deviation.KEY_DECODED,), decoded
    if secret.startswith(PREFIX):
        yield (Deviation.KEY_WITHOUT_PREFIX,), text[len(PREFIX) :]


def _decoded(secret: str) -> bytes | None:
    try:
        return standard_key(secret)
    except SettingRefused:
        return None


def _heads(recipe: Recipe, content: Content) -> Iterator[Way]:
    """Give what stands before the body: all parts, then some of them."""
    known = [content.parts[name] for name in recipe.parts if name in content.parts]
    if len(known) == len(recipe.parts):
        yield (), _joined(known)
    names = [name for name in ("id", "timestamp") if name in content.parts]
    for chosen in ((), ("timestamp",), ("id",), ("id", "timestamp")):
        if chosen != recipe.parts and all(name in names for name in chosen):
            yield (Deviation.PARTS,), _joined([content.parts[name] for name in chosen])


def _joined(parts: Iterable[str]) -> bytes:
    return "".join(f"{part}." for part in parts).encode(errors="surrogatepass")


def bodies_of(received: bytes, sent: bytes | None = None) -> list[Way]:
    """Return the body and what may have become of it, each once; `sent`: as the history has it."""
    found: dict[bytes, tuple[Deviation, ...]] = {received: ()}
    if sent is not None:
        found.setdefault(sent, (Deviation.BODY_SENT,))
    for body in list(found):
        found.setdefault(body.rstrip(b"\r\n"), (Deviation.BODY_NEWLINE,))
        found.setdefault(body + b"\n", (Deviation.BODY_NEWLINE,))
        found.setdefault(body.replace(b"\n", b"\r\n"), (Deviation.BODY_LINE_ENDS,))
        for again in reserialised(body):
            found.setdefault(again, (Deviation.BODY_RESERIALISED,))
    return [(deviations, body) for body, deviations in found.items()]
