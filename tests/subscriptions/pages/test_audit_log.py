"""The page of the audit log: newest first, filtered, with before and after."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from subscriptions.access.api_keys import make_key
from subscriptions.access.projects import change_project
from subscriptions.models import AuditEntry, Project
from subscriptions.pages.audit_log import Change, changes_of
from tests.factories import make_project
from tests.queries import counted_queries
from tests.subscriptions.pages.people import signed_in

pytestmark = pytest.mark.django_db

EVIL = '<script>alert("1")</script>'


@pytest.fixture
def project() -> Project:
    return make_project(name="Before")


@pytest.fixture
def owner(project: Project) -> Client:
    return signed_in(project, "owner", "ann")


def log_of(project: Project, query: str = "") -> str:
    return f"/projects/{project.slug}/audit-log{query}"


def text_of(response: Any) -> str:
    return str(response.content.decode())


def test_what_changed_is_shown_as_it_was_and_as_it_is(project: Project, owner: Client) -> None:
    change_project(project, {"name": EVIL, "failure_limit": 3})
    shown = text_of(owner.get(log_of(project)))
    assert "project.changed" in shown
    assert "Before</del>" in shown
    assert "&lt;script&gt;" in shown
    assert EVIL not in shown
    assert ">3</ins>" in shown


def test_a_change_says_what_came_and_what_went() -> None:
    entry = AuditEntry(before={"a": 1, "b": "x", "c": None}, after={"a": 1, "b": ["y"], "d": True})
    assert changes_of(entry) == [
        Change("b", "x", '["y"]'), Change("c", "null", None), Change("d", None, "true")
    ]  # fmt: skip
    assert changes_of(AuditEntry(before=None, after=None)) == []


def test_filters_find_as_the_api_s_do(project: Project, owner: Client) -> None:
    key, _ = make_key(project, ["read"], name="a key")
    change_project(project, {"failure_limit": 3})
    for query, found, not_found in (
        ("?action=project.changed", "failure_limit", key.prefix),
        (f"?target={key.prefix}", "api_key.created</code>", "failure_limit"),
        ("?actor=system", "failure_limit", "No entry is like this."),
        ("?actor=nobody-of-this-name", "No entry is like this.", "failure_limit"),
        ("?until=2001-01-01T00:00", "No entry is like this.", "failure_limit"),
        ("?since=2001-01-01T00:00", "failure_limit", "No entry is like this."),
    ):
        shown = text_of(owner.get(log_of(project, query))).partition("</form>\n")[2]
        assert found in shown, query
        assert not_found not in shown, query


def test_filters_that_make_no_sense_are_said(project: Project, owner: Client) -> None:
    for query in ("?action=user.logged_in", "?since=soon", "?actor=a%00b"):
        assert owner.get(log_of(project, query)).status_code == 422
    assert owner.get(log_of(project, "?cursor=x")).status_code == 400


def test_another_project_s_entries_are_not_shown(project: Project, owner: Client) -> None:
    change_project(make_project(), {"name": "Foreign"})
    assert "Foreign" not in text_of(owner.get(log_of(project)))
    assert "Nothing was changed" in text_of(owner.get(log_of(project)))


def test_many_entries_come_in_pages_and_cost_no_query_each(project: Project, owner: Client) -> None:
    for number in range(60):
        change_project(project, {"name": f"Name {number}."})
    with counted_queries() as queries:
        first = text_of(owner.get(log_of(project, "?action=project.changed")))
    assert len(queries) <= 6
    assert "Name 59." in first
    assert "Name 5." not in first
    older = first.partition('<a href="?')[2].partition('"')[0].replace("&amp;", "&")
    assert "action=project.changed" in older
    assert "Name 5." in text_of(owner.get(log_of(project, f"?{older}")))


def test_the_log_is_an_owner_s_matter(project: Project) -> None:
    assert signed_in(project, "editor").get(log_of(project)).status_code == 403
    assert signed_in(make_project(), "owner").get(log_of(project)).status_code == 404
    assert Client().get(log_of(project)).status_code == 302
