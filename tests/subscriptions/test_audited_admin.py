"""What is changed in the admin enters the audit log; the log itself is only to be read there."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.test import Client

from subscriptions.access.audit_log import Action, Target, record
from subscriptions.models import ApiKey, AuditEntry, Member, Project
from tests.factories import make_project, make_subscription

pytestmark = pytest.mark.django_db

ROOT = "/admin/subscriptions"
NO_MEMBERS = {"members-TOTAL_FORMS": 0, "members-INITIAL_FORMS": 0}


@pytest.fixture
def operator() -> Client:
    client = Client()
    client.force_login(get_user_model().objects.create_superuser("operator"))
    return client


def entries(*actions: Action) -> list[AuditEntry]:
    rows = list(AuditEntry.objects.filter(action__in=actions).order_by("id"))
    assert {(row.actor_kind, row.actor_label) for row in rows} <= {("user", "operator")}
    return rows


def post(client: Client, path: str, form: dict[str, Any]) -> None:
    response = client.post(path, form)
    assert response.status_code == 302, response.context["errors"]


def test_a_project_s_settings(operator: Client) -> None:
    form = {"name": "Acme", "slug": "acme", "is_https_only": "on", "failure_limit": 10}
    post(operator, f"{ROOT}/project/add/", form | NO_MEMBERS)
    project = Project.objects.get()
    page = f"{ROOT}/project/{project.pk}/change/"
    post(operator, page, form | NO_MEMBERS)
    post(operator, page, form | NO_MEMBERS | {"failure_limit": 3})

    created, changed = entries(Action.PROJECT_CREATED, Action.PROJECT_CHANGED)
    assert created.after
    assert created.after["name"] == "Acme"
    assert (changed.before, changed.after) == ({"failure_limit": 10}, {"failure_limit": 3})
    assert (changed.project, changed.target_id, changed.address) == (project, "acme", "127.0.0.1")


def test_members(operator: Client) -> None:
    project, alice = make_project(), get_user_model().objects.create_user("alice")
    form = {"project": project.pk, "user": alice.pk, "role": "viewer"}
    post(operator, f"{ROOT}/member/add/", form)
    member = Member.objects.get()
    post(operator, f"{ROOT}/member/{member.pk}/change/", form | {"role": "owner"})
    post(operator, f"{ROOT}/member/{member.pk}/delete/", {"post": "yes"})
    again = Member.objects.create(project=project, user=alice)
    action = {"action": "delete_selected", "_selected_action": [again.pk], "post": "yes"}
    post(operator, f"{ROOT}/member/", action)

    rows = entries(Action.MEMBER_CREATED, Action.MEMBER_CHANGED, Action.MEMBER_DELETED)
    assert [(row.action, row.before, row.after) for row in rows] == [
        (Action.MEMBER_CREATED, None, {"role": "viewer"}),
        (Action.MEMBER_CHANGED, {"role": "viewer"}, {"role": "owner"}),
        (Action.MEMBER_DELETED, {"role": "owner"}, None),
        (Action.MEMBER_DELETED, {"role": "viewer"}, None),
    ]
    assert {(row.target_kind, row.target_id, row.project) for row in rows} == {
        ("member", "alice", project)
    }


def test_api_keys(operator: Client) -> None:
    project = make_project()
    form = {"project": project.pk, "name": "Shop", "scopes": ["publish"]}
    post(operator, f"{ROOT}/apikey/add/", form)
    key = ApiKey.objects.get()
    post(operator, f"{ROOT}/apikey/{key.pk}/change/", form | {"scopes": ["publish", "read"]})
    revoke = {"action": "revoke", "_selected_action": [key.pk]}
    post(operator, f"{ROOT}/apikey/", revoke)
    post(operator, f"{ROOT}/apikey/", revoke)

    rows = entries(Action.API_KEY_CREATED, Action.API_KEY_CHANGED, Action.API_KEY_REVOKED)
    assert [row.action for row in rows] == [
        Action.API_KEY_CREATED,
        Action.API_KEY_CHANGED,
        Action.API_KEY_REVOKED,
    ]
    assert rows[1].after == {"scopes": ["publish", "read"]}
    assert {(row.target_id, row.project) for row in rows} == {(key.prefix, project)}


def test_people_who_may_log_in(operator: Client) -> None:
    form = {"username": "bob", "usable_password": "true"} | dict.fromkeys(
        ("password1", "password2"), "correct horse battery"
    )
    post(operator, "/admin/auth/user/add/", form)
    bob = get_user_model().objects.get(username="bob")
    changed = {
        "username": "bob",
        "is_active": "on",
        "is_staff": "on",
        "date_joined_0": "2026-01-01",
        "date_joined_1": "00:00:00",
    }
    post(operator, f"/admin/auth/user/{bob.pk}/change/", changed)
    post(operator, f"/admin/auth/user/{bob.pk}/delete/", {"post": "yes"})

    rows = entries(Action.USER_CREATED, Action.USER_CHANGED, Action.USER_DELETED)
    assert [row.target_id for row in rows] == [str(bob.pk)] * 3
    assert rows[1].after == {"is_staff": True}
    assert "correct horse" not in str([row.after for row in rows])


def test_a_subscription_that_is_tried_and_refused_leaves_nothing(operator: Client) -> None:
    form = {
        "project": make_project().pk,
        "url": "ftp://x/",
        "event_types": "*",
        "wire_format": "standard",
        "signing_secrets-TOTAL_FORMS": 0,
        "signing_secrets-INITIAL_FORMS": 0,
    }
    assert operator.post(f"{ROOT}/subscription/add/", form).status_code == 200
    assert entries(Action.SUBSCRIPTION_CREATED) == []
    post(operator, f"{ROOT}/subscription/add/", form | {"url": "http://receiver.example/"})
    assert len(entries(Action.SUBSCRIPTION_CREATED)) == 1


def test_the_log_is_shown_found_and_not_to_be_touched(operator: Client) -> None:
    subscription = make_subscription()
    hostile = "<script>alert(1)</script>"
    target = Target("subscription", f"sub_{subscription.id.hex}", subscription.project_id)
    record(Action.SUBSCRIPTION_CHANGED, target, before={"description": hostile}, after={})
    record(Action.USER_LOGGED_IN, Target("user", "1", 999_999))  # of a project that is gone
    log = f"{ROOT}/auditentry/"

    page = operator.get(log).content.decode()
    assert "subscription.changed" in page
    assert "(gone: 999999)" in page
    for query in ({"q": target.id}, {"action": "subscription.changed"},
                  {"project": subscription.project.slug}, {"time": "hour"}):  # fmt: skip
        assert "subscription.changed" in operator.get(log, query).content.decode()
    assert "subscription.changed</" not in operator.get(log, {"q": "nothing"}).content.decode()

    entry = AuditEntry.objects.get(action="subscription.changed")
    detail = operator.get(f"{log}{entry.pk}/change/").content.decode()
    assert "&lt;script&gt;alert(1)" in detail
    assert hostile not in detail
    found = operator.get(log, {"q": f"aud_{entry.id.hex}"}).content.decode()
    assert target.id in found
    for path in (f"{log}add/", f"{log}{entry.pk}/delete/"):
        assert operator.post(path, {"post": "yes"}).status_code == 403
    assert operator.post(f"{log}{entry.pk}/change/", {"action": "x"}).status_code == 403
