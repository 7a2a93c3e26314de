"""Publishes by `publish()` and `publish_many()`, as a Django project does that has the apps inside.

    python -m bench.in_process SLUG SECONDS BATCH

in the environment of a stack; with a batch of 1 by `publish()`, each in its own transaction. Prints
events, seconds and CPU seconds as JSON.
"""

from __future__ import annotations

import json
import sys
import time

import django

from bench.projects import EVENT_TYPE
from bench.publisher import TEXT_CHARACTERS


def run(slug: str, *, seconds: float, batch: int) -> dict[str, float]:
    """Publish for so long; return what it took."""
    from deliveries.publishing.ingest import NewEvent, publish, publish_many
    from subscriptions.models import Project

    project = Project.objects.get(slug=slug)
    data = {"n": 1, "text": "x" * TEXT_CHARACTERS}
    events = 0
    publish(project=project, event_type=EVENT_TYPE, data=data)  # connects
    began, cpu_began = time.monotonic(), time.process_time()
    while time.monotonic() < began + seconds:
        if batch == 1:
            publish(project=project, event_type=EVENT_TYPE, data=data)
        else:
            publish_many(project=project, events=[NewEvent(EVENT_TYPE, data)] * batch)
        events += batch
    return {
        "events": events,
        "seconds": time.monotonic() - began,
        "cpu_seconds": time.process_time() - cpu_began,
    }


if __name__ == "__main__":
    django.setup()
    taken = run(sys.argv[1], seconds=float(sys.argv[2]), batch=int(sys.argv[3]))
    sys.stdout.write(json.dumps(taken))
