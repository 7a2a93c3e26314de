"""What a run leaves behind, as values: the driver's acknowledgements, the database's rows, the
receiver's receipts. Read by `database`, `driver` and `receipts`; judged by `reconciler`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from tests.faults.receipts import Receipt

FINISHED = frozenset({"succeeded", "failed", "cancelled"})


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """An event that was answered with 202; times are on the monotonic clock."""

    event_id: str
    key: str
    published_at: float
    acknowledged_at: float


@dataclass(frozen=True, slots=True)
class SubscriptionRow:
    """A subscription of the run: where it leads."""

    id: str
    url: str

    @property
    def path(self) -> str:
        """What the receiver knows it by."""
        return "/" + self.url.split("/", 3)[3]


@dataclass(frozen=True, slots=True)
class DeliveryRow:
    """A delivery at the end of the run."""

    id: str
    event_id: str
    subscription_id: str
    status: str
    attempt_count: int
    end_reason: str
    overdue_seconds: float
    """By the database's clock; negative where it is not due yet, 0 when finished."""


@dataclass(frozen=True, slots=True)
class AttemptRow:
    """An attempt as history tells it."""

    delivery_id: str
    number: int
    outcome: str
    started_at: datetime
    duration_ms: int
    signature: str
    """As `Receipt.signature`; empty where history has no headers (`interrupted`)."""
    error: str = ""


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that is known of one run."""

    acknowledged: list[Acknowledgement]
    subscriptions: list[SubscriptionRow]
    deliveries: list[DeliveryRow]
    attempts: list[AttemptRow]
    receipts: list[Receipt]
    strange: list[Receipt] = field(default_factory=list)
    """Receipts of these events at paths of other projects."""
