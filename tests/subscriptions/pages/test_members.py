"""Pages of a project's members: added, changed, removed; somebody stays in charge."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from subscriptions.models import AuditEntry, Member, Project
from tests.factories import make_project
from tests.queries import counted_queries
from tests.subscriptions.pages.people import signed_in

pytestmark = pytest.mark.django_db


@pytest.fixture
def project() -> Project:
    return make_project()


@pytest.fixture
def owner(project: Project) -> Client:
    return signed_in(project, "owner", "ann")


def members_of(project: Project, change: str = "") -> str:
    return f"/projects/{project.slug}/members{change}"


def text_of(response: Any) -> str:
    return str(response.content.decode())


def roles_of(project: Project) -> dict[str, str]:
    return dict(project.members.values_list("user__username", "role"))


def test_a_member_is_added_changed_and_removed(project: Project, owner: Client) -> None:
    User.objects.create_user("bob", first_name="<b>Bob</b>")
    added = owner.post(members_of(project), {"user": "bob", "role": "viewer"}, follow=True)
    assert "bob is a member now." in text_of(added)
    assert "&lt;b&gt;Bob" in text_of(added)
    assert roles_of(project) == {"ann": "owner", "bob": "viewer"}
    owner.post(members_of(project, "/role"), {"user": "bob", "role": "editor"})
    assert roles_of(project)["bob"] == "editor"
    removed = owner.post(members_of(project, "/remove"), {"user": "bob"}, follow=True)
    assert "no member any more" in text_of(removed)
    assert roles_of(project) == {"ann": "owner"}
    actions = (
        AuditEntry.objects.filter(project=project)
        .order_by("id")
        .values_list("action", "actor_label")
    )
    assert list(actions) == [
        ("member.created", "ann"), ("member.changed", "ann"), ("member.deleted", "ann")
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ({"user": "nobody", "role": "viewer"}, "There is no user of this name."),
        ({"user": "ann", "role": "viewer"}, "This user is a member already."),
        ({"user": "", "role": "viewer"}, "This field is required."),
        ({"user": "a\0b", "role": "viewer"}, "Null characters are not allowed."),
        ({"user": "ann", "role": "king"}, "king is not one of the available choices"),
    ],
)
def test_who_cannot_be_added_is_said_at_the_field(
    project: Project, owner: Client, wanted: dict[str, str], said: str
) -> None:
    refused = owner.post(members_of(project), wanted)
    assert refused.status_code == 422
    assert said in text_of(refused)
    assert roles_of(project) == {"ann": "owner"}


def test_the_last_owner_stays(project: Project, owner: Client) -> None:
    for change, form in (("/role", {"role": "viewer"}), ("/remove", {})):
        refused = owner.post(members_of(project, change), {"user": "ann", **form}, follow=True)
        assert "Somebody has to own the project" in text_of(refused)
    assert roles_of(project) == {"ann": "owner"}


def test_an_operator_may_take_the_last_owner_away(project: Project, owner: Client) -> None:  # noqa: ARG001
    operator = Client()
    operator.force_login(User.objects.create_superuser("operator"))
    assert operator.post(members_of(project, "/remove"), {"user": "ann"}).status_code == 302
    assert roles_of(project) == {}


def test_who_leaves_is_led_to_where_they_may_be(project: Project, owner: Client) -> None:
    signed_in(project, "owner", "bob")
    left = owner.post(members_of(project, "/remove"), {"user": "ann"})
    assert left["Location"] == "/projects"
    assert owner.get(members_of(project)).status_code == 404


def test_a_role_that_there_is_not_changes_nothing(project: Project, owner: Client) -> None:
    form = {"user": "ann", "role": "king"}
    assert "no such role" in text_of(owner.post(members_of(project, "/role"), form, follow=True))
    assert roles_of(project) == {"ann": "owner"}


def test_somebody_else_s_member_is_not_found(project: Project, owner: Client) -> None:
    signed_in(make_project(), "viewer", "stranger")
    for user in ("stranger", "nobody", "a\0b", ""):
        assert owner.post(members_of(project, "/remove"), {"user": user}).status_code == 404
    assert Member.objects.count() == 2


def test_members_are_an_owner_s_matter(project: Project, owner: Client) -> None:  # noqa: ARG001
    client = signed_in(project, "editor")
    for response in (
        client.get(members_of(project)),
        client.post(members_of(project), {"user": "ann", "role": "viewer"}),
        client.post(members_of(project, "/role"), {"user": "ann", "role": "viewer"}),
        client.post(members_of(project, "/remove"), {"user": "ann"}),
    ):
        assert response.status_code == 403
    assert roles_of(project)["ann"] == "owner"
    assert signed_in(make_project(), "owner").get(members_of(project)).status_code == 404
    assert Client().get(members_of(project)).status_code == 302


def test_many_members_cost_no_query_each(project: Project, owner: Client) -> None:
    for _ in range(20):
        signed_in(project, "viewer")
    with counted_queries() as queries:
        assert owner.get(members_of(project)).status_code == 200
    assert len(queries) <= 6
