"""Two projects with one of everything, made by the API, and the rows that the database holds."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from itertools import chain
from typing import Any

from django.apps import apps
from django.contrib.auth.models import User
from django.db.models import Model
from django.utils import timezone

from deliveries.models import Delivery
from tests.api_client import ApiClient
from tests.factories import make_project


@dataclass(frozen=True)
class Tenant:
    """A project, a key of its own, and the ids of what it has."""

    name: str
    client: ApiClient
    ids: dict[str, str] = field(default_factory=dict)
    """Path parameter → value."""
    texts: dict[str, str] = field(default_factory=dict)
    """Filter that takes any text → something of this project that it would find."""

    def marks(self) -> set[str]:
        """Return what nobody else may read: its ids, and what it has named after itself."""
        return {*self.ids.values(), self.name, self.client.key.prefix}


def make_tenant(name: str) -> Tenant:
    """Make a project with one of everything; all that it names bears its name."""
    client = ApiClient(make_project(slug=name, name=name))
    tenant = Tenant(name, client)
    for number in range(2):  # so that each list has a next page
        _make_row_of_everything(tenant, f"{name}{number}")
    _make(client, "secret/rotate", {})
    tenant.ids["project"] = name
    tenant.texts.update(
        target=tenant.ids["subscription_id"],
        actor=client.key.prefix,
        event_type=tenant.ids["event_type"],
        url=f"http://{name}1.example/",
        type=tenant.ids["event_type"],
        search=tenant.ids["event_id"],
        idempotency_key=f"{name}1-key",
    )
    return tenant


def _make_row_of_everything(tenant: Tenant, name: str) -> None:
    client, ids = tenant.client, tenant.ids
    url = f"http://{name}.example/"
    ids["subscription_id"] = _make(
        client, "subscriptions", {"url": url, "event_types": ["*"], "description": name}
    )["id"]
    ids["event_type"] = _make(client, "event-types", {"name": f"{name}.happened"})["name"]
    event = {"type": ids["event_type"], "data": {"secret": name}}
    published = _make(client, "events", event, headers={"Idempotency-Key": f"{name}-key"})
    ids["event_id"], ids["delivery_id"] = published["id"], published["deliveries"][0]
    Delivery.objects.filter(project=client.project).update(  # ended, so it can be sent again
        status=Delivery.Status.FAILED, next_attempt_at=None, finished_at=timezone.now()
    )
    since = (timezone.now() - timedelta(days=1)).isoformat()
    wanted = {"kind": "failed", "since": since, "subscription": ids["subscription_id"]}
    ids["recovery_id"] = _make(client, "recoveries", wanted)["id"]
    ids["key_id"] = _make(client, "keys", {"name": name, "scopes": ["read"]})["id"]
    User.objects.create_user(f"{name}-user")
    ids["user"] = _make(client, "members", {"user": f"{name}-user", "role": "owner"})["user"]


def _make(client: ApiClient, path: str, body: Any, **options: Any) -> Any:
    response = client.post(path, body, **options)
    assert response.status_code < 300, (path, response.content)
    return response.json()


def rows() -> dict[str, list[Any]]:
    """Return every row of ours, less what a key's use itself writes."""
    ours = [apps.get_app_config(name).get_models() for name in ("subscriptions", "deliveries")]
    models: list[type[Model]] = [*chain(*ours), User]
    return {model._meta.label: sorted(map(repr, _values(model))) for model in models}


def _values(model: type[Model]) -> list[tuple[Any, ...]]:
    columns = [column.name for column in model._meta.concrete_fields]
    kept = [name for name in columns if name != "last_used_at"]
    return list(model._default_manager.values_list(*kept))
