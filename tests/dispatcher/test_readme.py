"""The README names files, routes and commands that exist."""

from __future__ import annotations

import re
from pathlib import Path

from django.conf import settings
from django.core.management import get_commands
from django.urls import resolve

ROOT = Path(settings.BASE_DIR)
README = (ROOT / "README.md").read_text()
ID = "0" * 32


def test_every_file_that_the_table_names_is_there() -> None:
    rows = re.findall(
        r"^\| .+ \| (`.+`.*) \|$", README.partition("## Where is …?")[2], re.MULTILINE
    )
    assert len(rows) > 8
    for row in rows:
        folder = Path()
        for name in re.findall(r"`([^`]+)`", row):
            path = Path(name)
            folder = folder if len(path.parts) == 1 else path if name.endswith("/") else path.parent
            assert (ROOT / folder / path.name).exists() or (ROOT / path).exists(), name


def test_every_route_that_the_table_names_leads_somewhere() -> None:
    routes = re.findall(r"`(?:[A-Z`, ]+)? ?(/(?:events|subscriptions|deliveries)[^`]*)`", README)
    assert len(routes) > 7
    for route in routes:
        prefix = "dlv" if route.startswith("/deliveries") else "sub"
        path = "/api/v1/projects/demo" + route.replace("{id}", f"{prefix}_{ID}")
        assert resolve(path).url_name, f"{route} is answered by the route for what is unknown"


def test_every_command_that_is_named_exists() -> None:
    documents = [README, (ROOT / ".env.example").read_text()]
    named = re.findall(r"manage\.py (\w+)", "\n".join(documents))
    assert named
    assert set(named) <= set(get_commands())
