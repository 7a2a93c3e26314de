"""Projects over the API: operators make and list them, owners change their own."""

from __future__ import annotations

from typing import Any

import pytest

from subscriptions.models import ApiKey, AuditEntry, Project
from tests.api_client import ApiClient, OperatorClient, errors_of
from tests.factories import make_project

pytestmark = pytest.mark.django_db

PROJECTS = "/api/v1/projects"
DEFAULTS = {
    "https_only": True, "failure_limit": 10, "strict_catalogue": False, "public_catalogue": False,
    "portal_origins": [],
}  # fmt: skip


@pytest.fixture
def operator() -> OperatorClient:
    return OperatorClient()


def path_of(project: Project) -> str:
    return f"{PROJECTS}/{project.slug}"


def test_a_project_is_made_and_found_where_the_answer_says(operator: OperatorClient) -> None:
    made = operator.post(PROJECTS, {"name": "Acme Ltd"})

    assert made.status_code == 201
    assert made["Location"] == f"{PROJECTS}/acme-ltd"
    created_at = made.json()["created_at"]
    assert made.json() == {
        "slug": "acme-ltd", "name": "Acme Ltd", **DEFAULTS, "created_at": created_at
    }  # fmt: skip
    assert operator.get(made["Location"]).json() == made.json()
    entry = AuditEntry.objects.get(action="project.created")
    assert (entry.actor_kind, entry.actor_id) == ("api_key", operator.key.prefix)
    assert entry.after == {
        "name": "Acme Ltd", "is_https_only": True, "failure_limit": 10,
        "is_catalogue_strict": False, "is_catalogue_public": False, "portal_origins": [],
    }  # fmt: skip


def test_everything_can_be_said_when_it_is_made(operator: OperatorClient) -> None:
    wanted = {
        "slug": "Customer_4711", "name": "Acme", "https_only": False, "failure_limit": 3,
        "strict_catalogue": True, "public_catalogue": True,
        "portal_origins": ["https://app.acme.test", "http://localhost:3000"],
    }  # fmt: skip
    made = operator.post(PROJECTS, wanted).json()
    assert {name: made[name] for name in wanted} == wanted


def test_a_slug_that_is_taken_is_a_conflict_and_a_name_is_not(operator: OperatorClient) -> None:
    assert operator.post(PROJECTS, {"name": "Acme", "slug": "acme"}).status_code == 201
    taken = operator.post(PROJECTS, {"name": "Other", "slug": "acme"})
    assert errors_of(taken, 409) == {"slug": "taken"}
    assert operator.post(PROJECTS, {"name": "Acme"}).json()["slug"] == "acme-2"
    assert Project.objects.count() == 2


def test_a_repeated_creation_makes_one_project(operator: OperatorClient) -> None:
    headers = {"Idempotency-Key": "customer-4711"}
    first = operator.post(PROJECTS, {"name": "Acme"}, headers=headers)
    again = operator.post(PROJECTS, {"name": "Acme"}, headers=headers)
    other = operator.post(PROJECTS, {"name": "Other"}, headers=headers)

    assert again.json() == first.json()
    assert again["Idempotency-Replayed"] == "true"
    assert errors_of(other, 409) == {"Idempotency-Key": "conflict"}
    assert Project.objects.count() == 1


BAD_SETTINGS: list[tuple[dict[str, Any], dict[str, str]]] = [
    ({"name": ""}, {"name": "blank"}),
    ({"name": "   "}, {"name": "invalid"}),
    ({"name": None}, {"name": "null"}),
    ({"name": 5}, {"name": "invalid"}),
    ({"name": "x" * 201}, {"name": "invalid"}),
    ({"name": "a\nb"}, {"name": "not_printable"}),
    ({"name": "a\0b"}, {"": "nul_character"}),
    ({"https_only": "yes"}, {"https_only": "invalid"}),
    ({"https_only": None}, {"https_only": "null"}),
    ({"failure_limit": 0}, {"failure_limit": "invalid"}),
    ({"failure_limit": -1}, {"failure_limit": "invalid"}),
    ({"failure_limit": 32_768}, {"failure_limit": "invalid"}),
    ({"failure_limit": 10**30}, {"failure_limit": "invalid"}),
    ({"failure_limit": "3"}, {"failure_limit": "invalid"}),
    ({"failure_limit": True}, {"failure_limit": "invalid"}),
    ({"strict_catalogue": 1}, {"strict_catalogue": "invalid"}),
    ({"public_catalogue": None}, {"public_catalogue": "null"}),
    ({"portal_origins": "https://a.test"}, {"portal_origins": "not_a_list"}),
    ({"portal_origins": ["https://a.test"] * 21}, {"portal_origins": "invalid"}),
    ({"portal_origins": ["http://a.test"]}, {"portal_origins.0": "invalid"}),
    ({"portal_origins": ["https://a.test", "*"]}, {"portal_origins.1": "invalid"}),
    ({"portal_origins": ["https://a.test/"]}, {"portal_origins.0": "invalid"}),
    ({"portal_origins": ["https://a.test; script-src *"]}, {"portal_origins.0": "invalid"}),
    ({"portal_origins": ["https://a.test:65536"]}, {"portal_origins.0": "invalid"}),
    ({"portal_origins": ["https://a.test\n"]}, {"portal_origins.0": "invalid"}),
    ({"portal_origins": ["https://A.test"]}, {"portal_origins.0": "invalid"}),
    ({"created_at": "2026-01-01T00:00:00Z"}, {"created_at": "read_only"}),
    ({"members": []}, {"members": "unknown"}),
    ({"failure_limit": 0, "name": ""}, {"name": "blank"}),
]


