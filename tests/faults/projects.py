"""Makes projects for the rig, many in one process: `python -m tests.faults.projects NAME …`.

Prints `[slug, API key]` of each as JSON. To start Django costs more than all of them.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable

import django


def make(names: Iterable[str]) -> list[tuple[str, str]]:
    """Make them as `manage.py create_project --allow-http` does."""
    from subscriptions.access.acting import acting_as, command_user
    from subscriptions.access.api_keys import make_key
    from subscriptions.access.projects import create_project

    made = []
    with acting_as(command_user):
        for name in names:
            project = create_project(name, is_https_only=False)
            _, plain = make_key(project, name="rig")
            made.append((project.slug, plain))
    return made


if __name__ == "__main__":
    django.setup()
    sys.stdout.write(json.dumps(make(sys.argv[1:])))
