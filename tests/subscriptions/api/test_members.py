"""Members over the API: existing users with a role, and never a project without an owner."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection

from subscriptions.models import AuditEntry, Member, Project
from subscriptions.rest.preconditions import etag_of
from tests.api_client import ApiClient, OperatorClient, errors_of
from tests.factories import make_project
from tests.rates import make_uncounted_project

OWNER, EDITOR, VIEWER = Member.Role.values


@pytest.fixture
def owner(db: None) -> ApiClient:  # noqa: ARG001  # opens the database
    return ApiClient(make_project(), ["own"])


def make_member(project: Project, name: str, role: str = VIEWER) -> Member:
    return Member.objects.create(
        project=project,
        user=User.objects.create_user(name, first_name="A", last_name="B"),
        role=role,
    )


def roles_in(project: Project) -> dict[str, str]:
    return dict(project.members.values_list("user__username", "role"))


def test_an_existing_user_is_made_a_member(owner: ApiClient) -> None:
    User.objects.create_user("alice@acme.example", first_name="Alice", last_name="Miller")

    made = owner.post("members", {"user": "alice@acme.example", "role": EDITOR})

    assert made.status_code == 201
    assert made.json() == {"user": "alice@acme.example", "name": "Alice Miller", "role": EDITOR}
    assert owner.get(made["Location"]).json() == made.json()
    assert roles_in(owner.project) == {"alice@acme.example": EDITOR}
    entry = AuditEntry.objects.get(action="member.created")
    assert (entry.target_id, entry.after, entry.actor_id) == (
        "alice@acme.example", {"role": EDITOR}, owner.key.prefix
    )  # fmt: skip


def test_who_is_a_member_is_not_made_one_again(owner: ApiClient) -> None:
    make_member(owner.project, "alice")
    again = owner.post("members", {"user": "alice", "role": OWNER})
    assert errors_of(again, 409) == {"user": "taken"}
    assert roles_in(owner.project) == {"alice": VIEWER}


def test_one_may_be_a_member_of_many_projects(owner: ApiClient) -> None:
    make_member(make_project(), "alice", OWNER)
    assert owner.post("members", {"user": "alice", "role": VIEWER}).status_code == 201


@pytest.mark.parametrize(
    ("body", "errors"),
    [
        ({"role": VIEWER}, {"user": "required"}),
        ({"user": "alice"}, {"role": "required"}),
        ({"user": "", "role": VIEWER}, {"user": "blank"}),
        ({"user": None, "role": VIEWER}, {"user": "null"}),
        ({"user": 1, "role": VIEWER}, {"user": "invalid"}),
        ({"user": "a\0", "role": VIEWER}, {"": "nul_character"}),
        ({"user": "alice", "role": "admin"}, {"role": "invalid_choice"}),
        ({"user": "alice", "role": None}, {"role": "null"}),
        ({"user": "alice", "role": [OWNER]}, {"role": "invalid_choice"}),
        ({"user": "alice", "role": VIEWER, "name": "A"}, {"name": "read_only"}),
        ({"user": "alice", "role": VIEWER, "email": "a"}, {"email": "unknown"}),
    ],
)
def test_a_bad_member_is_refused_by_name(
    owner: ApiClient, body: dict[str, Any], errors: dict[str, str]
) -> None:
    User.objects.create_user("alice")
    assert errors_of(owner.post("members", body), 400) == errors
    assert not Member.objects.exists()


@pytest.mark.parametrize("name", ["nobody", "ALICE", " alice", "a/b", "x" * 10_000])
def test_who_does_not_exist_is_made_no_member(owner: ApiClient, name: str) -> None:
    User.objects.create_user("alice")
    User.objects.create_user("a/b")  # whom no address could name
    refused = owner.post("members", {"user": name, "role": VIEWER})
    assert errors_of(refused, 422) == {"user": "unknown"}
    assert not Member.objects.exists()


def test_the_list_comes_in_pages(owner: ApiClient) -> None:
    make_member(make_project(), "stranger")
    for name in ("alice", "bob", "carol"):
        make_member(owner.project, name)
    first = owner.get("members", {"limit": 2}).json()
    second = owner.follow(first["next"]).json()
    names = [row["user"] for page in (first, second) for row in page["results"]]
    assert names == ["carol", "bob", "alice"]
    assert first["results"][0] == {"user": "carol", "name": "A B", "role": VIEWER}


def test_a_role_is_changed_and_taken_away(owner: ApiClient) -> None:
    make_member(owner.project, "alice")
    changed = owner.patch("members/alice", {"role": OWNER})
    assert changed.status_code == 200
    assert changed.json()["role"] == OWNER
    assert owner.patch("members/alice", {}).json() == changed.json()
    make_member(owner.project, "bob", OWNER)
    assert owner.delete("members/alice").status_code == 204
    errors_of(owner.get("members/alice"), 404)
    assert roles_in(owner.project) == {"bob": OWNER}
    actions = AuditEntry.objects.filter(target_id="alice").order_by("id")
    assert [(entry.action, entry.before, entry.after) for entry in actions] == [
        ("member.changed", {"role": VIEWER}, {"role": OWNER}),
        ("member.deleted", {"role": OWNER}, None),
    ]
    assert User.objects.filter(username="alice").exists()


@pytest.mark.parametrize(
    ("body", "errors"),
    [
        ({"user": "bob"}, {"user": "not_changeable"}),
        ({"role": "admin"}, {"role": "invalid_choice"}),
        ({"role": None}, {"role": "null"}),
        ({"project": "x"}, {"project": "unknown"}),
    ],
)
def test_a_bad_change_is_refused_by_name(
    owner: ApiClient, body: dict[str, Any], errors: dict[str, str]
) -> None:
    make_member(owner.project, "alice")
    assert errors_of(owner.patch("members/alice", body), 400) == errors
    assert roles_in(owner.project) == {"alice": VIEWER}


def test_the_last_owner_stays_unless_an_operator_says_otherwise(owner: ApiClient) -> None:
    make_member(owner.project, "alice", OWNER)
    make_member(owner.project, "bob", EDITOR)

    errors_of(owner.delete("members/alice"), 409)
    errors_of(owner.patch("members/alice", {"role": EDITOR}), 409)
    assert owner.patch("members/alice", {"role": OWNER}).status_code == 200
    assert owner.delete("members/bob").status_code == 204
    assert roles_in(owner.project) == {"alice": OWNER}

    operator = OperatorClient(owner.project)
    assert operator.patch("members/alice", {"role": VIEWER}).status_code == 200
    assert operator.delete("members/alice").status_code == 204


def test_an_owner_elsewhere_does_not_count(owner: ApiClient) -> None:
    make_member(make_project(), "stranger", OWNER)
    make_member(owner.project, "alice", OWNER)
    errors_of(owner.delete("members/alice"), 409)


def test_an_owner_who_cannot_log_in_does_not_count(owner: ApiClient) -> None:
    make_member(owner.project, "alice", OWNER)
    gone = make_member(owner.project, "bob", OWNER)
    User.objects.filter(pk=gone.user_id).update(is_active=False)

    errors_of(owner.delete("members/alice"), 409)
    errors_of(owner.patch("members/alice", {"role": EDITOR}), 409)
    assert owner.delete("members/bob").status_code == 204


def test_a_change_of_something_else_than_was_read_is_refused(owner: ApiClient) -> None:
    make_member(owner.project, "alice")
    stale = {"If-Match": owner.get("members/alice")["ETag"]}
    owner.patch("members/alice", {"role": EDITOR})
    assert owner.call("DELETE", "members/alice", headers=stale).status_code == 412
    assert roles_in(owner.project) == {"alice": EDITOR}


@pytest.mark.parametrize("name", ["nobody", "stranger", "%00", "%FF", "ALICE", "alice%2F"])
def test_who_is_no_member_is_not_found(owner: ApiClient, name: str) -> None:
    make_member(owner.project, "alice")
    make_member(make_project(), "stranger")
    errors_of(owner.get(f"members/{name}"), 404)
    errors_of(owner.delete(f"members/{name}"), 404)
    assert Member.objects.count() == 2


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_two_owners_who_remove_each_other_at_once_leave_one() -> None:
    for _ in range(5):
        project = make_uncounted_project()
        clients = [ApiClient(project, ["own"]) for _ in range(2)]
        names = [f"{project.slug}-{number}" for number in range(2)]
        for name in names:
            make_member(project, name, OWNER)
        together = Barrier(2)

        def remove(client: ApiClient, name: str, together: Barrier = together) -> int:
            try:
                together.wait(timeout=10)
                return int(client.delete(f"members/{name}").status_code)
            finally:
                connection.close()

        with ThreadPoolExecutor(2) as threads:
            answers = sorted(threads.map(remove, clients, names))
        assert answers == [204, 409]
        assert project.members.count() == 1


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_changes_with_and_without_a_precondition_do_not_wait_for_each_other_for_ever() -> None:
    project = make_uncounted_project()
    make_member(project, "alice")
    together = Barrier(2)

    def change(headers: dict[str, str]) -> set[int]:
        client = ApiClient(project, ["own"])
        try:
            together.wait(timeout=10)
            return {
                client.call(
                    "PATCH", "members/alice", {"role": (EDITOR, VIEWER)[n % 2]}, headers=headers
                ).status_code
                for n in range(40)
            }
        finally:
            connection.close()

    tags = ", ".join(etag_of(role) for role in Member.Role.values)
    with ThreadPoolExecutor(2) as threads:
        answers = list(threads.map(change, [{"If-Match": tags}, {}]))
    assert answers == [{200}, {200}]
