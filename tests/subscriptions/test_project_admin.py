"""The admin's pages of projects, members and keys hold to the same rules as the API."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from subscriptions.access.api_keys import make_key, revoke
from subscriptions.models import ApiKey, AuditEntry, EventType, Member, Project
from tests.factories import make_project

pytestmark = pytest.mark.django_db

ROOT = "/admin/subscriptions"
PROJECT = {"name": "Acme", "slug": "acme", "is_https_only": "on", "failure_limit": 10,
           "members-TOTAL_FORMS": 0, "members-INITIAL_FORMS": 0}  # fmt: skip


@pytest.fixture
def operator() -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("operator"))
    return client


def errors(client: Client, path: str, form: dict[str, Any]) -> dict[str, Any]:
    """Send a form that is refused; return what is said, by field."""
    response = client.post(path, form)
    assert response.status_code == 200
    return dict(response.context["adminform"].form.errors)


def page_of(row: ApiKey | Member | Project) -> str:
    return f"{ROOT}/{row._meta.model_name}/{row.pk}/change/"


def test_a_project_is_made_as_it_was_filled_in(operator: Client) -> None:
    form = PROJECT | {"failure_limit": 3, "is_catalogue_strict": "on"}
    assert operator.post(f"{ROOT}/project/add/", form).status_code == 302
    project = Project.objects.get()
    assert (project.name, project.slug) == ("Acme", "acme")
    assert (project.failure_limit, project.is_catalogue_strict) == (3, True)


def test_a_project_s_portal_origins_and_public_catalogue_are_set_as_by_the_api(
    operator: Client,
) -> None:
    project = make_project(name="Acme")
    origins = "https://app.example.com\r\n\r\n https://crm.example.com:8443 "
    form = PROJECT | {"portal_origins": origins, "is_catalogue_public": "on"}

    assert operator.post(page_of(project), form).status_code == 302

    project.refresh_from_db()
    assert project.portal_origins == ["https://app.example.com", "https://crm.example.com:8443"]
    assert project.is_catalogue_public
    entry = AuditEntry.objects.get(action="project.changed")
    assert entry.after is not None
    assert entry.after["portal_origins"] == project.portal_origins
    assert (
        "https://crm.example.com:8443</textarea>" in operator.get(page_of(project)).content.decode()
    )


@pytest.mark.parametrize(
    ("bad", "field"),
    [
        ({"portal_origins": "https://app.example.com/path"}, "portal_origins"),
        ({"portal_origins": "https://a.example\n*"}, "portal_origins"),
        ({"portal_origins": "https://a.example\n" * 21}, "portal_origins"),
        ({"name": "a\u202eb"}, "name"),
        ({"name": ""}, "name"),
        ({"failure_limit": 0}, "failure_limit"),
        ({"failure_limit": 32_768}, "failure_limit"),
        ({"slug": "a b"}, "slug"),
        ({"slug": "taken"}, "slug"),
    ],
)
def test_a_project_that_the_api_refuses_is_not_made(
    operator: Client, bad: dict[str, Any], field: str
) -> None:
    make_project(slug="taken")
    assert errors(operator, f"{ROOT}/project/add/", PROJECT | bad).keys() == {field}
    assert Project.objects.count() == 1


def test_the_slug_of_a_project_stays(operator: Client) -> None:
    project = make_project(slug="before")
    form = PROJECT | {"slug": "after", "name": "After"}
    assert operator.post(page_of(project), form).status_code == 302
    project.refresh_from_db()
    assert (project.slug, project.name) == ("before", "After")


def test_a_membership_stays_with_its_project_and_user(operator: Client) -> None:
    member = Member.objects.create(project=make_project(), user=User.objects.create_user("alice"))
    form = {"project": make_project().pk, "user": User.objects.create_user("bob").pk}
    assert operator.post(page_of(member), form | {"role": "owner"}).status_code == 302
    changed = Member.objects.get()
    assert (changed.project, changed.user, changed.role) == (member.project, member.user, "owner")


def test_who_is_a_member_already_is_refused(operator: Client) -> None:
    member = Member.objects.create(project=make_project(), user=User.objects.create_user("alice"))
    form = {"project": member.project.pk, "user": member.user.pk, "role": "owner"}
    assert errors(operator, f"{ROOT}/member/add/", form)
    assert Member.objects.get().role == "viewer"


def test_an_operator_may_take_the_last_owner_away(operator: Client) -> None:
    owner = Member.objects.create(
        project=make_project(), user=User.objects.create_user("alice"), role="owner"
    )
    operator.post(page_of(owner), {"role": "viewer"})
    owner.refresh_from_db()
    assert owner.role == "viewer"


@pytest.mark.parametrize(
    ("bad", "field"),
    [
        ({"scopes": ["operate"]}, "scopes"),
        ({"scopes": []}, "scopes"),
        ({"project": ""}, "project"),
        ({"name": "a\u202eb"}, "name"),
        ({"expires_at_0": "2020-01-01", "expires_at_1": "00:00:00"}, "expires_at"),
    ],
)
def test_a_key_that_may_not_be_is_not_made(
    operator: Client, bad: dict[str, Any], field: str
) -> None:
    form = {"project": make_project().pk, "name": "Shop", "scopes": ["read"]}
    assert errors(operator, f"{ROOT}/apikey/add/", form | bad).keys() == {field}
    assert not ApiKey.objects.exists()


def test_a_key_beyond_what_the_project_may_have_is_not_made(
    operator: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("subscriptions.access.api_keys.KEYS_PER_PROJECT", 1)
    key, _ = make_key(make_project(), ["read"])
    form = {"project": key.project_id, "name": "Shop", "scopes": ["read"]}
    assert errors(operator, f"{ROOT}/apikey/add/", form).keys() == {"__all__"}
    assert ApiKey.objects.get() == key


def test_a_key_that_has_ended_is_not_changed(operator: Client) -> None:
    revoked, _ = make_key(make_project(), ["read"])
    revoke(revoked)
    expired, _ = make_key(make_project(), ["read"])
    ApiKey.objects.filter(pk=expired.pk).update(expires_at=timezone.now() - timedelta(days=1))
    for key in (revoked, expired):
        assert errors(operator, page_of(key), {"scopes": ["read", "own"]}).keys() == {"__all__"}
        key.refresh_from_db()
        assert key.scopes == ["read"]


def test_an_operator_s_key_is_shown_and_can_be_named(operator: Client) -> None:
    key, _ = make_key(None, ["operate"])
    assert operator.get(page_of(key)).status_code == 200
    form = {"name": "Backend", "scopes": ["operate", "read"]}
    assert operator.post(page_of(key), form).status_code == 302
    key.refresh_from_db()
    assert (key.project, key.name, key.scopes) == (None, "Backend", ["read", "operate"])


# ---- Event types --------------------------------------------------------------------------------

SCHEMA = '{"type": "object", "required": ["id"]}'


def event_type_form(**more: Any) -> dict[str, Any]:
    project = Project.objects.first() or make_project()
    return {"project": project.pk, "name": "Task.update", "description": "", "example": "",
            "schema": "", **more}  # fmt: skip


def test_an_event_type_is_made_changed_and_deleted_and_each_is_written_down(
    operator: Client,
) -> None:
    form = event_type_form(schema=SCHEMA, example='{"id": 1}')
    assert operator.post(f"{ROOT}/eventtype/add/", form).status_code == 302
    made = EventType.objects.get()
    assert (made.name, made.schema) == ("Task.update", '{"type":"object","required":["id"]}')

    page = f"{ROOT}/eventtype/{made.pk}"
    assert operator.post(f"{page}/change/", {**form, "is_archived": "on"}).status_code == 302
    assert EventType.objects.get().is_archived
    assert operator.post(f"{page}/delete/", {"post": "yes"}).status_code == 302
    assert not EventType.objects.exists()
    entries = AuditEntry.objects.filter(target_kind="event_type").order_by("id")
    assert [entry.action.partition(".")[2] for entry in entries] == [
        "created",
        "changed",
        "deleted",
    ]


@pytest.mark.parametrize(
    ("bad", "field"),
    [
        ({"name": "no such name!"}, "name"),
        ({"name": "import"}, "name"),
        ({"name": "Taken"}, "name"),
        ({"example": "{"}, "example"),
        ({"schema": '{"type": 5}'}, "schema"),
        ({"schema": SCHEMA, "example": "{}"}, "example"),
    ],
)
def test_an_event_type_that_the_api_refuses_is_not_made(
    operator: Client, bad: dict[str, Any], field: str
) -> None:
    EventType.objects.create(project=make_project(), name="Taken")
    assert errors(operator, f"{ROOT}/eventtype/add/", event_type_form(**bad)).keys() == {field}
    assert EventType.objects.count() == 1
