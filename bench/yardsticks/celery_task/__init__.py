"""The usual way: a Celery task for each delivery that POSTs with `requests` and saves by the ORM.

A small Django project of its own, as most that send webhooks are: a table of deliveries, one of
attempts, `deliver.delay(delivery.pk)` after each, prefork workers, Redis as the broker.
"""
