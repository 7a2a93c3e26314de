"""The pages are complete in Japanese, and what is committed is what the code says."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from babel.messages.catalog import Message
from django.utils import translation

from subscriptions.pages.refusal_words import PLACE, SENTENCES, in_page_language
from tests import messages

_AGAIN = "run `make messages`, and translate what it names"
_PLACEHOLDER = re.compile(r"%\(\w+\)[sd]|%%n")
_TAG = re.compile(r"<[^>]+>")


def translated() -> list[Message]:
    return [message for message in messages.read_text() if message.id]


def forms_of(message: Message) -> tuple[str, str]:
    """Return what is translated and its translation; Japanese has one form, that of many."""
    source = message.id if isinstance(message.id, str) else message.id[1]
    words = message.string if isinstance(message.string, str) else (message.string or ("",))[0]
    return source, words


def test_every_sentence_of_the_pages_is_in_the_catalogue_and_nothing_else() -> None:
    wanted = {(message.context, message.id) for message in messages.collect() if message.id}
    had = {(message.context, message.id) for message in translated()}
    assert wanted - had == set(), _AGAIN
    assert had - wanted == set(), _AGAIN
    assert not messages.read_text().obsolete, _AGAIN


def test_every_sentence_is_translated_for_certain() -> None:
    missing = [message.id for message in translated() if not messages.is_translated(message)]
    assert missing == [], _AGAIN
    assert [message.id for message in translated() if message.fuzzy] == []


def test_a_translation_has_the_placeholders_and_tags_of_its_sentence() -> None:
    for message in translated():
        source, words = forms_of(message)
        for part in (_PLACEHOLDER, _TAG):
            assert Counter(part.findall(words)) == Counter(part.findall(source)), words
        if _PLACEHOLDER.search(source) and "python-format" in message.flags:
            rest = re.sub(r"%\(\w+\)[sd]|%%|%[25][5C]", "", words)
            assert "%" not in rest, words


def test_what_is_compiled_is_what_is_written() -> None:
    compiled = messages.as_pairs(messages.read_compiled())
    assert compiled == messages.as_pairs(messages.read_text()), _AGAIN


def test_templates_and_code_are_both_looked_through() -> None:
    found = {message.id for message in messages.collect()}
    assert {"Skip to content", "Overview", "%(host)s accepted it."} <= found
    assert ("%(n)s failure in a row", "%(n)s failures in a row") in found


def test_the_sentences_of_rules_are_as_the_rules_say_them() -> None:
    said = set(sentences_of_rules())
    known = [PLACE.sub("{}", sentence) for sentence in SENTENCES]
    assert [sentence for sentence in known if sentence not in said] == []
    assert len(known) == len(set(known))


def sentences_of_rules() -> Iterator[str]:
    """Yield the texts of the code below the pages, with {} where a value is put in."""
    for app in ("deliveries", "subscriptions"):
        for path in sorted((messages.HERE / app).rglob("*.py")):
            if "pages" not in path.parts:
                yield from texts_of(path)


def texts_of(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.JoinedStr):
            parts = (str(p.value) if isinstance(p, ast.Constant) else "{}" for p in node.values)
            yield "".join(parts)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield re.sub(r"\{\w+\}", "{}", node.value)


@pytest.mark.parametrize("sentence", SENTENCES)
def test_a_rules_sentence_stays_what_it_is_in_english(sentence: str) -> None:
    said = PLACE.sub("x 1", sentence)
    with translation.override("en"):
        assert in_page_language(said) == said


def test_a_rules_sentence_keeps_its_values_in_japanese() -> None:
    with translation.override("ja"):
        assert in_page_language("The URL must begin with https://.") == (
            "URLは https:// で始まる必要があります。"
        )
        assert in_page_language("At most 64 event types can be listed; use a prefix.") == (
            "イベントタイプは64件までです。前方一致を使ってください。"
        )
        assert in_page_language("Its example: The payload is not valid UTF-8.") == (
            "登録されている例: ペイロードが正しいUTF-8ではありません。"
        )


def test_a_value_that_looks_like_a_placeholder_is_shown_as_it_is() -> None:
    with translation.override("ja"):
        said = in_page_language("The header '%(count)s' cannot be set: its name is reserved.")
    assert "'%(count)s'" in said


def test_a_sentence_that_is_not_known_is_shown_as_the_rule_said_it() -> None:
    with translation.override("ja"):
        assert in_page_language("9 is not of type 'string'") == "9 is not of type 'string'"
