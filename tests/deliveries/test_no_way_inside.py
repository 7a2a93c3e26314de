"""No URL reaches inside: not by the API, not by the admin, not by a row written past both.

Forbidden listeners on loopback count what reaches them; `test_walled_network` has the rest of the
address space, where the system lets a test have a network of its own.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from ipaddress import ip_network
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.test import Client
from pytest_django.fixtures import Settings

from deliveries.models import Attempt, Delivery
from deliveries.publishing.ingest import NewEvent, publish_many
from deliveries.sending.transport import BLOCKED_ADDRESS_ERROR
from dispatcher.chaos.threaded_server import Connection, ThreadedServer
from subscriptions.guard.address_guard import URL_LIMIT_BYTES
from subscriptions.models import Project, Subscription
from tests.api_client import ApiClient
from tests.deliveries.pages.filling_in import NEW, as_shown, member, page_of
from tests.deliveries.pages.filling_in import filled_in as filled_in_page
from tests.deliveries.sending.transports import TRANSPORTS
from tests.dns_stub import Answer, DnsStub
from tests.factories import make_project, make_subscription
from tests.ssrf_cases import CASES, KNOWN, Case
from tests.workers import eventually, sending_in_this_process

FORM = "/admin/subscriptions/subscription/"
GOOD_URL = "https://receiver.example/inbox"

pytestmark = pytest.mark.django_db(transaction=True)


def wrongly_judged(verdicts: dict[Case, bool]) -> list[str]:
    return [str(case) for case, is_taken in verdicts.items() if is_taken is not case.is_allowed]


def test_the_list_of_known_attacks_is_complete() -> None:
    assert len(KNOWN) == 93
    assert len({case.url for case in CASES}) == len(CASES) > 200
    assert len([case for case in CASES if case.is_allowed]) > 20


# ---- Where URLs are typed ------------------------------------------------------------------------


def test_the_api_creates_no_subscription_to_a_forbidden_url() -> None:
    client = ApiClient(make_project())
    verdicts = {}
    for case in CASES:
        answer = client.post("subscriptions", {"url": case.url, "event_types": ["*"]})
        assert answer.status_code in {201, 400}, (case, answer.content)
        verdicts[case] = answer.status_code == 201
        Subscription.objects.all().delete()
    assert wrongly_judged(verdicts) == []


def test_the_api_changes_no_subscription_to_a_forbidden_url() -> None:
    client = ApiClient(make_project())
    made = client.post("subscriptions", {"url": GOOD_URL, "event_types": ["*"]}).json()
    verdicts = {}
    for case in CASES:
        answer = client.patch(f"subscriptions/{made['id']}", {"url": case.url})
        assert answer.status_code in {200, 400}, (case, answer.content)
        verdicts[case] = Subscription.objects.get().url != GOOD_URL
        Subscription.objects.update(url=GOOD_URL)
    assert wrongly_judged(verdicts) == []


def filled_in(project: Project, url: str) -> dict[str, Any]:
    return {
        "project": project.pk,
        "url": url,
        "description": "",
        "event_types": "*",
        "wire_format": "standard",
        "signing_secrets-TOTAL_FORMS": 0,
        "signing_secrets-INITIAL_FORMS": 0,
    }


@pytest.fixture
def operator() -> Client:
    """Somebody who may do everything in the admin."""
    client = Client()
    client.force_login(get_user_model().objects.create_superuser("operator", password="long one"))
    return client


def test_the_form_creates_no_subscription_to_a_forbidden_url(operator: Client) -> None:
    project = make_project()
    verdicts = {}
    for case in KNOWN:
        assert operator.post(f"{FORM}add/", filled_in(project, case.url)).status_code in {200, 302}
        verdicts[case] = Subscription.objects.exists()
        Subscription.objects.all().delete()
    assert wrongly_judged(verdicts) == []


def test_the_form_changes_no_subscription_to_a_forbidden_url(operator: Client) -> None:
    subscription = make_subscription(url=GOOD_URL)
    verdicts = {}
    for case in KNOWN:
        form = filled_in(subscription.project, case.url)
        assert operator.post(f"{FORM}{subscription.id}/change/", form).status_code in {200, 302}
        verdicts[case] = Subscription.objects.get().url != GOOD_URL
        Subscription.objects.update(url=GOOD_URL)
    assert wrongly_judged(verdicts) == []


def test_the_page_s_form_creates_no_subscription_to_a_forbidden_url(settings: Settings) -> None:
    settings.DISPATCHER_REQUEST_RATE_PER_KEY = 0  # a walk is faster than any visitor
    project = make_project(slug="acme")
    editor = member(project, "editor")
    verdicts = {}
    for case in CASES:
        if case.url != case.url.strip():
            continue  # browsers trim such a field, and so does the form
        answer = editor.post(NEW, filled_in_page(url=case.url))
        assert answer.status_code in {302, 422}, (case, answer.status_code)
        verdicts[case] = Subscription.objects.exists()
        Subscription.objects.all().delete()
    assert wrongly_judged(verdicts) == []


def test_the_page_s_form_changes_no_subscription_to_a_forbidden_url(settings: Settings) -> None:
    settings.DISPATCHER_REQUEST_RATE_PER_KEY = 0
    subscription = make_subscription(project=make_project(slug="acme"), url=GOOD_URL)
    editor = member(subscription.project, "editor")
    verdicts = {}
    for case in KNOWN:
        form = as_shown(editor, subscription) | {"url": case.url}
        assert editor.post(page_of(subscription), form).status_code in {302, 422}
        verdicts[case] = Subscription.objects.get().url != GOOD_URL
        Subscription.objects.update(url=GOOD_URL)
    assert wrongly_judged(verdicts) == []


# ---- Rows written past all checks ----------------------------------------------------------------


def accept(connection: Connection) -> None:
    connection.send(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")


def redirect_inside(connection: Connection) -> None:
    """Send the sender on to a forbidden listener, whose port stands in the path."""
    port = connection.path.rsplit("/", 1)[1]
    connection.send(
        b"HTTP/1.1 307 There\r\nConnection: close\r\nContent-Length: 0\r\n"
        b"Location: http://127.0.0.1:%s/\r\n\r\n" % port.encode()
    )


class ForbiddenListener(ThreadedServer):
    """On one port of all of this machine's addresses, IPv4 and IPv6."""

    def __init__(self) -> None:
        super().__init__({}, on_connect=accept, host="::", is_dual_stack=True)


