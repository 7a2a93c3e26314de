"""A project has no more subscriptions than it may, however many are made at once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from django.conf import LazySettings
from django.db import connection

from subscriptions.field_errors import FieldsRefused
from subscriptions.models import Project, Subscription
from subscriptions.subscription_changes import create_subscription, delete_subscription
from tests.api_client import ApiClient, errors_of
from tests.factories import make_project, make_subscription

SETTINGS = {"url": "http://example.com/inbox", "event_types": ["*"]}


def create(project: Project) -> bool:
    """Return whether one more was made."""
    try:
        create_subscription(project, {"url": "http://example.com/inbox", "event_types": ["*"]})
    except FieldsRefused as refusal:
        return refusal.errors[0].code != "limit_reached"
    finally:
        connection.close()
    return True


@pytest.mark.django_db
def test_one_more_than_the_limit_is_refused_until_one_is_deleted(settings: LazySettings) -> None:
    settings.DISPATCHER_SUBSCRIPTIONS_PER_PROJECT = 2
    first = make_subscription()
    client = ApiClient(first.project)
    assert client.post("subscriptions", SETTINGS).status_code == 201
    assert errors_of(client.post("subscriptions", SETTINGS), 400) == {"": "limit_reached"}
    assert ApiClient(make_project()).post("subscriptions", SETTINGS).status_code == 201
    delete_subscription(first)
    assert client.post("subscriptions", SETTINGS).status_code == 201


@pytest.mark.django_db(transaction=True)
def test_creations_at_once_do_not_exceed_it(settings: LazySettings) -> None:
    settings.DISPATCHER_SUBSCRIPTIONS_PER_PROJECT = 3
    project = make_project()
    with ThreadPoolExecutor(6) as threads:
        made = list(threads.map(create, [project] * 12))
    assert sum(made) == 3
    assert Subscription.objects.filter(project=project).count() == 3
