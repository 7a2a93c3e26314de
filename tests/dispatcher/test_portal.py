"""A provider shows a project's pages to its customer: how links are made, framed and ended."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.conf import LazySettings
from django.test import Client
from django.utils import timezone

from subscriptions.ids import to_public
from subscriptions.models import AuditEntry, Project
from tests.api_client import ApiClient, errors_of
from tests.dispatcher.portal_links import below, link_of
from tests.factories import make_project, make_subscription

pytestmark = pytest.mark.django_db

ORIGIN = "https://app.acme.test"


@pytest.fixture
def project() -> Project:
    return make_project(portal_origins=[ORIGIN, "http://localhost:3000"])


def policy_of(response: Any) -> dict[str, str]:
    parts = response["Content-Security-Policy"].split("; ")
    return dict(part.partition(" ")[::2] for part in parts)


# ---- The route -----------------------------------------------------------------------------------


def test_a_link_is_made_and_opens_the_project(project: Project) -> None:
    subscription = make_subscription(project=project)
    client = ApiClient(project, ["manage"])
    identifier = to_public("sub", subscription.id)
    made = client.post("portal-links", {"role": "editor", "subscriptions": [identifier]})

    assert made.status_code == 201
    answer = made.json()
    expires_at = timezone.datetime.fromisoformat(answer["expires_at"])  # type: ignore[attr-defined]
    assert timedelta(minutes=59) < expires_at - timezone.now() <= timedelta(hours=1)
    assert "no-store" in made["Cache-Control"]
    opened = Client().get(urlsplit(answer["url"]).path, follow=True)
    assert opened.status_code == 200
    assert opened.redirect_chain[-1][0].endswith(f"/projects/{project.slug}/")

    entry = AuditEntry.objects.get(action="portal_link.created")
    assert (entry.actor_id, entry.target_id) == (client.key.prefix, answer["id"])
    assert entry.after is not None
    assert (entry.after["role"], entry.after["subscriptions"]) == ("editor", [identifier])


BAD: list[tuple[dict[str, Any], dict[str, str]]] = [
    ({}, {"role": "required"}),
    ({"role": "owner"}, {"role": "invalid_choice"}),
    ({"role": "viewer", "expires_in_seconds": 59}, {"expires_in_seconds": "min_value"}),
    ({"role": "viewer", "expires_in_seconds": 86401}, {"expires_in_seconds": "max_value"}),
    ({"role": "viewer", "expires_in_seconds": "60"}, {"expires_in_seconds": "invalid"}),
    ({"role": "viewer", "subscriptions": []}, {"subscriptions": "empty"}),
    ({"role": "viewer", "subscriptions": ["sub_1"]}, {"subscriptions.0": "invalid"}),
    ({"role": "viewer", "project": "other"}, {"project": "unknown"}),
]


@pytest.mark.parametrize(("body", "errors"), BAD)
def test_what_no_link_can_be_is_refused(
    project: Project, body: dict[str, Any], errors: dict[str, str]
) -> None:
    assert errors_of(ApiClient(project).post("portal-links", body), 400) == errors


def test_a_foreign_or_deleted_subscription_is_not_found(project: Project) -> None:
    deleted = make_subscription(project=project, is_active=False, deleted_at=timezone.now())
    for other in (make_subscription(), deleted):
        body = {"role": "viewer", "subscriptions": [to_public("sub", other.id)]}
        assert ApiClient(project).post("portal-links", body).status_code == 404


# ---- What a browser is told ----------------------------------------------------------------------


def test_only_the_project_s_origins_frame_it_and_nothing_is_kept_or_told(project: Project) -> None:
    response = Client().get(below(link_of(project), f"/projects/{project.slug}/members"))
    response_of_page = Client().get(below(link_of(project), f"/projects/{project.slug}/"))
    for each in (response, response_of_page):
        assert policy_of(each)["frame-ancestors"] == f"{ORIGIN} http://localhost:3000"
        assert "X-Frame-Options" not in each
        assert each["Referrer-Policy"] == "no-referrer"
        assert each["Cache-Control"] == "no-store"
        assert not each.cookies
    assert policy_of(response_of_page)["script-src"] == "'self'"


def test_without_origins_nobody_frames_it() -> None:
    project = make_project()
    response = Client().get(below(link_of(project), f"/projects/{project.slug}/"))
    assert policy_of(response)["frame-ancestors"] == "'none'"


def test_members_pages_are_framed_by_nobody(project: Project) -> None:
    response = Client().get(f"/projects/{project.slug}/")
    assert policy_of(response)["frame-ancestors"] == "'none'"
    assert response["X-Frame-Options"] == "DENY"


def test_every_address_of_a_page_stays_below_the_link(project: Project) -> None:
    link = link_of(project, "editor")
    for section in ("", "event-types"):
        page = Client().get(below(link, f"/projects/{project.slug}/{section}")).content.decode()
        links = re.findall(r'(?:href|action|hx-get|hx-post)="(/[^"]*)"', page)
        assert len(links) > 3
        for address in links:
            assert address.startswith((f"/portal/{link.token}/", "/static/")), address
    assert "/portal/" not in Client().get("/sign-in").content.decode()


# ---- Links that are none -------------------------------------------------------------------------


def test_a_link_ends_calmly(project: Project) -> None:
    ended = link_of(project, expires_in_seconds=-1)
    good = link_of(project).token
    for token in (ended.token, good[:-1] + ("A" if good[-1] != "A" else "B"), "x", "", "a:b:c"):
        response = Client().get(f"/portal/{token}/projects/{project.slug}/")
        assert response.status_code == 410
        assert "This link has ended" in response.content.decode()
        assert project.name not in response.content.decode()


def test_another_secret_key_ends_all_links(project: Project, settings: LazySettings) -> None:
    link = link_of(project)
    settings.SECRET_KEY = "another"
    assert Client().get(below(link, "/")).status_code == 410


def test_no_other_signature_of_ours_is_a_link(project: Project) -> None:
    from django.core import signing

    token = signing.dumps({"i": "x", "p": project.pk, "r": "owner", "s": None, "e": 9**12})
    assert Client().get(f"/portal/{token}/").status_code == 410
