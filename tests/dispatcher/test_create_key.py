"""`manage.py create_key` makes keys of projects and of operators, for ever or for a while."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from subscriptions.access.api_keys import ALL_SCOPES, OPERATOR_SCOPES, authenticate
from subscriptions.models import ApiKey, AuditEntry, Project
from tests.factories import make_project

pytestmark = pytest.mark.django_db


@pytest.fixture
def project() -> Project:
    return make_project(slug="acme")


def create(*arguments: str) -> ApiKey:
    output = StringIO()
    call_command("create_key", *arguments, stdout=output)
    key = authenticate(output.getvalue().split()[0])
    assert key is not None
    return key


def test_a_project_s_key_has_all_of_the_project_s_scopes_if_none_is_named(project: Project) -> None:
    key = create("acme", "--name", "Shop")
    assert (key.project, key.name, tuple(key.scopes)) == (project, "Shop", ALL_SCOPES)
    assert key.expires_at is None
    assert "operate" not in key.scopes


def test_scopes_can_be_named(project: Project) -> None:
    assert create(project.slug, "--scope", "own", "--scope", "read").scopes == ["read", "own"]


def test_an_operator_s_key_is_of_no_project_and_may_do_everything() -> None:
    key = create("--operator")
    assert (key.project, tuple(key.scopes)) == (None, OPERATOR_SCOPES)
    entry = AuditEntry.objects.get(action="api_key.created")
    assert (entry.project_id, entry.actor_kind) == (None, "command")


def test_an_operator_s_key_may_be_narrowed() -> None:
    key = create("--operator", "--scope", "operate", "--scope", "publish")
    assert key.scopes == ["publish", "operate"]


def test_days_are_counted_from_now(project: Project) -> None:
    key = create(project.slug, "--expires", "30d")
    assert key.expires_at is not None
    assert abs(key.expires_at - timezone.now() - timedelta(days=30)) < timedelta(minutes=1)


def test_a_date_is_the_last_day_on_which_the_key_is_good() -> None:
    key = create("--operator", "--expires", "2100-01-31")
    assert key.expires_at == datetime(2100, 2, 1, tzinfo=UTC)


@pytest.mark.parametrize("expiry", ["0d", "2020-01-01", "30", "d", "-1d", "99999d", "9999-12-31",
                                    "2100-02-30", "soon", ""])  # fmt: skip
def test_an_expiry_that_is_none_or_past_makes_nothing(project: Project, expiry: str) -> None:
    with pytest.raises(CommandError):
        create(project.slug, f"--expires={expiry}")
    assert not ApiKey.objects.exists()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "Name a project"),
        (["acme", "--operator"], "leave it out"),
        (["nobody"], "no project 'nobody'"),
        (["acme", "--scope", "operate"], "Unknown scopes: operate"),
        (["acme", "--scope", "admin"], "invalid choice"),
        (["acme", "--name", "a\nb"], "printable"),
    ],
)
def test_what_cannot_be_made_is_said(
    project: Project,  # noqa: ARG001  # it is there
    arguments: list[str],
    sentence: str,
) -> None:
    with pytest.raises(CommandError, match=sentence):
        create(*arguments)
    assert not ApiKey.objects.exists()