@pytest.fixture
def forbidden() -> Iterator[ForbiddenListener]:
    with ForbiddenListener() as listener:
        with socket.create_connection(("127.0.0.1", listener.port), timeout=5):
            pass  # so that a count of one shows that it counts
        eventually(lambda: listener.connections == 1)
        yield listener


@pytest.fixture
def dns() -> Iterator[DnsStub]:
    with DnsStub() as dns:
        yield dns


@pytest.fixture(params=sorted(TRANSPORTS))
def sender(request: pytest.FixtureRequest, settings: Settings, dns: DnsStub) -> str:
    """Choose the transport and the name server of this process's pump; nothing is allowed."""
    settings.DISPATCHER_TRANSPORT = request.param
    settings.DISPATCHER_DNS_SERVERS = (dns.server,)
    return str(request.param)


def send_to(urls: list[str]) -> dict[str, tuple[str, str]]:
    """Write a row for each URL, send an event to all; return the outcomes and sentences."""
    project = make_project()
    by_id = {make_subscription(project=project, url=url).id: url for url in urls}
    publish_many(project=project, events=[NewEvent("a.b", {})])
    with sending_in_this_process():
        eventually(lambda: not Delivery.objects.filter(next_attempt_at__isnull=False).exists())
    url_of = {row.id: by_id[row.subscription_id] for row in Delivery.objects.all()}
    return {
        url_of[attempt.delivery_id]: (attempt.outcome, attempt.error)
        for attempt in Attempt.objects.all()
    }


