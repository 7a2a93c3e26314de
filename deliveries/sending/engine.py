"""Builds this process's pump from the settings, and keeps it where the wake-up task finds it.

Called by the worker's start-up step and by tests; nothing else makes a pump.
"""

from __future__ import annotations

from collections.abc import Callable

from django.conf import settings

from deliveries.sending.door import Door
from deliveries.sending.heartbeat import Heartbeat
from deliveries.sending.proxy_address import LocatedProxy
from deliveries.sending.pump import Pump, PumpSettings
from deliveries.sending.resolve import Resolver
from deliveries.sending.transport import Transport
from subscriptions.guard.address_guard import AddressPolicy
from subscriptions.guard.outbound_policy import address_policy

_running: list[Pump] = []
"""This process's pump, while there is one."""


def start_pump(*, on_crash: Callable[[], None] = lambda: None) -> Pump:
    """Start sending in this process; returns the running thread.

    `on_crash` is called if the thread ends otherwise than by `stop_pump`.
    """
    door, capacity = _make_door()
    pump = Pump(
        door,
        PumpSettings(
            in_flight_limit=capacity,
            per_subscription=settings.DISPATCHER_IN_FLIGHT_PER_SUBSCRIPTION,
            request_deadline_seconds=settings.DISPATCHER_REQUEST_DEADLINE_SECONDS,
        ),
        on_crash=on_crash,
        on_progress=Heartbeat(settings.DISPATCHER_HEARTBEAT_FILE).beat,
    )
    pump.start()
    _running.append(pump)
    return pump


def stop_pump(pump: Pump, *, timeout_seconds: float) -> bool:
    """Stop claiming, let what is in flight end; return whether it ended within the time."""
    pump.stop()
    pump.join(timeout_seconds)
    if pump in _running:
        _running.remove(pump)
    return not pump.is_alive()


def is_pump_running() -> bool:
    """Say whether this process sends."""
    return any(pump.is_alive() for pump in _running)


def wake_pump() -> bool:
    """Make this process's pump look for due deliveries; return whether there is one."""
    for pump in _running:
        pump.wake()
    return bool(_running)


def _make_door() -> tuple[Door, int]:
    """Return the way out, and how many requests may be under way on it at once."""
    policy = address_policy()
    proxy_setting = settings.DISPATCHER_EGRESS_PROXY
    proxy = None if proxy_setting is None else LocatedProxy(proxy_setting)
    transport, capacity = _make_transport(policy, proxy)
    door = Door(
        transport=transport,
        resolver=Resolver(servers=settings.DISPATCHER_DNS_SERVERS or None),
        policy=policy,
        deadline_seconds=settings.DISPATCHER_REQUEST_DEADLINE_SECONDS,
        proxy=proxy,
    )
    return door, capacity


def _make_transport(policy: AddressPolicy, proxy: LocatedProxy | None) -> tuple[Transport, int]:
    # Imported here: a platform without libcurl has no pycurl, and one with it needs no requests.
    wanted: int = settings.DISPATCHER_IN_FLIGHT_LIMIT
    if settings.DISPATCHER_TRANSPORT == "requests":
        from deliveries.sending.requests_transport import CAPACITY, RequestsTransport

        return RequestsTransport(policy=policy, proxy=proxy), min(wanted, CAPACITY)
    from deliveries.sending.curl_transport import CurlTransport

    return CurlTransport(policy=policy, max_connections=wanted, proxy=proxy), wanted
