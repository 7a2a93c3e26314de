"""Builds this process's pump from the settings, and keeps it where the wake-up task finds it.

Called by the worker's start-up step and by tests; nothing else makes a pump.
"""

from __future__ import annotations

from collections.abc import Callable

from django.conf import settings

from deliveries.sending.curl_transport import CurlTransport
from deliveries.sending.door import Door
from deliveries.sending.pump import Pump, PumpSettings
from deliveries.sending.resolve import Resolver
from subscriptions.outbound_policy import address_policy

_running: list[Pump] = []
"""This process's pump, while there is one."""


def start_pump(*, on_crash: Callable[[], None] = lambda: None) -> Pump:
    """Start sending in this process; returns the running thread.

    `on_crash` is called if the thread ends otherwise than by `stop_pump`.
    """
    pump = Pump(
        _make_door(),
        PumpSettings(
            in_flight_limit=settings.DISPATCHER_IN_FLIGHT_LIMIT,
            per_subscription=settings.DISPATCHER_IN_FLIGHT_PER_SUBSCRIPTION,
            request_deadline_seconds=settings.DISPATCHER_REQUEST_DEADLINE_SECONDS,
        ),
        on_crash=on_crash,
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


def _make_door() -> Door:
    policy = address_policy()
    return Door(
        transport=CurlTransport(policy=policy, max_connections=settings.DISPATCHER_IN_FLIGHT_LIMIT),
        resolver=Resolver(servers=settings.DISPATCHER_DNS_SERVERS or None),
        policy=policy,
        deadline_seconds=settings.DISPATCHER_REQUEST_DEADLINE_SECONDS,
    )
