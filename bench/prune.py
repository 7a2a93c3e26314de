"""Drops what is too old, as beat lets a worker do every hour, in a process that waits for its time.

    python -m bench.prune 1767225600 0

At this time (seconds of the Unix clock) what is too old today; or with another second number, what
was so many days ago. In the environment of a stack; prints what it took and what went, as JSON.
"""

from __future__ import annotations

import json
import sys
import time
from datetime import timedelta

import django
from django.utils import timezone


def run(*, begin_at: float, days_ago: int) -> dict[str, float]:
    """Prune once; all is loaded and connected before, as in a worker."""
    from django.db import connection

    from deliveries.upkeep.pruning import prune

    connection.ensure_connection()
    time.sleep(begin_at - time.time())  # fails where there was too little time to get ready
    began = time.monotonic()
    pruned = prune(now=timezone.now() - timedelta(days=days_ago))
    return {
        "seconds": time.monotonic() - began,
        "partitions": pruned.partitions,
        "rows": pruned.rows,
    }


if __name__ == "__main__":
    django.setup()
    done = run(begin_at=float(sys.argv[1]), days_ago=int(sys.argv[2]))
    sys.stdout.write(json.dumps(done))
