"""What is sent from inside of the wall: rows written past all checks, and names of all kinds."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Any

from django.conf import settings

from deliveries.models import Attempt, Delivery
from deliveries.publishing.ingest import NewEvent, publish_many
from tests.dns_stub import Answer, DnsStub
from tests.factories import make_project, make_subscription
from tests.ssrf_cases import CASES
from tests.walled.wall import world
from tests.workers import eventually, sending_in_this_process

GOOD = ("93.184.215.14", "2606:2800:21f::14")
NAMES = {
    "example.com": Answer(GOOD),
    "to-private.example": Answer(("10.0.0.1",)),
    "to-metadata.example": Answer(("169.254.169.254",)),
    "to-azure.example": Answer(("168.63.129.16",)),
    "to-unique-local.example": Answer(("fd00:ec2::254",)),
    "to-nat64.example": Answer(("64:ff9b::a9fe:a9fe",)),
    "to-mapped.example": Answer(("::ffff:10.0.0.1",)),
    "to-sender.example": Answer(("93.184.216.2",)),
    "to-refused.example": Answer(("8.8.4.4",)),
    "to-multicast.example": Answer(("239.255.255.250",)),
    "to-broadcast.example": Answer(("255.255.255.255",)),
    "to-carrier.example": Answer(("100.64.0.1",)),
    "mixed.example": Answer((*GOOD, "192.168.1.1")),
    "mixed-first.example": Answer(("192.168.1.1", *GOOD)),
    "mixed-families.example": Answer((GOOD[0], "fe80::1")),
    "alias.example": Answer(("172.16.0.1",), alias="db.internal"),
    "late-family.example": Answer(("10.0.0.2",), delay_seconds=0.6),
}
REBINDS = "rebinds.example"


OWN = ("http://93.184.216.2/", "http://[2606:2800:9::2]/")
REFUSED = "http://8.8.4.4/"


def send_all(*, transport: str) -> dict[str, Any]:
    """Send to all of them through a transport, and tell what came of it, and what was seen."""
    settings.DISPATCHER_TRANSPORT = transport
    settings.DISPATCHER_REFUSED_NETWORKS = (ip_network("8.8.4.0/24"),)
    urls = [case.url for case in CASES if "\0" not in case.url]  # no database stores a NUL
    urls += [f"http://{name}/" for name in NAMES]
    with world() as seen, DnsStub() as dns:
        settings.DISPATCHER_DNS_SERVERS = (dns.server,)
        dns.unknown = Answer(GOOD)
        for name, answer in NAMES.items():
            dns.set(name, answer)
        dns.set_kind("late-family.example", "A", Answer(GOOD[:1]))
        dns.set(REBINDS, Answer(GOOD), *[Answer(("169.254.169.254",))] * 9)
        outcomes = _send([*urls, *OWN, REFUSED, f"http://{REBINDS}/first"])
        outcomes |= _send([f"http://{REBINDS}/later"])  # a new pump, which asks anew
    return {"outcomes": outcomes, "packets": seen.packets, "requests": seen.requests}


def _send(urls: list[str]) -> dict[str, str]:
    """Write a row for each URL, send an event to all of them, and return the outcomes."""
    project = make_project()
    by_id = {make_subscription(project=project, url=url).id: url for url in urls}
    publish_many(project=project, events=[NewEvent("a.b", {})])
    with sending_in_this_process():
        eventually(
            lambda: not Delivery.objects.filter(next_attempt_at__isnull=False).exists(),
            within_seconds=60,
        )
    rows = Delivery.objects.filter(subscription_id__in=by_id)
    url_of = {row.id: by_id[row.subscription_id] for row in rows}
    attempts = Attempt.objects.filter(delivery_id__in=url_of)
    return {url_of[attempt.delivery_id]: attempt.outcome for attempt in attempts}
