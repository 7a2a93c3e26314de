"""What every page of a project does before it looks at anything: who asks, how, and how fast."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import uuid4

import pytest
from django.conf import LazySettings
from django.contrib.auth.models import User
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

from subscriptions.access.portal import make_link
from subscriptions.models import Member, Project
from subscriptions.pages.project_page import ProjectPage
from tests.factories import make_project
from tests.rates import REFILL_SECONDS, refill_slowly

pytestmark = pytest.mark.django_db


def visitor(project: Project) -> Client:
    """A viewer under whose number nothing was ever counted."""
    user = User.objects.create_user(uuid4().hex, id=1000 + uuid4().int % 2**30)
    Member.objects.create(project=project, user=user, role=Member.Role.VIEWER)
    client = Client()
    client.force_login(user)
    return client


def pages(resolver: URLResolver) -> Iterator[type[ProjectPage]]:
    for entry in resolver.url_patterns:
        if isinstance(entry, URLResolver):
            yield from pages(entry)
        elif isinstance(entry, URLPattern):
            view = getattr(entry.callback, "view_class", None)
            if view is not None and issubclass(view, ProjectPage):
                yield view


def test_who_asks_too_fast_is_told_when_to_come_back(
    settings: LazySettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    refill_slowly(monkeypatch)
    settings.DISPATCHER_REQUEST_RATE_PER_KEY = 1
    project = make_project()
    fast, calm = visitor(project), visitor(project)
    path = f"/projects/{project.slug}/subscriptions"
    assert [fast.get(path).status_code for _ in range(10)] == [200] * 10

    refused = fast.get(path)

    assert refused.status_code == 429
    assert 1 < int(refused["Retry-After"]) <= REFILL_SECONDS
    assert f"Try again in {refused['Retry-After']} seconds." in refused.content.decode()
    assert refused["HX-Reswap"] == "none"
    assert fast.get(f"/projects/{make_project().slug}/").status_code == 429
    assert fast.post(f"{path}/new", {}).status_code == 429
    assert calm.get(path).status_code == 200


def test_a_portal_s_visitors_are_counted_by_link(
    settings: LazySettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    refill_slowly(monkeypatch)
    settings.DISPATCHER_REQUEST_RATE_PER_KEY = 1
    project = make_project()
    fast, calm = (
        make_link(project, role="viewer", subscription_ids=None, expires_in_seconds=600)
        for _ in range(2)
    )
    paths = [f"/portal/{link.token}/projects/{project.slug}/event-types" for link in (fast, calm)]
    codes = [Client().get(paths[0]).status_code for _ in range(11)]
    assert codes == [200] * 10 + [429]
    assert Client().get(paths[1]).status_code == 200


def test_a_rate_of_nothing_is_no_limit(settings: LazySettings) -> None:
    settings.DISPATCHER_REQUEST_RATE_PER_KEY = 0
    project = make_project()
    client = visitor(project)
    path = f"/projects/{project.slug}/subscriptions"
    assert {client.get(path).status_code for _ in range(20)} == {200}


def test_a_method_that_no_role_is_named_for_is_not_allowed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    project = make_project()
    client = visitor(project)
    path = f"/projects/{project.slug}/"
    monkeypatch.setattr(ProjectPage, "put", ProjectPage.get, raising=False)
    assert client.put(path).status_code == 405
    assert client.options(path).status_code == 200
    assert client.head(path).status_code == 200


def test_every_method_of_a_page_has_a_role() -> None:
    found = set(pages(get_resolver()))
    without = {
        f"{page.__name__} {name}"
        for page in found
        for name in page.http_method_names
        if name not in ("head", "options") and name in vars(page) and name.upper() not in page.roles
    }
    assert len(found) > 30
    assert without == set()
