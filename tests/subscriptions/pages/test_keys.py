"""Pages of a project's API keys: shown once, changed, revoked, and by owners only."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.test import Client

from subscriptions.access.api_keys import KEYS_PER_PROJECT, authenticate, make_key, revoke
from subscriptions.ids import to_public
from subscriptions.models import ApiKey, AuditEntry, Project
from tests.factories import make_project
from tests.queries import counted_queries
from tests.subscriptions.pages.people import signed_in

pytestmark = pytest.mark.django_db

EVIL = '<script>alert("1")</script>'


@pytest.fixture
def project() -> Project:
    return make_project()


@pytest.fixture
def owner(project: Project) -> Client:
    return signed_in(project, "owner", "owner")


def keys_of(project: Project) -> str:
    return f"/projects/{project.slug}/keys"


def one_of(key: ApiKey, change: str) -> str:
    assert key.project is not None
    return f"{keys_of(key.project)}/{to_public('key', key.public_id)}/{change}"


def text_of(response: Any) -> str:
    return str(response.content.decode())


def test_a_key_is_shown_when_it_is_made_and_never_again(project: Project, owner: Client) -> None:
    wanted = {"name": EVIL, "scopes": ["publish", "read"], "expires_at": "2099-01-31T12:30"}
    made = owner.post(keys_of(project), wanted)
    assert made.status_code == 201
    plain = re.findall(r"whd_[\w-]{40,}", text_of(made))
    assert len(plain) == 1
    assert 'data-copy="#made-key"' in text_of(made)
    assert made["Cache-Control"] == "no-store"
    key = authenticate(plain[0])
    assert key is not None
    assert (key.project, key.name, key.scopes) == (project, EVIL, ["publish", "read"])
    assert f"{key.expires_at:%Y-%m-%dT%H:%M%z}" == "2099-01-31T12:30+0000"

    listed = text_of(owner.get(keys_of(project)))
    assert plain[0] not in listed
    assert f"{key.prefix}…" in listed
    assert EVIL not in listed
    entry = AuditEntry.objects.get(action="api_key.created")
    assert (entry.actor_kind, entry.actor_label) == ("user", "owner")


BAD: list[tuple[dict[str, Any], str]] = [
    ({"scopes": []}, "Choose what the key may do."),
    ({"scopes": ["operate"]}, "operate is not one of the available choices"),
    ({"scopes": ["read"], "expires_at": "2001-01-01T00:00"}, "This time is past"),
    ({"scopes": ["read"], "expires_at": "soon"}, "Enter a valid date/time."),
    ({"scopes": ["read"], "name": "a\nb\x07"}, "printable characters"),
    ({"scopes": ["read"], "name": "x" * 201}, "at most 200 characters"),
]


@pytest.mark.parametrize(("wanted", "said"), BAD)
def test_what_no_key_can_be_is_said_at_its_field(
    project: Project, owner: Client, wanted: dict[str, Any], said: str
) -> None:
    refused = owner.post(keys_of(project), wanted)
    assert refused.status_code == 422
    assert said in text_of(refused)
    assert 'role="alert"' in text_of(refused)
    assert not ApiKey.objects.exists()


def test_there_are_not_more_keys_than_a_project_may_have(project: Project, owner: Client) -> None:
    for _ in range(KEYS_PER_PROJECT):
        make_key(project, ["read"])
    refused = owner.post(keys_of(project), {"scopes": ["read"]})
    assert refused.status_code == 422
    assert f"{KEYS_PER_PROJECT} live keys" in text_of(refused)


def test_the_expiry_is_changed_and_taken_away(project: Project, owner: Client) -> None:
    key, _ = make_key(project, ["read"])
    done = owner.post(one_of(key, "expiry"), {"expires_at": "2099-01-31T12:30"}, follow=True)
    assert "was changed" in text_of(done)
    key.refresh_from_db()
    assert f"{key.expires_at:%Y-%m-%d}" == "2099-01-31"
    owner.post(one_of(key, "expiry"), {"expires_at": ""})
    key.refresh_from_db()
    assert key.expires_at is None
    past = owner.post(one_of(key, "expiry"), {"expires_at": "2001-01-01T00:00"}, follow=True)
    assert "This time is past" in text_of(past)
    bad = owner.post(one_of(key, "expiry"), {"expires_at": "x"}, follow=True)
    assert "This is not a time" in text_of(bad)


def test_a_revoked_key_is_refused_at_once_and_stays_so(project: Project, owner: Client) -> None:
    key, plain = make_key(project, ["read"])
    done = owner.post(one_of(key, "revoke"), follow=True)
    assert "is revoked" in text_of(done)
    assert authenticate(plain) is None
    later = owner.post(one_of(key, "expiry"), {"expires_at": ""}, follow=True)
    assert "stays so" in text_of(later)


def test_keys_are_an_owner_s_matter(project: Project) -> None:
    key, _ = make_key(project, ["read"])
    for role in ("viewer", "editor"):
        client = signed_in(project, role)
        for response in (
            client.get(keys_of(project)),
            client.post(keys_of(project), {"scopes": ["read"]}),
            client.post(one_of(key, "revoke")),
            client.post(one_of(key, "expiry"), {}),
        ):
            assert response.status_code == 403
            assert "It takes the role owner" in text_of(response)
    assert signed_in(make_project(), "owner").get(keys_of(project)).status_code == 404
    assert Client().get(keys_of(project)).status_code == 302
    assert ApiKey.objects.filter(revoked_at=None).count() == 1


def test_another_project_s_key_is_not_found(owner: Client, project: Project) -> None:
    foreign, _ = make_key(make_project(), ["read"])
    path = f"{keys_of(project)}/{to_public('key', foreign.public_id)}/revoke"
    assert owner.post(path).status_code == 404
    assert owner.post(f"{keys_of(project)}/key_1/revoke").status_code == 404
    foreign.refresh_from_db()
    assert foreign.revoked_at is None


def test_many_keys_come_in_pages_and_cost_no_query_each(project: Project, owner: Client) -> None:
    for number in range(55):
        key, _ = make_key(project, ["read"], name=f"number {number}.")
        revoke(key)
    with counted_queries() as queries:
        first = text_of(owner.get(keys_of(project)))
    assert len(queries) <= 6
    assert "number 54." in first
    assert "number 4." not in first
    older = re.findall(r'href="(\?cursor=[^"]+)" rel="next"', first)[0]
    second = text_of(owner.get(keys_of(project) + older))
    assert "number 4." in second
    assert "number 5." not in second
    assert "not a cursor" in text_of(owner.get(keys_of(project) + "?cursor=x"))
