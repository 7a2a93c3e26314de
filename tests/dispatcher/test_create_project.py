"""`manage.py create_project` makes a project and the key to work with it."""

from __future__ import annotations

import json
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from subscriptions.access.api_keys import ALL_SCOPES, authenticate
from subscriptions.models import ApiKey, Project

pytestmark = pytest.mark.django_db


def create(*arguments: str) -> str:
    output = StringIO()
    call_command("create_project", *arguments, stdout=output)
    return output.getvalue()


def test_the_key_it_prints_opens_the_project() -> None:
    printed = json.loads(create("Acme Ltd", "--json"))

    assert set(printed) == {"project", "api_key"}
    key = authenticate(printed["api_key"])
    assert key is not None
    assert key.project is not None
    assert key.project.slug == printed["project"] == "acme-ltd"
    assert key.project.name == "Acme Ltd"
    assert set(key.scopes) == set(ALL_SCOPES)


def test_without_json_it_prints_sentences_for_people() -> None:
    printed = create("Acme")

    assert "acme" in printed
    assert "whd_" in printed
    with pytest.raises(json.JSONDecodeError):
        json.loads(printed)


def test_https_only_is_the_default_and_can_be_turned_off() -> None:
    create("Strict")
    create("Lax", "--allow-http")

    assert dict(Project.objects.values_list("slug", "is_https_only")) == {
        "strict": True,
        "lax": False,
    }


def test_each_project_has_a_slug_of_its_own() -> None:
    slugs = [json.loads(create(name, "--json"))["project"] for name in ["Acme", "acme", "ACME!"]]

    assert slugs == ["acme", "acme-2", "acme-3"]


@pytest.mark.parametrize(
    ("name", "slug"),
    [
        ("翻訳", "project"),
        ("Über GmbH", "uber-gmbh"),
        ("a" * 200, "a" * 63),
        ("  spaced  ", "spaced"),
        ("../admin", "admin"),
    ],
)
def test_any_name_makes_a_slug(name: str, slug: str) -> None:
    assert json.loads(create(name, "--json"))["project"] == slug


def test_a_long_name_keeps_its_number() -> None:
    create("a" * 200)

    assert json.loads(create("a" * 200, "--json"))["project"] == "a" * 61 + "-2"


@pytest.mark.parametrize("name", ["", "   ", "x" * 201, "a\nb", "a\0b"])
def test_a_name_that_is_none_makes_nothing(name: str) -> None:
    with pytest.raises(CommandError, match="name"):
        create(name)

    assert not Project.objects.exists()
    assert not ApiKey.objects.exists()
