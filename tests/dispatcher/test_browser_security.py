"""What browsers are told, and that production answers over HTTPS only."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.conf import LazySettings
from django.contrib.auth import get_user_model
from django.test import Client

from tests.api_client import ApiClient
from tests.factories import make_project

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.django_db


def policy_of(response: Any) -> dict[str, str]:
    """A Content-Security-Policy as directives."""
    parts = response["Content-Security-Policy"].split("; ")
    return dict(part.partition(" ")[::2] for part in parts)


@pytest.fixture
def admin() -> Client:
    client = Client()
    user = get_user_model().objects.create_superuser("operator", password="for tests only")
    client.force_login(user)
    return client


def test_no_page_runs_scripts_that_are_not_files_of_ours(admin: Client) -> None:
    for response in (admin.get("/admin/"), Client().get("/admin/login/"), Client().get("/nothing")):
        policy = policy_of(response)
        assert policy["default-src"] == "'none'"
        assert "'unsafe-inline'" not in policy["script-src"]
        assert policy["frame-ancestors"] == "'none'"
        assert response["X-Frame-Options"] == "DENY"
        assert response["X-Content-Type-Options"] == "nosniff"
        assert response["Referrer-Policy"] == "same-origin"


def test_only_the_admin_may_evaluate_and_style_inline(admin: Client) -> None:
    assert "'unsafe-eval'" in policy_of(admin.get("/admin/"))["script-src"]
    elsewhere = policy_of(Client().get("/nothing"))
    assert (elsewhere["script-src"], elsewhere["style-src"]) == ("'self'", "'self'")


def test_an_answer_of_the_api_is_nothing_to_a_browser() -> None:
    response = ApiClient(make_project()).get("subscriptions")
    assert policy_of(response) == {"default-src": "'none'", "frame-ancestors": "'none'"}


@pytest.mark.parametrize("path", ["/admin/", "/admin/deliveries/delivery/", "/nothing"])
def test_nothing_is_kept_in_caches(admin: Client, path: str) -> None:
    assert "no-store" in admin.get(path)["Cache-Control"]


def test_answers_of_the_api_are_kept_in_no_cache() -> None:
    client = ApiClient(make_project())
    assert "no-store" in client.get("deliveries")["Cache-Control"]
    assert "no-store" in client.get("nothing")["Cache-Control"]


def test_policies_are_the_same_where_the_site_is_served_below_a_path() -> None:
    for path in ("/api/nowhere", "/admin/login/", "/nothing"):
        below = Client().get(path, SCRIPT_NAME="/webhooks")
        assert policy_of(below) == policy_of(Client().get(path))


# ---- HTTPS ----------------------------------------------------------------------------------


def test_the_api_refuses_plain_http_and_does_not_redirect(settings: LazySettings) -> None:
    settings.DISPATCHER_HTTPS = True
    client = ApiClient(make_project())

    plain = client.get("subscriptions")
    secure = client.call("GET", "subscriptions", secure=True)

    assert plain.status_code == 403
    assert "https" in plain.json()["detail"]
    assert secure.status_code == 200


def test_below_a_path_the_api_refuses_plain_http_too(settings: LazySettings) -> None:
    settings.DISPATCHER_HTTPS = True
    assert Client().get("/api/nowhere", SCRIPT_NAME="/webhooks").status_code == 403


IN_PRODUCTION = """
import django, json
django.setup()
from django.core.management import call_command
call_command("check", "--deploy", "--fail-level", "WARNING")
from django.test import Client
client = Client(SERVER_NAME="hooks.example")
asked = {
    "page": client.get("/admin/login/"),
    "through the proxy": client.get("/admin/login/", headers={"X-Forwarded-Proto": "https"}),
    "health": client.get("/healthz"),
}
print(json.dumps({name: answer.status_code for name, answer in asked.items()}))
print(asked["through the proxy"]["Strict-Transport-Security"])
print(asked["through the proxy"].cookies["csrftoken"]["secure"])
"""


def test_production_passes_django_s_checks_and_redirects_pages(tmp_path: Path) -> None:
    ours = ("DISPATCHER_", "DATABASE_URL", "REDIS_URL", "PORT")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    environment |= {
        "DJANGO_SETTINGS_MODULE": "dispatcher.settings",
        "DATABASE_URL": "postgres://nobody@127.0.0.1:1/nothing",
        "DISPATCHER_DATA_DIR": str(tmp_path),
        "DISPATCHER_STATIC_ROOT": str(tmp_path),
        "DISPATCHER_SECRET_KEY": "c0ffee5eed" * 6 + "for tests",
        "DISPATCHER_ENCRYPTION_KEYS": "dGhlc2UgYXJlIDMyIGJ5dGVzIGZvciB0ZXN0cy4uLi4=",
        "DISPATCHER_ALLOWED_HOSTS": "hooks.example",
    }
    result = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", IN_PRODUCTION],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    statuses, hsts, cookie = result.stdout.splitlines()[-3:]
    assert statuses == '{"page": 301, "through the proxy": 200, "health": 200}'
    assert hsts == "max-age=31536000"
    assert cookie == "True"
