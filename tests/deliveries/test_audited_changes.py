"""Every change that matters leaves one entry in the audit log: who did it, and no secret."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.management import call_command

from deliveries.models import Delivery
from deliveries.publishing.ingest import publish
from deliveries.sending.record import record_results
from deliveries.sending.transport import Outcome
from subscriptions.access.audit_log import Action
from subscriptions.access.projects import create_project
from subscriptions.models import ApiKey, AuditEntry, Subscription
from tests.api_client import ApiClient, errors_of
from tests.deliveries.sending.results import claim_all, results_of
from tests.factories import make_project, make_subscription

pytestmark = pytest.mark.django_db

URL = "http://receiver.example/in"


@pytest.fixture
def client_of_project() -> ApiClient:
    return ApiClient(make_project(failure_limit=1))


def create(client: ApiClient, **members: Any) -> dict[str, Any]:
    response = client.post("subscriptions", {"url": URL, "event_types": ["*"]} | members)
    assert response.status_code == 201, response.content
    body: dict[str, Any] = response.json()
    return body


def entries(action: Action) -> list[AuditEntry]:
    return list(AuditEntry.objects.filter(action=action).order_by("id"))


def the(action: Action) -> AuditEntry:
    (entry,) = entries(action)
    return entry


def assert_done_by_key(entry: AuditEntry, client: ApiClient, target: tuple[str, str]) -> None:
    assert (entry.actor_kind, entry.actor_id) == ("api_key", client.key.prefix)
    assert (entry.target_kind, entry.target_id) == target
    assert entry.project == client.project
    assert entry.address == "127.0.0.1"
    assert entry.request_id


def test_a_subscription_s_life(client_of_project: ApiClient) -> None:
    created = create(client_of_project, custom_headers={"X-Key": "0123456789abcdef"})
    path, target = f"subscriptions/{created['id']}", ("subscription", created["id"])
    entry = the(Action.SUBSCRIPTION_CREATED)
    assert_done_by_key(entry, client_of_project, target)
    assert entry.before is None
    assert entry.after
    assert (entry.after["url"], entry.after["custom_headers"]) == (URL, {"X-Key": "…cdef"})
    assert entry.after["active"] is True
    assert created["secret"] not in str(entry.after)

    client_of_project.patch(path, {"description": "Billing", "url": URL})
    entry = the(Action.SUBSCRIPTION_CHANGED)
    assert_done_by_key(entry, client_of_project, target)
    assert (entry.before, entry.after) == ({"description": ""}, {"description": "Billing"})
    client_of_project.patch(path, {"description": "Billing"})
    client_of_project.patch(path, {"url": "ftp://no"})
    assert len(entries(Action.SUBSCRIPTION_CHANGED)) == 1

    client_of_project.patch(path, {"active": False})
    client_of_project.patch(path, {"active": False})
    entry = the(Action.SUBSCRIPTION_DEACTIVATED)
    assert_done_by_key(entry, client_of_project, target)
    assert entry.after == {"active": False, "reason": "by_hand"}

    client_of_project.patch(path, {"active": True})
    client_of_project.patch(path, {"active": True})
    assert_done_by_key(the(Action.SUBSCRIPTION_REACTIVATED), client_of_project, target)

    client_of_project.delete(path)
    client_of_project.delete(path)
    assert_done_by_key(the(Action.SUBSCRIPTION_DELETED), client_of_project, target)


@pytest.mark.parametrize("is_own", [True, False])
def test_whoever_sees_or_replaces_a_secret(client_of_project: ApiClient, is_own: bool) -> None:
    path, target = "secret", ("project", client_of_project.project.slug)
    if is_own:
        created = create(client_of_project)
        path = f"subscriptions/{created['id']}/secret"
        target = ("subscription", created["id"])
    else:
        assert client_of_project.get(path).status_code == 404
        assert entries(Action.SECRET_REVEALED) == []

    first = client_of_project.post(f"{path}/rotate", {"overlap_hours": 0}).json()["secret"]
    assert client_of_project.get(path).json()["secret"] == first
    assert_done_by_key(the(Action.SECRET_REVEALED), client_of_project, target)
    second = client_of_project.post(f"{path}/rotate", {"overlap_hours": 5}).json()["secret"]
    conflict = client_of_project.post(f"{path}/rotate")
    assert errors_of(conflict, 409) == {}
    client_of_project.post(f"{path}/expire")

    rotated = entries(Action.SECRET_ROTATED)
    assert len(rotated) == 2
    assert_done_by_key(rotated[1], client_of_project, target)
    assert rotated[1].before == {"hint": f"…{first[-4:]}"}
    assert rotated[1].after == {"hint": f"…{second[-4:]}", "overlap_hours": 5}
    assert the(Action.SECRET_EXPIRED).before == {"previous": f"…{first[-4:]}"}
    assert len(entries(Action.SECRET_REVEALED)) == 1
    for entry in AuditEntry.objects.all():
        assert first not in f"{entry.before}{entry.after}"
        assert second not in f"{entry.before}{entry.after}"


@pytest.mark.parametrize(("status_code", "reason"), [(500, "failures"), (410, "gone")])
def test_an_automatic_deactivation_is_the_system_s_and_says_why(
    status_code: int, reason: str
) -> None:
    subscription = make_subscription(project=make_project(failure_limit=1))
    publish(project=subscription.project, event_type="a.b", data={})
    results = results_of(claim_all(), Outcome.HTTP_ERROR, status_code=status_code)

    assert record_results(results) == [subscription.id]

    entry = the(Action.SUBSCRIPTION_DEACTIVATED)
    assert (entry.actor_kind, entry.project) == ("system", subscription.project)
    assert entry.target_id == f"sub_{subscription.id.hex}"
    assert entry.after
    assert (entry.after["reason"], entry.after["last_error"]) == (reason, "It ended as http_error.")


def test_recording_costs_no_query_more_while_nothing_is_deactivated(
    django_assert_max_num_queries: Any,
) -> None:
    subscription = make_subscription()
    publish(project=subscription.project, event_type="a.b", data={})
    results = results_of(claim_all(), Outcome.HTTP_ERROR, status_code=500)
    with django_assert_max_num_queries(9) as asked:
        record_results(results)
    assert not any("audit" in query["sql"] for query in asked.captured_queries)


def test_a_redelivery_and_not_a_refused_one(client_of_project: ApiClient) -> None:
    subscription = make_subscription(project=client_of_project.project)
    publish(project=subscription.project, event_type="a.b", data={})
    record_results(results_of(claim_all(), Outcome.SUCCEEDED, status_code=200))
    delivery = f"dlv_{Delivery.objects.get().id.hex}"
    assert client_of_project.post(f"deliveries/{delivery}/redeliver").status_code == 202
    assert client_of_project.post(f"deliveries/{delivery}/redeliver").status_code == 409
    entry = the(Action.DELIVERY_REDELIVERED)
    assert_done_by_key(entry, client_of_project, ("delivery", delivery))
    assert entry.after == {"subscription": f"sub_{subscription.id.hex}"}


def test_a_project_and_its_keys_are_made_by_whoever_runs_the_command(capsys: Any) -> None:
    call_command("create_project", "Acme", "--json")
    call_command("create_key", "acme", "--scope", "read", "--name", "Reports")
    plain = capsys.readouterr().out.splitlines()[1]

    assert the(Action.PROJECT_CREATED).target_id == "acme"
    first, second = entries(Action.API_KEY_CREATED)
    assert (first.actor_kind, second.actor_kind) == ("command", "command")
    assert second.actor_label
    assert second.target_id == ApiKey.objects.get(name="Reports").prefix
    assert second.after == {"name": "Reports", "scopes": ["read"], "expires_at": None}
    assert plain not in str(second.after)


def test_code_of_ones_own_acts_as_the_system() -> None:
    create_project("Acme")
    assert the(Action.PROJECT_CREATED).actor_kind == "system"


def test_a_change_of_another_project_s_subscription_leaves_no_entry(
    client_of_project: ApiClient,
) -> None:
    theirs = make_subscription()
    before = AuditEntry.objects.count()
    path = f"subscriptions/sub_{theirs.id.hex}"
    assert client_of_project.patch(path, {"active": False}).status_code == 404
    assert client_of_project.delete(path).status_code == 404
    assert AuditEntry.objects.count() == before
    assert Subscription.objects.get().is_active
