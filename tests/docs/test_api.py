"""The page of the API names every route, scope and member that the code has, and nothing else."""

from __future__ import annotations

import json
import re

import pytest
from django.urls import URLPattern
from rest_framework import serializers

import deliveries.urls
import subscriptions.urls
from deliveries.api.event_serializers import (
    EventQuery,
    EventWithDeliveriesSerializer,
    MatchSerializer,
)
from deliveries.api.recovery_serializers import (
    NewRecoverySerializer,
    RecoveryEstimateSerializer,
    RecoverySerializer,
)
from deliveries.api.serializers import AttemptSerializer, DeliverySerializer
from deliveries.api.stats_serializers import (
    PreviewSerializer,
    StatsQuery,
    StatsSerializer,
    UrlCheckSerializer,
)
from deliveries.history.delivery_query import DeliveryQuery
from subscriptions.access.audit_log import Action
from subscriptions.api.audit_log import AuditEntrySerializer, AuditQuery
from subscriptions.api.event_type_serializers import EventTypeSerializer
from subscriptions.api.keys import KeySerializer
from subscriptions.api.members import MemberSerializer
from subscriptions.api.projects import ProjectSerializer
from subscriptions.api.serializers import RotationSerializer, SubscriptionSerializer
from subscriptions.models import ApiKey
from subscriptions.rest.strict_fields import StrictSerializer
from tests.api_client import ApiClient
from tests.docs.pages import blocks_of, rows_of, section_of
from tests.factories import make_project

PAGE = "docs/reference/api.md"
PROJECT = "projects/<slug:project>"


def test_every_route_and_its_scope_is_listed_and_no_other() -> None:
    listed = {(row[0], row[1]) for row in rows_of(section_of(PAGE, "Routes"))}
    assert listed == set(_routes())


def _routes() -> list[tuple[str, str]]:
    patterns: list[URLPattern] = [*subscriptions.urls.urlpatterns, *deliveries.urls.urlpatterns]
    return [
        (f"{method} {_shown(pattern)}", scope)
        for pattern in patterns
        for method, scope in pattern.callback.cls.scopes.items()  # type: ignore[attr-defined]  # DRF's
    ]


def _shown(pattern: URLPattern) -> str:
    path = str(pattern.pattern)
    if path in {"projects", PROJECT}:
        return f"/api/v1/{path.replace('<slug:project>', '{project}')}"
    path = path.removeprefix(PROJECT)
    return re.sub(r"<path:\w+>", "{name}", re.sub(r"<str:\w+>", "{id}", path))


@pytest.mark.parametrize(
    ("section", "serializer"),
    [
        ("Projects", ProjectSerializer),
        ("Members", MemberSerializer),
        ("Subscriptions", SubscriptionSerializer),
        ("Secrets", RotationSerializer),
        ("Matches", MatchSerializer),
        ("Event types", EventTypeSerializer),
        ("Attempts", AttemptSerializer),
    ],
)
def test_every_member_is_listed_and_no_other(
    section: str, serializer: type[StrictSerializer]
) -> None:
    assert sorted(_listed(section)) == sorted(serializer().fields)


@pytest.mark.parametrize(
    ("section", "members"),
    [
        ("Figures", [*StatsQuery().fields, *StatsSerializer().fields]),
        ("Filter preview", [*PreviewSerializer().fields]),
        ("URL check", [*UrlCheckSerializer().fields]),
    ],
)
def test_every_member_of_an_answer_is_listed_and_no_other(section: str, members: list[str]) -> None:
    assert sorted(_listed(section)) == sorted(members)


def test_filters_and_members_of_deliveries_are_listed_and_no_other() -> None:
    wanted = [*DeliveryQuery().fields, *DeliverySerializer().fields]
    assert sorted(_listed("Deliveries")) == sorted(wanted)


def test_filters_and_members_of_events_are_listed_and_no_other() -> None:
    wanted = [*EventQuery().fields, *EventWithDeliveriesSerializer().fields]
    assert sorted(_listed("Events")) == sorted(wanted)


def test_filters_members_and_actions_of_the_audit_log_are_listed_and_no_other() -> None:
    listed, actions = section_of(PAGE, "Audit log").split("Actions of a project")
    wanted = [*AuditQuery().fields, *AuditEntrySerializer().fields]
    assert sorted(row[0] for row in rows_of(listed)) == sorted(wanted)
    codes = re.findall(r"`(\w+\.\w+)`", actions)
    assert sorted(codes) == sorted(action.value for action in Action)


def test_members_of_recoveries_are_listed_and_no_other() -> None:
    asked, estimated, shown = re.split("With `dry_run`:|Otherwise", section_of(PAGE, "Recoveries"))
    settable = list(NewRecoverySerializer().fields)
    assert sorted(row[0] for row in rows_of(asked)) == sorted(settable)
    assert {row[0] for row in rows_of(estimated)} == set(RecoveryEstimateSerializer().fields)
    only_shown = set(RecoverySerializer().fields) - set(settable)
    assert {row[0] for row in rows_of(shown)} == only_shown


def test_scopes_and_members_of_keys_are_listed_and_no_other() -> None:
    listed = [*ApiKey.Scope.values, *KeySerializer().fields]
    assert _listed("Keys") == listed


def test_what_can_be_set_of_a_subscription_stands_apart() -> None:
    settable, only_shown = section_of(PAGE, "Subscriptions").split("Only the service sets")
    fields = SubscriptionSerializer().fields
    assert {row[0] for row in rows_of(settable)} == {
        name for name, field in fields.items() if not _is_only_shown(field)
    }
    assert [row[0] for row in rows_of(settable)][:2] == [
        name for name, field in fields.items() if field.required and not field.read_only
    ]
    assert len(rows_of(only_shown)) > 5


def _is_only_shown(field: serializers.Field) -> bool:  # type: ignore[type-arg]
    return field.read_only


def _listed(section: str) -> list[str]:
    return [row[0] for row in rows_of(section_of(PAGE, section))]


@pytest.mark.django_db
def test_the_error_that_is_shown_is_the_one_that_comes() -> None:
    (shown,) = blocks_of(PAGE, "json")
    body = {"url": "http://example.com/", "event_types": ["*"]}
    response = ApiClient(make_project(is_https_only=True)).post("subscriptions", body)
    assert response.json() == json.loads(shown.text)
