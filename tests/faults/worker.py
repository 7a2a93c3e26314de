"""A Celery worker with a failpoint, or of a broken build: `python -m tests.faults.worker NAME …`.

What follows the name is Celery's own command line. Nothing else starts workers this way.
"""

from __future__ import annotations

import sys

import django


def main() -> None:
    """Patch, then hand over to Celery."""
    name, *arguments = sys.argv[1:]
    django.setup()

    from dispatcher.celery import app
    from tests.faults.broken_builds import BROKEN_BUILDS
    from tests.faults.failpoints import FAILPOINTS

    (FAILPOINTS | BROKEN_BUILDS)[name]()
    app.start(arguments)


if __name__ == "__main__":
    main()
