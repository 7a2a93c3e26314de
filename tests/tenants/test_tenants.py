"""Nobody reads or changes another project: every route × method is tried, with every foreign id.

The routes come from the URLconf (`routes`). Each test walks all of them and lists what is wrong;
that the walk reaches its aims is shown by the same requests with a project's own ids.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Set
from contextlib import contextmanager
from ipaddress import ip_address
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.db import transaction
from drf_spectacular.generators import SchemaGenerator

from subscriptions.access.api_keys import ALL_SCOPES, OPERATOR_SCOPES
from tests.api_client import ApiClient, OperatorClient
from tests.tenants.routes import (
    ROOT,
    Route,
    api_routes,
    ids_taken,
    routes_without_a_key,
    texts_taken,
)
from tests.tenants.world import Tenant, make_tenant, rows

pytestmark = pytest.mark.django_db

ROUTES = api_routes()
OF_PROJECT = [route for route in ROUTES if route.is_of_project]

SINCE = "2026-01-01T00:00:00Z"
BODIES: dict[str, Any] = {
    "EventTypeSerializer": {"name": "Some.type"},
    "FilterSerializer": {"event_types": ["*"]},
    "ImportSerializer": {"catalogue": "phrase"},
    "KeySerializer": {"scopes": ["read"]},
    "MemberSerializer": {"user": "newcomer", "role": "viewer"},
    "NewBatchSerializer": {"events": [{"type": "Some.type", "data": 1}]},
    "NewEventSerializer": {"type": "Some.type", "data": 1},
    "NewRecoverySerializer": {"kind": "failed", "since": SINCE},
    "NewTestSerializer": {},
    "PortalLinkSerializer": {"role": "viewer"},
    "ProjectSerializer": {"name": "New"},
    "RotationSerializer": {"overlap_hours": 0},
    "SubscriptionSerializer": {"url": "http://new.example/", "event_types": ["*"]},
    "UrlToCheckSerializer": {"url": "http://127.0.0.1/"},
}
"""What a POST is sent that is acceptable but for the ids in it; a PATCH is sent `{}`."""

PREFIXES = {"sub": "subscription_id", "dlv": "delivery_id", "evt": "event_id",
            "rcv": "recovery_id", "key": "key_id"}  # fmt: skip


@pytest.fixture
def ours() -> Tenant:
    User.objects.create_user("newcomer")
    return make_tenant("ours")


@pytest.fixture
def theirs(ours: Tenant) -> Tenant:  # noqa: ARG001  # the first
    return make_tenant("theirs")


def body_of(route: Route) -> Any:
    if route.operation.body is None:
        return None
    if route.method == "PATCH":
        return {}
    name = route.operation.body.__name__
    assert name in BODIES, f"{route} takes a {name}: say in BODIES what is acceptable"
    return BODIES[name]


def send(client: ApiClient, route: Route, ids: dict[str, str], **options: Any) -> Any:
    return client.call(route.method, route.path(ids), body_of(route), **options)


@contextmanager
def undone() -> Iterator[None]:
    """Take back what the block stores."""
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


class Findings:
    """What went wrong, by request; looks at every row of the database after each of them."""

    def __init__(self) -> None:
        self.before = rows()
        self.wrong: dict[str, str] = {}
        self.walked = 0

    def check(
        self, what: str, response: Any, *statuses: int, hidden: Set[str] = frozenset()
    ) -> None:
        self.walked += 1
        text = response.content.decode()
        if response.status_code not in statuses:
            self.wrong[what] = f"{response.status_code} {text[:200]}"
        if leaked := [mark for mark in hidden if mark in text]:
            self.wrong[f"{what} tells"] = f"{leaked} in {text[:200]}"
        after = rows()
        if changed := [name for name in after if after[name] != self.before[name]]:
            self.wrong[f"{what} changes"] = str(changed)
            self.before = after


def test_no_route_of_the_api_is_outside_of_the_walk() -> None:
    assert routes_without_a_key() == {f"{ROOT}openapi.json", f"{ROOT}docs", "api/"}
    document = SchemaGenerator().get_schema(request=None, public=True)
    described = {
        (method.upper(), path) for path, told in document["paths"].items() for method in told
    }
    walked = {(route.method, route.path(_Braces())) for route in ROUTES}
    assert described == {
        (method, path.replace("%7B", "{").replace("%7D", "}")) for method, path in walked
    }
    assert len(ROUTES) > 30


class _Braces(dict[str, str]):
    """Fills `{name}` in for each parameter."""

    def __missing__(self, name: str) -> str:
        return f"{{{name}}}"


def test_with_its_own_key_and_ids_each_request_arrives(ours: Tenant, theirs: Tenant) -> None:
    """What makes the refusals below mean something."""
    wrong = {}
    for route in OF_PROJECT:
        with undone():
            response = send(ours.client, route, ours.ids)
            text = response.content.decode()
            if response.status_code not in {200, 201, 202, 204, 409}:
                wrong[str(route)] = f"{response.status_code} {text[:200]}"
            if leaked := [mark for mark in theirs.marks() if mark in text]:
                wrong[f"{route} tells"] = str(leaked)
    assert wrong == {}


def test_another_project_s_key_finds_nothing(ours: Tenant, theirs: Tenant) -> None:
    findings = Findings()
    for route in OF_PROJECT:
        hidden = ours.marks() - {ours.name}
        response = send(theirs.client, route, ours.ids)
        findings.check(str(route), response, 404, hidden=hidden)
    assert findings.wrong == {}
    assert findings.walked == len(OF_PROJECT)


def test_a_foreign_id_in_the_path_is_not_found(ours: Tenant, theirs: Tenant) -> None:
    findings = Findings()
    for route in OF_PROJECT:
        for name in set(route.parameters) - {"project"}:
            ids = {**ours.ids, name: theirs.ids[name]}
            response = send(ours.client, route, ids)
            findings.check(f"{route} with {name}", response, 404, hidden=theirs.marks())
    assert findings.wrong == {}
    assert findings.walked > 15


def test_a_foreign_id_in_a_body_or_filter_is_not_found(ours: Tenant, theirs: Tenant) -> None:
    """A filter may as well find nothing."""
    findings = Findings()
    for route in OF_PROJECT:
        for name, prefix in ids_taken(route.operation.query):
            query = {name: theirs.ids[PREFIXES[prefix]]}
            response = send(ours.client, route, ours.ids, query_params=query)
            findings.check(f"{route}?{name}", response, 404, 200)
            if response.status_code == 200 and response.json()["results"] != []:
                findings.wrong[f"{route}?{name} finds"] = response.content.decode()
        for name, prefix in ids_taken(route.operation.body):
            foreign = theirs.ids[PREFIXES[prefix]]
            is_list = name.endswith("[]")
            body = {**body_of(route), name.removesuffix("[]"): [foreign] if is_list else foreign}
            response = ours.client.call(route.method, route.path(ours.ids), body)
            findings.check(f"{route} {{{name}}}", response, 404, hidden=theirs.marks())
    assert findings.wrong == {}
    assert findings.walked >= 2


def test_filters_by_text_find_only_the_project_s_own(ours: Tenant, theirs: Tenant) -> None:
    findings = Findings()
    for route in OF_PROJECT:
        for name in set(texts_taken(route.operation.query)) - {"cursor", "since"}:
            assert name in ours.texts, f"{route}?{name} is unknown: say in `world` what it finds"
            own = send(ours.client, route, ours.ids, query_params={name: ours.texts[name]})
            foreign = send(ours.client, route, ours.ids, query_params={name: theirs.texts[name]})
            findings.check(f"{route}?{name}", foreign, 200)
            assert own.json()["results"], f"{route}?{name} finds nothing at all"
            found = json.dumps(foreign.json().get("results"))  # the links repeat the filter
            if any(mark in found for mark in theirs.marks()):
                findings.wrong[f"{route}?{name} finds"] = found
    assert findings.wrong == {}
    assert findings.walked >= 3


def test_a_cursor_of_another_project_is_refused(ours: Tenant, theirs: Tenant) -> None:
    findings = Findings()
    for route in (route for route in OF_PROJECT if route.operation.is_list):
        page = send(theirs.client, route, theirs.ids, query_params={"limit": 1}).json()
        assert page["next"], f"{route}: too few rows in the test's world"
        cursor = parse_qs(urlsplit(page["next"]).query)["cursor"][0]
        response = send(ours.client, route, ours.ids, query_params={"cursor": cursor})
        findings.check(str(route), response, 400, hidden=theirs.marks())
    assert findings.wrong == {}
    assert findings.walked >= 8


def test_each_route_needs_its_scope_and_no_other(ours: Tenant) -> None:
    """With all the others it is refused and says which is missing; with it alone it is not."""
    lacking = {scope: _keys(ours, scope, has_it=False) for scope in OPERATOR_SCOPES}
    having = {scope: _keys(ours, scope, has_it=True) for scope in OPERATOR_SCOPES}
    findings = Findings()
    for route in ROUTES:
        for client in lacking[route.scope]:
            response = send(client, route, ours.ids)
            findings.check(f"{route} without {route.scope}", response, 403)
            if f"'{route.scope}'" not in response.json()["detail"]:
                findings.wrong[f"{route} names"] = response.json()["detail"]
        for client in having[route.scope]:
            with undone():
                response = send(client, route, ours.ids)
            if response.status_code not in {200, 201, 202, 204, 409}:
                findings.wrong[f"{route} with {route.scope}"] = response.content.decode()
    assert findings.wrong == {}
    assert findings.walked >= 2 * len(OF_PROJECT)


def _keys(tenant: Tenant, scope: str, *, has_it: bool) -> list[ApiClient]:
    """Return a key of the project and an operator's, with this scope alone or all others."""

    def chosen(among: tuple[str, ...]) -> list[str]:
        return [name for name in among if (name == scope) == has_it]

    project = tenant.client.project
    clients: list[ApiClient] = [OperatorClient(project, chosen(OPERATOR_SCOPES))]
    if chosen(ALL_SCOPES):
        clients.append(ApiClient(project, chosen(ALL_SCOPES)))
    return clients


@pytest.mark.parametrize("authorization", ["", "Bearer whd_" + "x" * 43])
def test_without_a_good_key_nothing_is_answered(ours: Tenant, authorization: str) -> None:
    findings = Findings()
    for route in ROUTES:
        response = send(
            ours.client,
            route,
            ours.ids,
            headers={"Authorization": authorization},
            REMOTE_ADDR=str(ip_address(uuid4().int)),  # bad keys are limited by address
        )
        hidden = ours.marks() - {ours.name}
        findings.check(str(route), response, 401, hidden=hidden)
    assert findings.wrong == {}
