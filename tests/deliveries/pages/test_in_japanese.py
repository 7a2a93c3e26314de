"""Pages for somebody whose browser asks for Japanese: words are translated, machines' parts not."""

from __future__ import annotations

import re
from datetime import timedelta
from ipaddress import ip_network

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django.fixtures import Settings

from subscriptions.access.api_keys import make_key
from subscriptions.deactivation import deactivate
from subscriptions.models import Project, Subscription
from tests.deliveries.pages.filling_in import NEW, VERDICT, filled_in, member, page_of, text_of
from tests.factories import make_project, make_subscription

pytestmark = pytest.mark.django_db

PAGES = (
    "", "subscriptions", "subscriptions/new", "deliveries", "event-types", "signature-debugger",
    "members", "keys", "audit-log",
)  # fmt: skip

_SENTENCE = re.compile(r">[^<>]*\b[A-Za-z]+ [a-z]+ [a-z]+ [a-z]+\b[^<>]*<")
"""English words in a row, between tags."""


@pytest.fixture
def project(settings: Settings) -> Project:
    """A project that may send to this machine."""
    settings.DISPATCHER_ALLOWED_NETWORKS = (ip_network("127.0.0.0/8"),)
    return make_project(slug="acme", name="アクメ")


@pytest.fixture
def owner(project: Project) -> Client:
    client = member(project, "owner")
    client.defaults["HTTP_ACCEPT_LANGUAGE"] = "ja"
    return client


@pytest.mark.parametrize("page", PAGES)
def test_a_page_has_no_english_sentence(owner: Client, project: Project, page: str) -> None:
    make_subscription(project=project)

    answer = owner.get(f"/projects/acme/{page}")

    text = text_of(answer)
    assert answer.status_code == 200
    assert '<html lang="ja">' in text
    assert _SENTENCE.findall(re.sub(r"<pre.*?</pre>", "", text, flags=re.DOTALL)) == []


def test_a_refused_setting_is_said_in_japanese(owner: Client) -> None:
    answer = owner.post(NEW, filled_in(url="http://me:pw@127.0.0.1/", event_types="a b"))

    text = text_of(answer)
    assert answer.status_code == 422
    assert "URLにユーザー名やパスワードを含めることはできません。" in text
    assert "'a b' は、イベントタイプでも '*' でもなく" in text
    assert not Subscription.objects.exists()


def test_a_verdict_on_a_url_is_said_in_japanese(owner: Client) -> None:
    text = text_of(owner.post(VERDICT, {"url": "ftp://example.com"}))

    assert "保存できません" in text
    assert "URLは https:// または http:// で始まる必要があります。" in text


def test_a_field_that_django_refuses_is_said_in_japanese(owner: Client) -> None:
    assert "この項目は必須です。" in text_of(owner.post(NEW, filled_in(url="")))


def test_a_stored_error_is_said_in_japanese(owner: Client, project: Project) -> None:
    subscription = make_subscription(project=project)
    Subscription.objects.filter(pk=subscription.pk).update(
        failure_streak=3, last_error="The receiver answered with status 500."
    )

    text = text_of(owner.get("/projects/acme/"))

    assert "3回連続で失敗" in text
    assert "受信側がステータス 500 を返しました。" in text


def test_a_role_that_is_too_small_is_said_in_japanese(project: Project) -> None:
    viewer = member(project, "viewer")

    text = text_of(viewer.get("/projects/acme/keys", headers={"accept-language": "ja"}))

    assert "「オーナー」の役割が必要です。現在の役割は「閲覧者」です。" in text


def test_times_and_numbers_for_machines_are_the_same_in_both_languages(
    owner: Client, project: Project
) -> None:
    subscription = make_subscription(project=project)
    deactivate(subscription)
    make_key(project, ["read"], expires_at=timezone.now() + timedelta(days=2000))
    for page in (page_of(subscription, "").rstrip("/"), "/projects/acme/keys"):
        in_japanese = text_of(owner.get(page))
        in_english = text_of(owner.get(page, headers={"accept-language": "en"}))
        for_machines = r'\b(?:datetime|value|viewBox|x|y|width|height|max|action|href)="[^"]*"'
        said = [
            [each for each in re.findall(for_machines, text) if "csrf" not in each]
            for text in (in_japanese, in_english)
        ]
        assert _without_tokens(said[0]) == _without_tokens(said[1])
        assert any(each.startswith("datetime=") for each in said[0])


def _without_tokens(attributes: list[str]) -> list[str]:
    """Leave out what differs by request: tokens of forms, and the button of the other language."""
    return [
        each for each in attributes if not re.fullmatch(r'value="([\w-]{22}|\w{64}|en|ja)"', each)
    ]


def test_somebody_who_chose_english_reads_english(owner: Client) -> None:
    owner.post("/language", {"language": "en", "next": "/"})
    owner.cookies["django_language"] = "en"

    assert '<html lang="en">' in text_of(owner.get("/projects/acme/"))
