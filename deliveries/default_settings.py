"""What holds in a Django project that says nothing else: the defaults of what the apps read.

Filled in by `apps`. The assembly's own settings name every value, with the same defaults.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

DEFAULTS: Final[dict[str, Any]] = {
    "DISPATCHER_ALLOWED_NETWORKS": (),
    "DISPATCHER_REFUSED_NETWORKS": (),
    "DISPATCHER_EGRESS_PROXY": None,
    "DISPATCHER_DNS_SERVERS": (),
    "DISPATCHER_TRANSPORT": "curl",
    "DISPATCHER_HEARTBEAT_FILE": None,
    "DISPATCHER_REQUEST_DEADLINE_SECONDS": 5.0,
    "DISPATCHER_LEASE_SECONDS": 30,
    "DISPATCHER_IN_FLIGHT_LIMIT": 1000,
    "DISPATCHER_IN_FLIGHT_PER_SUBSCRIPTION": 50,
    "DISPATCHER_PAYLOAD_LIMIT_BYTES": 256 * 1024,
    "DISPATCHER_RETENTION_DAYS": 30,
    "DISPATCHER_HOUSEKEEPING_EVERY": timedelta(hours=1),
    "DISPATCHER_AUDIT_RETENTION_DAYS": 400,
    "DISPATCHER_UNFINISHED_LIMIT": 1_000_000,
    "DISPATCHER_SUBSCRIPTIONS_PER_PROJECT": 500,
    "DISPATCHER_PUBLISH_RATE_PER_KEY": 1000,
    "DISPATCHER_PUBLISH_RATE_PER_PROJECT": 2000,
    "DISPATCHER_REQUEST_RATE_PER_KEY": 50,
    "DISPATCHER_RATE_REDIS_URL": "",
    "DISPATCHER_TRUSTED_PROXIES": (),
}
"""All but `DISPATCHER_ENCRYPTION_KEYS`, which nobody else can know."""