def test_no_row_in_the_database_reaches_a_forbidden_listener(
    sender: str, forbidden: ForbiddenListener
) -> None:
    port = f":{forbidden.port}/"
    # PostgreSQL stores neither NUL nor what is longer than the column.
    urls = [case.url for case in CASES if not case.is_allowed]
    urls = [url for url in urls if "\0" not in url and len(url) <= URL_LIMIT_BYTES]
    urls += [url[:-1] + port for url in urls if url.endswith("/") and url.count("/") == 3]

    ended = send_to(urls)

    assert set(ended) == set(urls)
    assert {outcome for outcome, _ in ended.values()} == {"blocked_address"}, sender
    assert {error for _, error in ended.values()} <= {BLOCKED_ADDRESS_ERROR} | _SENTENCES
    assert forbidden.connections == 1
    assert set(Delivery.objects.values_list("status", "attempt_count")) == {("failed", 1)}


_SENTENCES = {
    "After the scheme, two slashes and a host name must follow.",
    "The URL contains a backslash; write %5C if it is meant.",
    "The URL contains a space, a line break or a hidden character.",
    "The URL must begin with https:// or http://.",
    "The URL must not contain a user name or a password.",
    "The URL's host is not a valid host name.",
    "The URL's host looks like a number but is not an address such as 192.0.2.1.",
    "The URL's port is not one that webhooks may be sent to.",
    "Write a slash after the host name of the URL.",
}
"""About the URL as it is written: none says what is inside of our network."""

NAMES = {
    "loopback.example": Answer(("127.0.0.1",)),
    "loopback6.example": Answer(("::1",)),
    "both.example": Answer(("127.0.0.1", "::1")),
    "unspecified.example": Answer(("0.0.0.0",)),
    "unspecified6.example": Answer(("::",)),
    "mapped.example": Answer(("::ffff:127.0.0.1",)),
    "nat64.example": Answer(("64:ff9b::7f00:1",)),
    "alias.example": Answer(("127.0.0.1",), alias="db.internal"),
    "alias-of-localhost.example": Answer(("127.0.0.1",), alias="localhost"),
    "mixed.example": Answer(("127.9.9.9", "127.0.0.1")),
    "mixed-last.example": Answer(("127.9.9.9", "127.9.9.9", "127.0.0.1")),
    "mixed-families.example": Answer(("127.9.9.9", "::1")),
    "metadata.example": Answer(("127.9.9.9", "169.254.169.254")),
    "private.example": Answer(("127.9.9.9", "10.0.0.1")),
    "broadcast.example": Answer(("127.9.9.9", "255.255.255.255")),
}
"""127.9.9.9 is the one address that is allowed."""


def test_no_name_leads_to_a_forbidden_listener(
    sender: str, forbidden: ForbiddenListener, dns: DnsStub, settings: Settings
) -> None:
    settings.DISPATCHER_ALLOWED_NETWORKS = (ip_network("127.9.9.9/32"),)
    urls = [f"http://{dns.set(name, answer)}:{forbidden.port}/" for name, answer in NAMES.items()]
    ended = send_to(urls)
    assert ended == dict.fromkeys(urls, ("blocked_address", BLOCKED_ADDRESS_ERROR)), sender
    assert forbidden.connections == 1


def test_neither_a_name_that_changes_nor_a_redirect_leads_inside(
    sender: str, forbidden: ForbiddenListener, dns: DnsStub, settings: Settings
) -> None:
    settings.DISPATCHER_ALLOWED_NETWORKS = (ip_network("127.9.9.9/32"),)
    good, bad = Answer(("127.9.9.9",)), Answer(("127.0.0.1",))
    for number in range(5):
        dns.set(f"rebinds{number}.example", good, *[bad] * 9)
    with ThreadedServer({"r": redirect_inside}, host="127.9.9.9") as receiver:
        urls = [f"http://rebinds{number}.example:{receiver.port}/r/{forbidden.port}"
                for number in range(5)]  # fmt: skip
        first = send_to(urls)
        assert {outcome for outcome, _ in first.values()} == {"http_error"}, sender
        arrived = len(receiver.requests)
        Delivery.objects.all().delete()
        Attempt.objects.all().delete()

        later = send_to(urls)  # this pump has not asked for the names before

        assert {outcome for outcome, _ in later.values()} == {"blocked_address"}
        assert len(receiver.requests) == arrived == 5
    assert forbidden.connections == 1
