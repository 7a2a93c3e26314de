"""The operator's page: who sees it, what each part shows, and that one part that fails is alone."""

from __future__ import annotations

import html
import re
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.conf import LazySettings
from django.contrib.auth.models import Permission, User
from django.db import OperationalError, connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from deliveries.auditing import turns
from deliveries.models import Delivery, PeriodicRun, Worker
from deliveries.publishing.ingest import publish
from deliveries.upkeep import partitions
from deliveries.upkeep.periodic import run_once
from deliveries.version import VERSION
from deliveries.workers import Reporter
from dispatcher.system_parts import without_password
from tests.factories import make_subscription
from tests.outages import dead_redis

pytestmark = pytest.mark.django_db

PAGE = "/admin/system/"
AUDIT = "/admin/system/audit"
HOURLY = timedelta(hours=1)


@pytest.fixture
def operator() -> Client:
    client = Client()
    client.force_login(User.objects.create_superuser("operator"))
    return client


def staff(*permissions: str) -> Client:
    """Somebody of the staff who has these permissions and no others."""
    user = User.objects.create_user("staff", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client = Client()
    client.force_login(user)
    return client


def part(client: Client, name: str) -> str:
    """Return what a card of the page says, as text."""
    response = client.get(PAGE)
    assert response.status_code == 200
    card = re.search(
        rf'<section class="system-card" aria-labelledby="system-{name}">(.*?)</section>',
        response.content.decode(),
        re.DOTALL,
    )
    assert card, name
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", card[1])).split())


def refusing(table: str) -> Callable[..., Any]:
    """Make a database that does not answer about one table."""

    def refuse(execute: Callable[..., Any], sql: str, *rest: Any) -> Any:
        if table in sql:
            raise OperationalError("canceling statement due to <b>timeout</b>\nmore lines")
        return execute(sql, *rest)

    return refuse


def publish_one() -> Delivery:
    published = publish(project=make_subscription().project, event_type="Task.update", data={})
    return Delivery.objects.get(id=published.delivery_ids[0])


# ---- Who sees it ----------------------------------------------------------------------------


@pytest.mark.parametrize("path", [PAGE, AUDIT])
def test_who_is_not_signed_in_is_sent_to_the_admin_s_login(path: str) -> None:
    response = Client().get(path)
    assert response.status_code == 302
    assert response["Location"] == f"/admin/login/?next={path}"


@pytest.mark.parametrize("permission", ["view_worker", "view_delivery", "change_project"])
def test_staff_who_may_not_see_all_of_it_see_nothing_of_it(permission: str) -> None:
    client = staff(permission)
    assert client.get(PAGE).status_code == 403
    assert client.post(AUDIT).status_code == 403
    assert b"/admin/system/" not in client.get("/admin/").content


def test_staff_who_may_see_workers_and_deliveries_see_it() -> None:
    client = staff("view_worker", "view_delivery")
    assert client.get(PAGE).status_code == 200
    assert client.post(AUDIT).status_code == 302


def test_members_who_are_no_staff_are_sent_to_the_login() -> None:
    client = Client()
    client.force_login(User.objects.create_user("member"))
    assert client.get(PAGE).status_code == 302


def test_the_admin_s_side_bar_leads_to_it_and_still_to_everything_else(operator: Client) -> None:
    page = operator.get("/admin/").content.decode()
    side_bar = page.partition('id="nav-sidebar-apps"')[2].partition('id="main"')[0]
    for link in (PAGE, "/admin/deliveries/delivery/", "/admin/auth/user/"):
        assert f'href="{link}"' in side_bar


def test_it_is_only_read_and_an_audit_is_only_asked_for_by_its_button(operator: Client) -> None:
    assert operator.post(PAGE).status_code == 405
    assert operator.get(AUDIT).status_code == 405


# ---- What each part shows -------------------------------------------------------------------


def test_readiness_is_what_readyz_answers(operator: Client) -> None:
    Reporter().report(in_flight=0, own_outage_since=None)
    checks = Client().get("/readyz").json()["checks"]

    shown = part(operator, "checks")

    assert len(checks) == 7
    for name, check in checks.items():
        assert f"{name} In order {check['detail']}" in shown


def test_readiness_says_what_is_away_and_the_rest_is_shown(
    operator: Client, settings: LazySettings
) -> None:
    with dead_redis(is_silent=False) as url:
        settings.CACHES = {
            "default": {
                "BACKEND": "django.core.cache.backends.redis.RedisCache",
                "LOCATION": url,
            }
        }
        assert "cache Not in order does not answer" in part(operator, "checks")
        assert "Not known" in part(operator, "audit")
        assert operator.post(AUDIT, follow=True).status_code == 200


def test_workers_are_shown_with_what_they_do_and_whether_they_are_silent(
    operator: Client,
) -> None:
    assert "No worker has reported" in part(operator, "workers")
    Reporter().report(in_flight=12, own_outage_since=None)
    assert re.search(r"Makes progress 20\S+ \S+ 12 20", part(operator, "workers"))
    Worker.objects.update(own_outage_since=timezone.now())
    assert "Reaches no receiver since 20" in part(operator, "workers")
    Worker.objects.update(seen_at=timezone.now() - timedelta(seconds=31))
    assert "Silent" in part(operator, "workers")


def test_what_a_worker_calls_itself_is_escaped(operator: Client) -> None:
    Reporter().report(in_flight=0, own_outage_since=None)
    Worker.objects.update(host="<script>alert(1)</script>")
    assert b"<script>alert" not in operator.get(PAGE).content
    assert "<script>alert(1)</script>:" in part(operator, "workers")


def test_the_backlog_and_the_oldest_overdue_are_shown(operator: Client) -> None:
    assert "Unfinished deliveries 0 Oldest overdue Nothing is overdue." in part(operator, "backlog")
    publish_one()
    Delivery.objects.update(next_attempt_at=timezone.now() - timedelta(seconds=2000))
    shown = part(operator, "backlog")
    assert re.search(
        r"Unfinished deliveries 1 Oldest overdue Late has been due for 2,00\d s", shown
    )


def test_a_large_backlog_is_not_counted_to_its_end(
    operator: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("system_parts", "system_page"):
        monkeypatch.setattr(f"dispatcher.{module}.COUNTED_AT_MOST", 2)
    for _ in range(3):
        publish_one()
    assert "more than 2" in part(operator, "backlog")


@pytest.mark.sqlite
def test_one_file_has_no_partitions(operator: Client) -> None:
    assert "One file, pruned in batches." in part(operator, "partitions")


@pytest.mark.postgres
def test_partitions_and_their_gaps_are_shown(operator: Client) -> None:
    today = timezone.now().date()
    assert f"to {today + timedelta(days=14)} Days ahead 14" in part(operator, "partitions")
    missing = partitions.Partition(today + timedelta(days=3), "deliveries_attempt")
    with connection.cursor() as cursor:
        cursor.execute(f"DROP TABLE {missing.name}")
    shown = part(operator, "partitions")
    assert f"Days ahead 2 Too few Days on which one is missing {missing.day}" in shown


def test_periodic_runs_are_shown_also_those_that_never_ran_failed_or_are_late(
    operator: Client,
) -> None:
    assert "prune drops old history – Has not run yet" in part(operator, "runs")
    run_once("prune", lambda: None, every=HOURLY)
    assert re.search(r"prune drops old history 20\S+ \S+ In order", part(operator, "runs"))
    PeriodicRun.objects.update(began_at=timezone.now() - 3 * HOURLY)
    assert re.search(r"prune drops old history 20\S+ \S+ Late", part(operator, "runs"))
    with pytest.raises(ZeroDivisionError):
        run_once("prune", lambda: 1 // 0, every=HOURLY)
    assert "prune drops old history – Failed, due again" in part(operator, "runs")


def test_the_installation_is_shown(operator: Client, settings: LazySettings) -> None:
    settings.DISPATCHER_RETENTION_DAYS = 12
    shown = part(operator, "software")
    assert f"Version {VERSION} Python 3." in shown
    assert "History is kept 12 days" in shown
    assert re.search(r"Size of the database [1-9][\d.]*\s[KMG]B", shown)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        (
            "rediss://user:secret@redis.example:6380/3?password=secret",
            "rediss://redis.example:6380",
        ),
        ("redis://redis.example", "redis://redis.example"),
        ("sentinel://:secret@a:1;sentinel://:secret@b:2", "sentinel"),
        ("redis://:123/secret@redis.example:6380", "redis://"),
        ("memory://", "memory://"),
    ],
)
def test_the_broker_is_shown_without_its_password(url: str, shown: str) -> None:
    assert without_password(url) == shown


# ---- The audit ------------------------------------------------------------------------------


def test_an_audit_says_that_everything_adds_up_and_is_remembered(operator: Client) -> None:
    assert "No audit from this page is remembered." in part(operator, "audit")
    publish_one()

    response = operator.post(AUDIT, follow=True)

    assert b"Everything adds up." in response.content
    yesterday = timezone.now().date() - timedelta(days=1)
    shown = part(operator, "audit")
    assert f"Result Adds up Days {yesterday} to" in shown
    assert "events: 1, deliveries that they matched: 1" in shown


def test_an_audit_names_the_project_that_lost_a_delivery(operator: Client) -> None:
    lost = publish_one()
    publish_one()
    lost.delete()

    response = operator.post(AUDIT, follow=True)

    assert b"Not everything adds up" in response.content
    shown = part(operator, "audit")
    assert "Does not add up" in shown
    assert re.search(rf"{lost.project.slug} {timezone.now():%Y-%m-%d} 1 1 0", shown)


def test_an_audit_that_has_no_time_says_so(
    operator: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns, "BUDGET_SECONDS", 0)
    assert b"There was no time for all of it." in operator.post(AUDIT, follow=True).content
    assert "Not told There was no time" in part(operator, "audit")


def test_one_audit_runs_at_once(operator: Client) -> None:
    with turns._place:
        response = operator.post(AUDIT, follow=True)
    assert b"An audit is under way" in response.content
    assert "No audit from this page is remembered." in part(operator, "audit")


def test_an_audit_that_the_database_does_not_answer_says_so(operator: Client) -> None:
    with connection.execute_wrapper(refusing("deliveries_event")):
        response = operator.post(AUDIT)
    assert response.status_code == 302
    assert b"nothing was audited" in operator.get(PAGE).content


# ---- What fails, and what it costs ----------------------------------------------------------


@pytest.mark.parametrize(
    ("table", "name"),
    [
        ("deliveries_worker", "workers"),
        ("deliveries_delivery", "backlog"),
        ("deliveries_periodicrun", "runs"),
        ("_version", "software"),
    ],
)
def test_a_part_that_fails_says_so_and_the_others_are_shown(
    operator: Client, table: str, name: str
) -> None:
    others = {"workers", "backlog", "runs", "software", "partitions", "audit"} - {name}
    with connection.execute_wrapper(refusing(table)):
        assert "Not known" in (shown := part(operator, name))
        assert "canceling statement due to <b>timeout</b>" in shown
        assert "more lines" not in shown
        for other in others:
            assert "Not known" not in part(operator, other)
        assert f"Version {VERSION}" in part(operator, "software")


@pytest.mark.postgres
def test_a_part_that_takes_long_is_given_up(operator: Client) -> None:
    def wait(execute: Callable[..., Any], sql: str, *rest: Any) -> Any:
        if "deliveries_periodicrun" in sql:
            return execute("SELECT pg_sleep(20)", None, *rest[1:])
        return execute(sql, *rest)

    began_at = time.monotonic()
    with connection.execute_wrapper(wait):
        assert "statement timeout" in part(operator, "runs")
    assert time.monotonic() - began_at < 10


def test_the_page_asks_the_database_no_more_when_there_is_more(operator: Client) -> None:
    def count() -> int:
        with CaptureQueriesContext(
            connection,
        ) as queries:
            operator.get(PAGE)
        return len(queries)

    count()  # the first page looks up more
    before = count()
    for _ in range(5):
        Reporter().report(in_flight=0, own_outage_since=None)
        publish_one()
    assert count() == before
    assert before < 50
