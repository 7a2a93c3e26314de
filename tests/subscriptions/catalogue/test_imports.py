"""Ready catalogues: complete, with examples that are the documented ones, and added only once."""

from __future__ import annotations

import json
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from subscriptions.catalogue import entries as event_catalogue
from subscriptions.catalogue.entries import DESCRIPTION_LIMIT_CHARACTERS, create_event_type
from subscriptions.catalogue.imports import CATALOGUES, import_catalogue, ready_types
from subscriptions.event_types import is_event_type
from subscriptions.models import AuditEntry, EventType
from subscriptions.payload import payload_from_json
from tests.api_client import ApiClient, errors_of
from tests.factories import make_project

DATA = Path(__file__).parents[2] / "deliveries" / "data"


@pytest.mark.parametrize("catalogue", CATALOGUES)
def test_every_entry_is_one_that_could_be_made_by_hand(catalogue: str) -> None:
    for ready in ready_types(catalogue):
        assert is_event_type(ready.name)
        assert ready.description.endswith(".")
        assert len(ready.description) <= DESCRIPTION_LIMIT_CHARACTERS
        assert not ready.example or payload_from_json(ready.example).text == ready.example


def test_phrases_catalogue_has_the_48_names_and_the_documented_sample() -> None:
    names = (DATA / "phrase_event_types.txt").read_text().split()
    sample = json.loads((DATA / "phrase_translations_create.json").read_text())
    entries = {ready.name: ready for ready in ready_types("phrase")}

    assert sorted(entries) == sorted(names)
    assert len(entries) == 48
    name = sample.pop("event")
    assert json.loads(entries[name].example) == sample


def test_repsonas_catalogue_has_the_documented_sample() -> None:
    sample = json.loads((DATA / "repsona_task_update.json").read_text())
    entries = {ready.name: ready for ready in ready_types("repsona")}
    assert json.loads(entries[sample["type"]].example) == sample["event"]


@pytest.mark.django_db
def test_what_is_there_already_is_left_alone() -> None:
    api = ApiClient(make_project())
    create_event_type(api.project, {"name": "keys:create", "description": "Ours"})

    first = api.post("event-types/import", {"catalogue": "phrase"})
    again = api.post("event-types/import", {"catalogue": "phrase"})

    assert first.json() == {"added": 47, "existing": 1}
    assert again.json() == {"added": 0, "existing": 48}
    assert EventType.objects.get(name="keys:create").description == "Ours"
    assert AuditEntry.objects.filter(action="event_type.created").count() == 48


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("body", "errors"),
    [
        ({}, {"catalogue": "required"}),
        ({"catalogue": "slack"}, {"catalogue": "invalid_choice"}),
        ({"catalogue": None}, {"catalogue": "null"}),
        ({"catalogue": ["phrase"]}, {"catalogue": "invalid_choice"}),
        ({"catalogue": "phrase", "x": 1}, {"x": "unknown"}),
    ],
)
def test_a_wrong_import_is_400(body: object, errors: dict[str, str]) -> None:
    assert errors_of(ApiClient(make_project()).post("event-types/import", body), 400) == errors
    assert not EventType.objects.exists()


@pytest.mark.django_db
def test_the_command_says_how_many_were_added() -> None:
    project = make_project()
    said = StringIO()

    call_command("import_event_types", project.slug, "repsona", stdout=said)
    call_command("import_event_types", project.slug, "repsona", stdout=said)

    assert said.getvalue() == "6 added, 0 were there already.\n0 added, 6 were there already.\n"
    with pytest.raises(CommandError, match="no project"):
        call_command("import_event_types", "nobody", "phrase")
    assert AuditEntry.objects.filter(actor_kind="command").count() == 6


@pytest.mark.django_db
def test_an_import_adds_all_or_nothing_where_room_is_short(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    api = ApiClient(make_project())
    import_catalogue(api.project, "repsona")
    monkeypatch.setattr(event_catalogue, "LIMIT_TYPES", 20)

    refused = api.post("event-types/import", {"catalogue": "phrase"})
    assert errors_of(refused, 400) == {"": "limit_reached"}
    with pytest.raises(CommandError, match="at most 20"):
        call_command("import_event_types", api.project.slug, "phrase")
    assert EventType.objects.count() == 6

    monkeypatch.setattr(event_catalogue, "LIMIT_TYPES", 6)
    assert import_catalogue(api.project, "repsona").added == 0


@pytest.mark.django_db
def test_an_import_touches_one_project_only() -> None:
    project = make_project()
    make_project()
    import_catalogue(project, "phrase")
    assert EventType.objects.exclude(project=project).count() == 0
