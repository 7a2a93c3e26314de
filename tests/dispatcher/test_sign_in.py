"""Signing in and out, the language of pages, and what is shown where there is no page."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.test import Client, RequestFactory

from dispatcher import error_pages
from subscriptions.models import Member, Project
from tests.api_client import ApiClient
from tests.factories import make_project

pytestmark = pytest.mark.django_db

PASSWORD = "correct horse"


@pytest.fixture
def user() -> User:
    return User.objects.create_user(f"ann-{uuid4().hex}", password=PASSWORD)


@pytest.fixture
def project(user: User) -> Project:
    project = make_project()
    Member.objects.create(project=project, user=user, role=Member.Role.VIEWER)
    return project


def page_of(project: Project, section: str = "") -> str:
    return f"/projects/{project.slug}/{section}"


def sign_in(client: Client, user: User, password: str = PASSWORD, **options: Any) -> Any:
    query = options.pop("query", "")
    address = str(ip_address(uuid4().int))
    return client.post(
        f"/sign-in{query}",
        {"username": user.username, "password": password},
        REMOTE_ADDR=options.pop("address", address),
        **options,
    )


def test_a_page_leads_to_sign_in_and_from_there_back_to_it(user: User, project: Project) -> None:
    client = Client()
    page = page_of(project, "event-types?search=a%26b")
    asked = client.get(page)
    assert asked.status_code == 302

    assert asked["Location"].startswith("/sign-in?next=")
    assert b"Sign in" in client.get(asked["Location"]).content
    back = client.post(asked["Location"], {"username": user.username, "password": PASSWORD})
    assert (back.status_code, back["Location"]) == (302, page)
    assert client.get(page).status_code == 200


def test_nobody_is_led_to_another_site(user: User) -> None:
    for there in ("https://evil.example/", "//evil.example/", r"/\evil.example", "javascript:x"):
        response = sign_in(Client(), user, query=f"?next={there}")
        assert (response.status_code, response["Location"]) == (302, "/projects")


def test_who_is_signed_in_already_is_led_on(user: User) -> None:
    client = Client()
    client.force_login(user)
    assert client.get("/sign-in")["Location"] == "/projects"
    assert client.get("/")["Location"] == "/projects"


def test_a_wrong_password_is_said_at_the_form(user: User) -> None:
    response = sign_in(Client(), user, "wrong")
    assert response.status_code == 200
    assert 'role="alert"' in response.content.decode()
    assert user.username in response.content.decode()
    assert "wrong" not in response.content.decode()


def test_after_too_many_wrong_passwords_it_says_when_to_come_back(user: User) -> None:
    address = str(ip_address(uuid4().int))
    for _ in range(10):
        assert sign_in(Client(), user, "wrong", address=address).status_code == 200
    refused = sign_in(Client(), user, address=address)
    assert refused.status_code == 429
    assert 0 < int(refused["Retry-After"]) <= 30
    assert "Try again in 1 minute." in refused.content.decode()


def test_signing_out_takes_a_post_and_ends_it(user: User, project: Project) -> None:
    client = Client()
    client.force_login(user)
    assert client.get("/sign-out").status_code == 405
    assert client.get(page_of(project)).status_code == 200
    assert client.post("/sign-out")["Location"] == "/sign-in"
    assert client.get(page_of(project)).status_code == 302


def test_the_projects_page_shows_one_s_own_and_leads_on_where_there_is_only_one(
    user: User, project: Project
) -> None:
    make_project(name="Somebody else's")
    client = Client()
    client.force_login(user)
    assert client.get("/projects")["Location"] == page_of(project)

    second = make_project(name="<b>Second</b>")
    Member.objects.create(project=second, user=user)
    shown = client.get("/projects").content.decode()
    assert project.name in shown
    assert "&lt;b&gt;Second" in shown
    assert "Somebody else" not in shown


def test_who_is_nowhere_a_member_is_told_what_to_do(user: User) -> None:
    client = Client()
    client.force_login(user)
    shown = client.get("/projects").content.decode()
    assert "no member of a project yet" in shown
    assert user.username in shown


def test_an_operator_sees_all_projects() -> None:
    client = Client()
    client.force_login(User.objects.create_superuser("operator"))
    projects = [make_project(), make_project()]
    shown = client.get("/projects").content.decode()
    assert all(project.name in shown for project in projects)


def test_another_s_project_is_not_found_nor_told_from_one_that_does_not_exist(user: User) -> None:
    client = Client()
    client.force_login(user)
    foreign = client.get(page_of(make_project()))
    unknown = client.get("/projects/no-such-project/")
    assert foreign.status_code == unknown.status_code == 404
    assert foreign.content == unknown.content
    assert "There is nothing here" in foreign.content.decode()


# ---- Language ------------------------------------------------------------------------------------


def lang_of(response: Any) -> str:
    return str(response.content.decode().partition('<html lang="')[2].partition('"')[0])


def test_pages_speak_the_browser_s_language_until_another_is_chosen() -> None:
    client = Client(headers={"Accept-Language": "ja,en;q=0.5"})
    assert lang_of(client.get("/sign-in")) == "ja"

    chosen = client.post("/language", {"language": "en", "next": "/sign-in?next=/projects"})
    assert chosen["Location"] == "/sign-in?next=/projects"
    cookie = client.cookies["django_language"]
    assert (cookie.value, cookie["httponly"], cookie["samesite"]) == ("en", True, "Lax")
    assert lang_of(client.get("/sign-in")) == "en"


def test_the_language_switch_leads_to_no_other_site() -> None:
    response = Client().post("/language", {"language": "ja", "next": "https://evil.example/"})
    assert response["Location"] == "/"


def test_the_api_and_the_admin_speak_english() -> None:
    client = ApiClient(make_project())
    japanese = {"Accept-Language": "ja"}
    refused = client.post("subscriptions", {"url": ""}, headers=japanese).json()
    assert "This field is required." in {error["message"] for error in refused["errors"]}
    assert lang_of(Client(headers=japanese).get("/admin/login/")) == "en"


# ---- Where there is no page ----------------------------------------------------------------------


def test_a_form_without_its_token_changes_nothing_and_says_what_to_do(user: User) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(user)
    response = client.post("/sign-out")
    assert response.status_code == 403
    assert "Please try again" in response.content.decode()
    assert client.get("/projects").status_code == 200


def test_an_unknown_address_is_said_in_the_pages_look() -> None:
    response = Client().get("/nothing")
    assert response.status_code == 404
    assert "pages.css" in response.content.decode()
    assert "There is nothing here" in response.content.decode()


def test_a_mistake_of_ours_is_said_in_the_pages_look_and_as_a_problem_over_the_api() -> None:
    page = error_pages.server_error(RequestFactory().get("/projects"))
    assert page.status_code == 500
    assert b"Something went wrong on our side" in page.content  # type: ignore[attr-defined]
    problem = error_pages.server_error(RequestFactory().get("/api/v1/projects"))
    assert problem["Content-Type"] == "application/problem+json"


def test_an_unknown_host_is_refused_in_the_pages_look() -> None:
    response = Client(headers={"Host": "evil.example"}).get("/sign-in")
    assert response.status_code == 400
    assert "not understood" in response.content.decode()
