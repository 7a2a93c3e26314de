"""Drops what is too old, as beat lets a worker do every hour.

    python -m bench.prune
    python -m bench.prune --at 1767225600 --days-ago 2

When it is this time (seconds of the Unix clock), everything being loaded before, what was too old
so many days ago. In the environment of a stack; prints what it took and what went, as JSON.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from datetime import timedelta

import django
from django.utils import timezone


def run(*, begin_at: float | None, days_ago: int) -> dict[str, float]:
    """Prune once; all is loaded and connected before, as in a worker.

    Raises `ValueError` when that took until after `begin_at`.
    """
    from django.db import connection

    from deliveries.upkeep.pruning import prune

    connection.ensure_connection()
    if begin_at is not None:
        time.sleep(begin_at - time.time())
    began = time.monotonic()
    pruned = prune(now=timezone.now() - timedelta(days=days_ago))
    return {
        "seconds": time.monotonic() - began,
        "partitions": pruned.partitions,
        "rows": pruned.rows,
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m bench.prune", description=__doc__)
    parser.add_argument("--at", type=float, help="when to begin; at once by default")
    parser.add_argument("--days-ago", type=int, default=0)
    arguments = parser.parse_args()
    django.setup()
    done = run(begin_at=arguments.at, days_ago=arguments.days_ago)
    sys.stdout.write(json.dumps(done))
