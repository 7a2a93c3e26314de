"""Pages link to collected files by their hashed names, and work where nothing was collected."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.contrib.staticfiles.storage import staticfiles_storage

from dispatcher.static_files import CollectedFiles

ICON = "dispatcher/icon.svg"


def collected(folder: Path) -> Path:
    """Collect as the image's build does: with none of our variables but the two directories."""
    ours = re.compile(r"DISPATCHER_\w+|DATABASE_URL|REDIS_URL|PORT|DJANGO_SETTINGS_MODULE")
    environment = {name: value for name, value in os.environ.items() if not ours.fullmatch(name)}
    static = folder / "static"
    environment |= {
        "DISPATCHER_DATA_DIR": str(folder / "data"),
        "DISPATCHER_STATIC_ROOT": str(static),
    }
    subprocess.run(
        [sys.executable, "manage.py", "collectstatic", "--noinput", "--verbosity=0"],
        cwd=settings.BASE_DIR,
        env=environment,
        check=True,
    )
    return static


def test_what_is_collected_is_compressed_and_linked_by_its_hashed_name(
    tmp_path: Path, settings: Any
) -> None:
    static = collected(tmp_path)
    settings.WHITENOISE_USE_FINDERS = False
    name = CollectedFiles(location=str(static), base_url="/static/").stored_name(ICON)
    assert re.fullmatch(r"dispatcher/icon\.[0-9a-f]{12}\.svg", name)
    assert (static / name).exists()
    assert (static / f"{name}.gz").exists()

    settings.WHITENOISE_USE_FINDERS = True  # `manage.py up`, whatever lies there from before
    assert CollectedFiles(location=str(static), base_url="/static/").stored_name(ICON) == ICON


@pytest.mark.parametrize("is_found", [True, False])
def test_where_nothing_was_collected_files_have_their_own_names(
    settings: Any, is_found: bool
) -> None:
    settings.WHITENOISE_USE_FINDERS = is_found
    assert staticfiles_storage.url(ICON) == f"/static/{ICON}"
