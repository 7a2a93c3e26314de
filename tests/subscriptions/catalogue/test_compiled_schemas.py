"""Schemas that are kept ready: the latest of each, and room that no project takes from others."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from subscriptions.catalogue.compiled_schemas import CompiledSchemas
from subscriptions.catalogue.json_schema import compile_schema

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SCHEMA = compile_schema("{}")


def keep(kept: CompiledSchemas, project: int, number: int, characters: int = 1000) -> None:
    kept.keep(
        SCHEMA, project_id=project, event_type_id=number, changed_at=NOW, characters=characters
    )


def is_kept(kept: CompiledSchemas, project: int, number: int) -> bool:
    return kept.find(project, number, NOW) is not None


def test_a_schema_is_found_until_it_is_changed() -> None:
    kept = CompiledSchemas()
    keep(kept, 1, 7)

    assert kept.find(1, 7, NOW) is SCHEMA
    assert kept.find(1, 7, NOW + timedelta(seconds=1)) is None
    assert kept.find(1, 8, NOW) is None


def test_a_project_with_very_many_pushes_out_its_own() -> None:
    kept = CompiledSchemas(limit_characters=10_000)
    keep(kept, 1, 1)
    for number in range(2, 100):
        keep(kept, 2, number)

    assert is_kept(kept, 1, 1)
    assert [n for n in range(2, 100) if is_kept(kept, 2, n)] == list(range(91, 100))


def test_what_is_used_stays_longer() -> None:
    kept = CompiledSchemas(limit_characters=3000)
    for number in range(3):
        keep(kept, 1, number)
    assert is_kept(kept, 1, 0)
    keep(kept, 1, 3)

    assert [n for n in range(4) if is_kept(kept, 1, n)] == [0, 2, 3]


def test_a_large_schema_takes_the_room_of_many() -> None:
    kept = CompiledSchemas(limit_characters=10_000)
    for number in range(5):
        keep(kept, 1, number)
    keep(kept, 1, 5, characters=9000)
    assert [n for n in range(6) if is_kept(kept, 1, n)] == [4, 5]
    keep(kept, 1, 5)  # compiled again, it takes its room once
    keep(kept, 1, 6, characters=8000)
    assert [n for n in range(7) if is_kept(kept, 1, n)] == [4, 5, 6]