@pytest.mark.parametrize(("bad", "errors"), BAD_SETTINGS)
def test_a_bad_setting_is_refused_by_name_and_nothing_is_stored(
    operator: OperatorClient, bad: dict[str, Any], errors: dict[str, str]
) -> None:
    project = make_project(name="Before")

    assert errors_of(operator.post(PROJECTS, {"name": "New", **bad}), 400) == errors
    assert errors_of(operator.patch(path_of(project), bad), 400) == errors

    assert Project.objects.get().name == "Before"
    assert not AuditEntry.objects.filter(action__startswith="project.").exists()


@pytest.mark.parametrize("slug", ["", "a b", "a/b", "ü", "a" * 64, "a.b", None, 5, "a\n"])
def test_a_slug_that_does_not_suit_an_address_is_refused(
    operator: OperatorClient, slug: Any
) -> None:
    assert errors_of(operator.post(PROJECTS, {"name": "New", "slug": slug}), 400).keys() == {"slug"}
    assert not Project.objects.exists()


@pytest.mark.parametrize("body", [b"", b"[]", b"null", b'"x"', b"{", b'{"name": "a",}'])
def test_a_body_that_is_no_object_makes_nothing(operator: OperatorClient, body: bytes) -> None:
    errors_of(operator.post(PROJECTS, body), 400)
    assert not Project.objects.exists()


def test_the_name_is_required(operator: OperatorClient) -> None:
    assert errors_of(operator.post(PROJECTS, {}), 400) == {"name": "required"}


def test_an_owner_changes_what_is_given_and_nothing_else() -> None:
    project = make_project(name="Before", is_https_only=False)
    owner = ApiClient(project, ["own"])

    changed = owner.patch(path_of(project), {"failure_limit": 3, "strict_catalogue": True})

    assert changed.status_code == 200
    assert (changed.json()["name"], changed.json()["https_only"]) == ("Before", False)
    project.refresh_from_db()
    assert (project.failure_limit, project.is_catalogue_strict) == (3, True)
    entry = AuditEntry.objects.get(action="project.changed")
    assert entry.before == {"failure_limit": 10, "is_catalogue_strict": False}
    assert entry.after == {"failure_limit": 3, "is_catalogue_strict": True}
    assert (entry.project, entry.target_id) == (project, project.slug)


def test_a_change_of_nothing_is_no_change() -> None:
    project = make_project()
    owner = ApiClient(project)
    assert owner.patch(path_of(project), {}).status_code == 200
    assert owner.patch(path_of(project), {"name": project.name}).status_code == 200
    assert not AuditEntry.objects.filter(action="project.changed").exists()


def test_the_slug_stays() -> None:
    project = make_project(slug="before")
    refused = ApiClient(project).patch(path_of(project), {"slug": "after"})
    assert errors_of(refused, 400) == {"slug": "not_changeable"}
    assert Project.objects.get().slug == "before"


def test_a_change_of_something_else_than_was_read_is_refused() -> None:
    project = make_project()
    owner = ApiClient(project)
    tag = owner.get(path_of(project))["ETag"]
    first = owner.call("PATCH", path_of(project), {"name": "A"}, headers={"If-Match": tag})
    second = owner.call("PATCH", path_of(project), {"name": "B"}, headers={"If-Match": tag})
    assert (first.status_code, second.status_code) == (200, 412)
    assert first["ETag"] == second["ETag"] != tag


def test_the_list_shows_every_project_newest_first_in_pages(operator: OperatorClient) -> None:
    made = [make_project().slug for _ in range(5)]
    first = operator.get(PROJECTS, {"limit": 2}).json()
    second = operator.follow(first["next"]).json()
    make_project()  # meanwhile: neither repeats nor hides anything
    third = operator.follow(second["next"]).json()

    pages = [first, second, third]
    assert [row["slug"] for page in pages for row in page["results"]] == made[::-1]
    assert third["next"] is None
    assert operator.follow(third["previous"]).json()["results"] == second["results"]


def test_a_cursor_of_another_list_is_refused(operator: OperatorClient) -> None:
    project = make_project()
    owner = ApiClient(project)
    ApiClient(project)
    link = owner.get("keys", {"limit": 1}).json()["next"]
    cursor = link.partition("cursor=")[2]
    refused = operator.get(f"{PROJECTS}?cursor={cursor}")
    assert errors_of(refused, 400) == {"cursor": "invalid"}


def test_an_operator_s_key_is_good_for_every_project_within_its_scopes() -> None:
    one, two = make_project(), make_project()
    reader = OperatorClient(scopes=["operate", "read"])

    for project in (one, two):
        assert reader.get(path_of(project)).status_code == 200
        assert reader.get(f"{path_of(project)}/subscriptions").status_code == 200
        errors_of(reader.post(f"{path_of(project)}/events", {"type": "a", "data": 1}), 403)
    errors_of(reader.get(f"{PROJECTS}/no-such-project"), 404)


def test_a_project_s_key_never_operates_even_if_its_row_says_so() -> None:
    owner = ApiClient(make_project())
    ApiKey.objects.update(scopes=[*owner.key.scopes, "operate"])

    assert "'operate'" in owner.get(PROJECTS).json()["detail"]
    errors_of(owner.post(PROJECTS, {"name": "New"}), 403)
    assert Project.objects.count() == 1


def test_another_project_is_not_found_whatever_is_asked_of_it() -> None:
    owner, other = ApiClient(make_project()), make_project(name="Before")
    errors_of(owner.get(path_of(other)), 404)
    errors_of(owner.patch(path_of(other), {"name": "After"}), 404)
    other.refresh_from_db()
    assert other.name == "Before"


def test_projects_are_not_deleted() -> None:
    operator, project = OperatorClient(), make_project()
    refused = operator.delete(path_of(project))
    errors_of(refused, 405)
    assert Project.objects.exists()
