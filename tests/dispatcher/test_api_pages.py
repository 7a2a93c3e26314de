"""The API's description is public, the same everywhere, and can be browsed with files of ours."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from django.conf import settings
from django.contrib.staticfiles import finders
from django.core.management import call_command
from django.test import Client

FILE = Path(settings.BASE_DIR) / "docs" / "reference" / "openapi.yaml"
AGAIN = "run: python manage.py spectacular --file docs/reference/openapi.yaml"


def test_the_committed_description_is_what_the_code_makes(tmp_path: Path) -> None:
    made = tmp_path / "openapi.yaml"
    call_command("spectacular", file=str(made), validate=True, fail_on_warn=True)
    assert made.read_text() == FILE.read_text(), AGAIN


def test_the_description_needs_no_key_and_is_fetched_once() -> None:
    answer = Client().get("/api/v1/openapi.json")
    assert answer.status_code == 200
    assert answer.json()["openapi"].startswith("3.1.")
    assert answer["Cache-Control"] == "public, max-age=300"

    again = Client().get("/api/v1/openapi.json", headers={"If-None-Match": answer["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert again["Cache-Control"] == "public, max-age=300"


@pytest.mark.parametrize("path", ["openapi.json", "docs"])
def test_the_description_is_only_read(path: str) -> None:
    answer = Client(enforce_csrf_checks=True).post(f"/api/v1/{path}")
    assert answer.status_code == 405
    assert answer["Content-Type"] == "application/problem+json"


def test_the_page_runs_files_of_ours_only() -> None:
    answer = Client().get("/api/v1/docs")
    page = answer.content.decode()
    sources = re.findall(r'(?:src|href)="([^"]+)"', page)
    static = [source.removeprefix("/static/") for source in sources if "/static/" in source]
    assert len(static) == 4
    assert all(finders.find(name) for name in static), static
    assert not [source for source in sources if not source.startswith("/")]
    assert not re.search(r"<script>|<style|style=|onload=", page)
    policy = answer["Content-Security-Policy"]
    assert "script-src 'self';" in policy
    assert "unsafe" not in policy
