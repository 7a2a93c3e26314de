"""`manage.py audit`: what it prints, and how it ends."""

from __future__ import annotations

import json
from io import StringIO
from uuid import UUID

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from deliveries.models import Delivery, Event
from deliveries.publishing.ingest import publish
from subscriptions.models import Project
from tests.factories import make_project, make_subscription

pytestmark = pytest.mark.django_db


@pytest.fixture
def project() -> Project:
    project = make_project(slug="acme")
    for _ in range(3):
        make_subscription(project=project)
    return project


def publish_some(project: Project, count: int) -> list[UUID]:
    return [publish(project=project, event_type="a.b", data={}).id for _ in range(count)]


def delivery_of(event_id: UUID) -> Delivery:
    return Delivery.objects.filter(event_id=event_id).order_by("id")[0]


def run(*arguments: str) -> tuple[int, str]:
    output = StringIO()
    try:
        call_command("audit", *arguments, stdout=output)
    except SystemExit as end:
        return int(str(end.code)), output.getvalue()
    return 0, output.getvalue()


def test_the_command_says_that_all_adds_up(project: Project) -> None:
    publish_some(project, 2)

    status, printed = run()

    assert status == 0
    assert "2 events matched 6 deliveries: 0 succeeded" in printed
    assert "Everything adds up." in printed


def test_the_command_ends_with_1_and_names_what_does_not_add_up(project: Project) -> None:
    events = publish_some(project, 2)
    delivery_of(events[0]).delete()
    stray = delivery_of(events[1])
    Event.objects.filter(id=events[1]).delete()

    status, printed = run("--project", "acme")

    assert status == 1
    assert f"evt_{events[0].hex} of acme matched 3, has 2" in printed
    assert f"dlv_{stray.id.hex} of acme is of evt_{events[1].hex}, which does not exist" in printed


def test_the_command_prints_one_object(project: Project) -> None:
    (event,) = publish_some(project, 1)
    delivery_of(event).delete()
    today = timezone.now().date().isoformat()

    status, printed = run("--json", "--since", today)

    assert status == 1
    assert json.loads(printed) == {
        "balanced": False,
        "complete": True,
        "since": today,
        "until": today,
        "days": [
            {
                **{"day": today, "project": "acme", "events": 1, "matched": 3, "pending": 2},
                **{"succeeded": 0, "failed": 0, "cancelled": 0, "sending": 0, "overdue": 0},
                **{"difference": 1, "unbalanced": 1, "strays": 0},
            }
        ],
        "unbalanced": [
            {"project": "acme", "event": f"evt_{event.hex}", "matched": 3, "counted": 2}
        ],
        "strays": [],
        "truncated": False,
    }


@pytest.mark.parametrize(
    "arguments",
    [["--project", "nobody"], ["--since", "yesterday"], ["--since", "9000-01-01"]],
)
def test_the_command_refuses_what_it_cannot_look_at(arguments: list[str]) -> None:
    with pytest.raises(CommandError):
        run(*arguments)
