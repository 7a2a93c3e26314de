"""Publishes by `publish()` and `publish_many()`, as a Django project does that has the apps inside.

    python -m bench.in_process SLUG SECONDS BATCH THREADS

in the environment of a stack; with a batch of 1 by `publish()`, each in its own transaction. Prints
events, seconds and CPU seconds as JSON.
"""

from __future__ import annotations

import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import django

from bench.projects import EVENT_TYPE
from bench.publisher import TEXT_CHARACTERS


def run(slug: str, *, seconds: float, batch: int, threads: int) -> dict[str, float]:
    """Publish for so long, from so many threads at once; return what it took."""
    from deliveries.publishing.ingest import NewEvent, publish, publish_many
    from subscriptions.models import Project

    project = Project.objects.get(slug=slug)
    data = {"n": 1, "text": "x" * TEXT_CHARACTERS}

    def publish_until(end: float) -> int:
        events = 0
        while time.monotonic() < end:
            if batch == 1:
                publish(project=project, event_type=EVENT_TYPE, data=data)
            else:
                publish_many(project=project, events=[NewEvent(EVENT_TYPE, data)] * batch)
            events += batch
        return events

    with ThreadPoolExecutor(threads) as pool:
        warm_up = time.monotonic() + 0.1 * seconds
        list(pool.map(publish_until, [warm_up] * threads))
        began, cpu_began = time.monotonic(), time.process_time()
        events = sum(pool.map(publish_until, [began + seconds] * threads))
        return {
            "events": events,
            "seconds": time.monotonic() - began,
            "cpu_seconds": time.process_time() - cpu_began,
        }


if __name__ == "__main__":
    django.setup()
    slug, seconds, batch, threads = sys.argv[1:]
    taken = run(slug, seconds=float(seconds), batch=int(batch), threads=int(threads))
    sys.stdout.write(json.dumps(taken))
