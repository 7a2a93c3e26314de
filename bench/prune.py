"""Drops what is too old, as beat lets a worker do every hour: `python -m bench.prune`.

In the environment of a stack; prints what it took and what went, as JSON.
"""

from __future__ import annotations

import json
import sys
import time

import django


def run() -> dict[str, float]:
    """Prune once; the connection is there before the clock runs."""
    from django.db import connection

    from deliveries.upkeep.pruning import prune

    connection.ensure_connection()
    began = time.monotonic()
    pruned = prune()
    return {
        "seconds": time.monotonic() - began,
        "partitions": pruned.partitions,
        "rows": pruned.rows,
    }


if __name__ == "__main__":
    django.setup()
    sys.stdout.write(json.dumps(run()))
