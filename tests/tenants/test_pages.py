"""No member reads or changes another project by a page: every page × method, with every foreign id.

The pages come from the URLconf (`routes.page_paths`); that the walk reaches its aims is shown by
the same requests with a project's own ids.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from pytest_django.fixtures import Settings

from subscriptions.models import Member, Project
from tests.tenants.routes import page_paths
from tests.tenants.world import Tenant, make_tenant, rows

pytestmark = pytest.mark.django_db

METHODS = ("get", "post", "put", "patch", "delete")
FOREIGN = ("subscription", "delivery", "event", "recovery", "key", "name")
"""The parameters of a path that name something of a project."""


@pytest.fixture(autouse=True)
def no_rates(settings: Settings) -> None:
    """A walk is faster than any visitor."""
    settings.DISPATCHER_REQUEST_RATE_PER_KEY = 0


@pytest.fixture
def ours() -> Tenant:
    return make_tenant("ours")


@pytest.fixture
def theirs(ours: Tenant) -> Tenant:  # noqa: ARG001  # the first
    return make_tenant("theirs")


@pytest.fixture
def owner(ours: Tenant) -> Client:
    """An owner of our project, and of no other."""
    user = User.objects.create_user("owner")
    project = Project.objects.get(slug=ours.ids["project"])
    Member.objects.create(project=project, user=user, role="owner")
    client = Client(raise_request_exception=False)
    client.force_login(user)
    return client


def values_of(tenant: Tenant) -> dict[str, str]:
    """The ids that paths of pages take."""
    ids = {name.removesuffix("_id"): value for name, value in tenant.ids.items()}
    return ids | {"name": ids["event_type"], "number": "1", "change": "pause"}


def answers(client: Client, paths: list[str]) -> Iterator[tuple[str, Any]]:
    for path in paths:
        for method in METHODS:
            yield f"{method} {path}", getattr(client, method)(path)


def test_another_project_s_pages_do_not_exist(owner: Client, theirs: Tenant) -> None:
    before = rows()
    wrong = [
        f"{what}: {answer.status_code}"
        for what, answer in answers(owner, page_paths(values_of(theirs)))
        if answer.status_code != 404
    ]
    assert wrong == []
    assert rows() == before


def test_a_foreign_id_below_our_own_project_does_not_exist(
    owner: Client, ours: Tenant, theirs: Tenant
) -> None:
    before, wrong, foreign = rows(), [], values_of(theirs)
    for name in FOREIGN:
        values = values_of(ours) | {name: foreign[name]}
        paths = [path for path in page_paths(values) if foreign[name] in path]
        assert paths, f"no page takes a {name}"
        wrong += [
            f"{what}: {answer.status_code}"
            for what, answer in answers(owner, paths)
            if answer.status_code not in {404, 405}
        ]
    assert wrong == []
    assert rows() == before


def test_no_page_of_ours_shows_anything_of_theirs(
    owner: Client, ours: Tenant, theirs: Tenant
) -> None:
    foreign, wrong, arrived = values_of(theirs), [], 0
    queries = ["", *(f"?{name}={foreign[name]}" for name in ("subscription", "event"))]
    queries += [f"?search={foreign['delivery']}", "?search=theirs", "?q=theirs"]
    for path in page_paths(values_of(ours)):
        for query in queries:
            answer = owner.get(path + query)
            arrived += answer.status_code == 200
            text = b"".join(answer).decode(errors="replace")
            asked = query.partition("=")[2]
            wrong += [f"{path}{query}: {m}" for m in theirs.marks() if m in text and m not in asked]
    assert wrong == []
    assert arrived > 10 * len(queries)


def test_who_is_not_signed_in_sees_no_page(ours: Tenant) -> None:
    before, wrong = rows(), []
    for what, answer in answers(Client(raise_request_exception=False), page_paths(values_of(ours))):
        if answer.status_code != 302 or not answer["Location"].startswith("/sign-in?"):
            wrong.append(f"{what}: {answer.status_code}")
    assert wrong == []
    assert rows() == before
