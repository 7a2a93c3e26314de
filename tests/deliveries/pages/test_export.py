"""Exports of the history: all of what the filters find, safe for spreadsheets, holding nothing."""

from __future__ import annotations

import csv
import io
import json
from contextlib import ExitStack
from datetime import timedelta
from typing import Any

import pytest
from django.core.signals import request_finished
from django.db import close_old_connections
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from deliveries import costly_requests
from deliveries.models import Delivery
from deliveries.pages import export
from deliveries.pages.export import cell
from subscriptions.ids import to_public
from subscriptions.models import Member, Project, Subscription
from tests.deliveries.history_rows import add_delivery
from tests.deliveries.pages.samples import signed_in
from tests.factories import make_project, make_subscription

pytestmark = pytest.mark.django_db


@pytest.fixture
def subscription() -> Subscription:
    return make_subscription(url="http://127.0.0.1:9/inbox?a=1,2")


@pytest.fixture
def viewer(subscription: Subscription) -> Client:
    return signed_in(subscription.project, Member.Role.VIEWER)


def exported(client: Client, subscription: Subscription, **query: Any) -> str:
    response = client.get(reverse("deliveries-export", args=[subscription.project.slug]), query)
    assert response.status_code == 200
    assert response["Content-Disposition"].startswith('attachment; filename="deliveries-')
    return b"".join(response.streaming_content).decode()  # type: ignore[attr-defined]


def add(subscription: Subscription, count: int, **fields: Any) -> list[Delivery]:
    now = timezone.now()
    return [
        add_delivery(subscription, now - timedelta(seconds=number), **fields)
        for number in range(count)
    ]


def test_a_table_has_all_that_the_filters_find_batch_after_batch(
    viewer: Client, subscription: Subscription, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "BATCH_ROWS", 3)
    failed = add(subscription, 7, status="failed")
    add(subscription, 2)
    rows = list(csv.DictReader(io.StringIO(exported(viewer, subscription, status="failed"))))
    assert [row["id"] for row in rows] == [to_public("dlv", each.id) for each in failed]
    assert rows[0]["subscription_url"] == subscription.url
    assert rows[0]["test"] == "false"
    assert rows[0]["last_status_code"] == "500"


def test_json_lines_have_the_same(viewer: Client, subscription: Subscription) -> None:
    (delivery,) = add(subscription, 1, event_type="Task.update")
    (line,) = exported(viewer, subscription, format="jsonl").splitlines()
    row = json.loads(line)
    assert row["id"] == to_public("dlv", delivery.id)
    assert row["last_status_code"] == 200
    assert row["finished_at"] is None


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_no_cell_is_a_formula(start: str) -> None:
    assert cell(f"{start}1+1") == f"'{start}1+1"


def test_harmless_cells_stay_as_they_are() -> None:
    assert [cell(value) for value in (None, True, 200, "a=b")] == ["", "true", "200", "a=b"]


def test_an_export_is_bounded_and_says_where_it_ends(
    viewer: Client, subscription: Subscription, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "BATCH_ROWS", 2)
    monkeypatch.setattr(export, "ROWS_AT_MOST", 4)
    add(subscription, 6)
    lines = exported(viewer, subscription).splitlines()
    assert len(lines) == 1 + 4 + 1
    assert "with more to come" in lines[-1]
    monkeypatch.setattr(export, "ROWS_AT_MOST", 100)
    monkeypatch.setattr(export, "LONGEST_SECONDS", -1.0)
    assert "with more to come" in exported(viewer, subscription, format="jsonl").splitlines()[-1]


def begin(client: Client, project: Project, method: str = "get", **query: Any) -> Any:
    return getattr(client, method)(reverse("deliveries-export", args=[project.slug]), query)


def close(response: Any) -> None:
    """As a server does when nobody reads; the test's own connection stays open."""
    request_finished.disconnect(close_old_connections)
    response.close()
    request_finished.connect(close_old_connections)


def test_a_process_sends_two_exports_at_once_and_one_of_a_project() -> None:
    projects = [make_project() for _ in range(3)]
    first, second, third = (signed_in(project, Member.Role.VIEWER) for project in projects)
    unread = begin(first, projects[0])
    refused = begin(first, projects[0])
    assert (unread.status_code, refused.status_code) == (200, 429)
    assert refused["Retry-After"] == "10"
    assert "Try again in 10 seconds." in refused.content.decode()
    also_unread = begin(second, projects[1])
    assert begin(third, projects[2]).status_code == 429
    close(unread)
    close(unread)  # gives nobody else's place back
    last = begin(third, projects[2])
    assert last.status_code == 200
    assert begin(first, projects[0]).status_code == 429
    for response in (also_unread, last):
        assert b"".join(response.streaming_content)  # and Django's client closes it
    assert export.places._taken == set()


def test_exports_do_not_take_the_places_of_other_costly_requests(
    viewer: Client, subscription: Subscription
) -> None:
    add(subscription, 1)
    with ExitStack() as stack:
        for _ in range(costly_requests.PLACES):
            assert stack.enter_context(costly_requests.place())
        assert len(exported(viewer, subscription).splitlines()) == 2


def test_what_cannot_be_exported_holds_no_place(
    viewer: Client, subscription: Subscription, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = subscription.project
    assert begin(viewer, project, status="done").status_code == 302
    assert begin(viewer, project, subscription="sub_" + "0" * 32).status_code == 302

    def fail(*_arguments: Any) -> None:
        raise RuntimeError

    monkeypatch.setattr(export, "read_batch", fail)
    with pytest.raises(RuntimeError):
        begin(viewer, project)
    assert export.places._taken == set()


def test_filters_that_make_no_sense_lead_back_to_the_list(
    viewer: Client, subscription: Subscription
) -> None:
    address = reverse("deliveries-export", args=[subscription.project.slug])
    response = viewer.get(address, {"status": "done"})
    assert response.status_code == 302
    assert response["Location"].endswith("?status=done")
