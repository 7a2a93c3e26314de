"""Puts deliveries and a task for each into its queue: `python -m …fill URL COUNT`.

The first call makes the tables.
"""

from __future__ import annotations

import sys

import django

SUBSCRIPTIONS = 200
TEXT_CHARACTERS = 900


def fill(url: str, count: int) -> None:
    """Store deliveries, spread over the subscriptions, and call the task for each."""
    from django.db import connection

    from bench.yardsticks.celery_task.models import Attempt, Delivery, Subscription
    from bench.yardsticks.celery_task.tasks import deliver

    if Subscription._meta.db_table not in connection.introspection.table_names():
        with connection.schema_editor() as editor:
            for model in (Subscription, Delivery, Attempt):
                editor.create_model(model)
        Subscription.objects.bulk_create(
            Subscription(url=url, secret=f"secret {n}") for n in range(SUBSCRIPTIONS)
        )
    ids = list(Subscription.objects.values_list("pk", flat=True))
    deliveries = Delivery.objects.bulk_create(
        Delivery(
            subscription_id=ids[n % SUBSCRIPTIONS],
            event_type="Task.update",
            payload={"n": n, "text": "x" * TEXT_CHARACTERS},
        )
        for n in range(count)
    )
    for delivery in deliveries:
        deliver.delay(delivery.pk)


if __name__ == "__main__":
    django.setup()
    import bench.yardsticks.celery_task.celery  # noqa: F401  # the app whose task is called

    fill(sys.argv[1], int(sys.argv[2]))
