"""The API has no session and no login; pages have both."""

from __future__ import annotations

import pytest
from django.contrib.auth import get_user_model
from django.test import Client

from tests.api_client import ApiClient
from tests.factories import make_project

pytestmark = pytest.mark.django_db


def test_a_login_counts_on_pages_and_not_for_the_api() -> None:
    project = make_project()
    browser = Client()
    browser.force_login(get_user_model().objects.create_superuser("Suzuki", password="x"))
    assert browser.get(f"/projects/{project.slug}/").status_code == 200
    assert browser.get(f"/api/v1/projects/{project.slug}").status_code == 401


def test_the_api_reads_and_sets_no_cookie() -> None:
    api = ApiClient(make_project())
    response = api.get("events")
    assert response.status_code == 200
    assert not response.cookies
    assert "Cookie" not in response.get("Vary", "")
