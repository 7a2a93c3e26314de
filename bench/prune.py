"""Drops what is too old, as beat lets a worker do every hour: `python -m bench.prune 0`.

Or, with another number, what was too old so many days ago. In the environment of a stack; prints
what it took and what went, as JSON.
"""

from __future__ import annotations

import json
import sys
import time
from datetime import timedelta

import django
from django.utils import timezone


def run(days_ago: int) -> dict[str, float]:
    """Prune once; the connection is there before the clock runs."""
    from django.db import connection

    from deliveries.upkeep.pruning import prune

    connection.ensure_connection()
    began = time.monotonic()
    pruned = prune(now=timezone.now() - timedelta(days=days_ago))
    return {
        "seconds": time.monotonic() - began,
        "partitions": pruned.partitions,
        "rows": pruned.rows,
    }


if __name__ == "__main__":
    django.setup()
    sys.stdout.write(json.dumps(run(int(sys.argv[1]))))
