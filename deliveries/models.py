"""What happened: events, their deliveries, and each attempt.

The delivery row is also the queue (`sending.claim`). On PostgreSQL the three tables are partitioned
by day of id (`partitions`), which is why no foreign key here is a database constraint.
"""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.utils import timezone

from deliveries.sending.transport import Outcome
from subscriptions.ids import new_id
from subscriptions.models import Project, Subscription


class Event(models.Model):
    """Something that happened: a type and a payload, stored once, never changed."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    project = models.ForeignKey(
        Project,
        on_delete=models.DO_NOTHING,
        db_constraint=False,
        db_index=False,
        related_name="events",
    )
    type = models.CharField(max_length=128)
    data = models.TextField(help_text="JSON text: numbers, key order and escapes as given.")
    idempotency_key = models.CharField(max_length=255, blank=True)
    matched_count = models.PositiveIntegerField(
        help_text="Deliveries made when it was published; the audit holds them against the rows."
    )
    is_test = models.BooleanField(default=False)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        indexes: ClassVar = [
            # A project's events, newest first.
            models.Index(fields=["project", "id"], name="event_of_project"),
        ]

    def __str__(self) -> str:
        return self.type


WITHOUT_SUCCESS = Q(status__in=["failed", "cancelled"]) | ~Q(last_outcome__in=["", "succeeded"])


class Delivery(models.Model):
    """One event on its way to one subscription; DESIGN's table of states is `sending.record`."""

    class Status(models.TextChoices):
        PENDING = "pending", "Waiting, due at next_attempt_at"
        SENDING = "sending", "Leased to a worker until next_attempt_at"
        SUCCEEDED = "succeeded", "Accepted by the receiver"
        FAILED = "failed", "Ended without success"
        CANCELLED = "cancelled", "Ended before it was sent"

    class EndReason(models.TextChoices):
        """Why a delivery ended other than by its last attempt's outcome."""

        DEACTIVATED = "deactivated", "The subscription was deactivated"
        DELETED = "deleted", "The subscription was deleted"
        BY_HAND = "by_hand", "Cancelled by hand"
        INTERRUPTED = "interrupted", "Interrupted too often: worker after worker stopped"
        EXPIRED = "expired", "Still unfinished when its history was pruned"
        EVENT_GONE = "event_gone", "Its event was pruned"

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    project = models.ForeignKey(
        Project,
        on_delete=models.DO_NOTHING,
        db_constraint=False,
        db_index=False,
        related_name="deliveries",
    )
    event = models.ForeignKey(
        Event,
        on_delete=models.DO_NOTHING,
        db_constraint=False,
        db_index=False,
        related_name="deliveries",
    )
    subscription = models.ForeignKey(
        Subscription,
        on_delete=models.DO_NOTHING,
        db_constraint=False,
        db_index=False,
        related_name="deliveries",
    )
    event_type = models.CharField(max_length=128, help_text="The event's, for filtering.")
    is_test = models.BooleanField(default=False)

    status = models.CharField(max_length=9, choices=Status.choices, default=Status.PENDING)
    next_attempt_at = models.DateTimeField(
        null=True, help_text="When pending: due then. When sending: the lease ends then."
    )
    attempt_count = models.PositiveIntegerField(
        default=0, help_text="Times claimed: the fencing number of a recording."
    )
    tries_used = models.PositiveSmallIntegerField(
        default=0, help_text="Attempts that used up a scheduled try."
    )
    interruptions = models.PositiveSmallIntegerField(
        default=0, help_text="Attempts in a row whose worker stopped."
    )
    last_outcome = models.CharField(max_length=20, blank=True)
    last_status_code = models.PositiveSmallIntegerField(null=True)
    end_reason = models.CharField(max_length=11, choices=EndReason.choices, blank=True)
    redelivered_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(default=timezone.now)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name_plural = "deliveries"
        indexes: ClassVar = [
            # The queue. Claims walk from subscription to subscription, and in each by due time.
            models.Index(
                fields=["subscription", "next_attempt_at"],
                condition=Q(next_attempt_at__isnull=False),
                name="delivery_queue",
            ),
            # Who got this event: event pages, the answer to a repeated idempotency key.
            models.Index(fields=["event"], name="delivery_of_event"),
            # A project's history, newest first.
            models.Index(fields=["project", "id"], name="delivery_of_project"),
            # A subscription's history, newest first.
            models.Index(fields=["subscription", "id"], name="delivery_of_subscription"),
            # What failed, is failing or was cancelled, among millions that were not, of a project
            # and of a subscription: lists by status, outcome and status code, and recoveries.
            # Costs nothing where all goes well.
            models.Index(
                fields=["project", "id"],
                condition=WITHOUT_SUCCESS,
                name="delivery_without_success",
            ),
            models.Index(
                fields=["subscription", "id"],
                condition=WITHOUT_SUCCESS,
                name="delivery_without_success_sub",
            ),
        ]
        constraints: ClassVar = [
            # What is unfinished is due some time, and what is finished never is.
            models.CheckConstraint(
                condition=Q(status__in=["pending", "sending"], next_attempt_at__isnull=False)
                | Q(status__in=["succeeded", "failed", "cancelled"], next_attempt_at=None),
                name="delivery_due_while_unfinished",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.event_type} ({self.status})"


class Attempt(models.Model):
    """One HTTP request for a delivery, with all that was sent and received.

    Headers are kept as blocks, a line each. `request_body` is empty where it can be composed again
    from the event and `wire_format` alone: payloads are stored once.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    delivery = models.ForeignKey(
        Delivery,
        on_delete=models.DO_NOTHING,
        db_constraint=False,
        db_index=False,
        related_name="attempts",
    )
    number = models.PositiveIntegerField(help_text="The delivery's attempt_count when claimed.")
    started_at = models.DateTimeField()
    outcome = models.CharField(
        max_length=20, choices=[(code.value, code.value) for code in Outcome]
    )
    status_code = models.PositiveSmallIntegerField(null=True)
    error = models.CharField(max_length=500, blank=True, help_text="In words, for the customer.")
    duration_ms = models.PositiveIntegerField(default=0)
    dns_ms = models.PositiveIntegerField(null=True)
    connect_ms = models.PositiveIntegerField(null=True)
    tls_ms = models.PositiveIntegerField(null=True)
    first_byte_ms = models.PositiveIntegerField(null=True)
    remote_address = models.GenericIPAddressField(null=True)
    wire_format = models.CharField(max_length=16)
    request_url = models.CharField(max_length=2048)
    request_headers = models.TextField(blank=True)
    request_body = models.TextField(null=True)  # noqa: DJ001  # NULL: derived, "": sent empty
    response_headers = models.BinaryField()
    response_body = models.BinaryField()
    is_truncated = models.BooleanField(default=False)

    class Meta:
        ordering: ClassVar = ["number"]
        indexes: ClassVar = [
            # A delivery's attempts, in order: detail pages, completing an interrupted one.
            models.Index(fields=["delivery", "number"], name="attempt_of_delivery"),
        ]

    def __str__(self) -> str:
        return f"#{self.number} {self.outcome}"


class IdempotencyKey(models.Model):
    """A key that a publisher gave: the same key with the same content means the same event.

    In a table of its own: a unique constraint on `Event` would have to hold the partition key.
    """

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="+")
    # On PostgreSQL ordered by bytes, COLLATE "C", so that a prefix is found: migration 0003. Here
    # `db_collation` cannot say so: it would be SQLite's too, which has no collation of that name.
    key = models.CharField(max_length=255)
    content_digest = models.CharField(max_length=64, help_text="SHA-256 of type and data.")
    event_id = models.UUIDField()
    created_at = models.DateTimeField(default=timezone.now, db_index=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["project", "key"], name="idempotency_key_once")
        ]

    def __str__(self) -> str:
        return self.key


class Recovery(models.Model):
    """Sends many again, or what was missed: goes through the ids from old to new, batch by batch.

    `position` moves in the transaction of its batch, so that what was done is neither lost nor
    done twice, whenever a worker stops.
    """

    class Kind(models.TextChoices):
        FAILED = "failed", "Deliveries that ended without success are sent again"
        MISSED = "missed", "Events that a subscription did not get are delivered to it"

    class Status(models.TextChoices):
        RUNNING = "running", "Under way"
        PAUSED = "paused", "Paused by hand"
        COMPLETED = "completed", "Everything that was found was sent again"
        CANCELLED = "cancelled", "Ended by hand; what was sent again stays"
        FAILED = "failed", "It cannot go on: see error"

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="recoveries")
    kind = models.CharField(max_length=6, choices=Kind.choices)
    subscription = models.ForeignKey(
        Subscription,
        null=True,
        on_delete=models.CASCADE,
        related_name="recoveries",
        help_text="None: failed deliveries of all subscriptions.",
    )
    criteria = models.JSONField(
        default=dict, help_text="What of it is wanted, as it was asked for."
    )
    rate_per_second = models.PositiveIntegerField(
        null=True, help_text="Deliveries per second at most; none: as fast as they are taken."
    )
    status = models.CharField(max_length=9, choices=Status.choices, default=Status.RUNNING)
    error = models.CharField(max_length=500, blank=True, help_text="In words, for the customer.")
    floor = models.UUIDField(help_text="The first id that is looked at.")
    ceiling = models.UUIDField(help_text="The first id that is not looked at any more.")
    position = models.UUIDField(null=True, help_text="The last id that was looked at.")
    estimated_count = models.PositiveIntegerField(default=0, help_text="When it was asked for.")
    recovered_count = models.PositiveIntegerField(default=0)
    skipped_count = models.PositiveIntegerField(
        default=0, help_text="Found, and no longer to be sent: subscription off, under way already."
    )
    next_batch_at = models.DateTimeField(
        null=True, help_text="When running: due then, by the database's clock."
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name_plural = "recoveries"
        indexes: ClassVar = [
            # A project's recoveries, newest first.
            models.Index(fields=["project", "id"], name="recovery_of_project"),
            # What is due: workers look every second.
            models.Index(
                fields=["next_batch_at"],
                condition=Q(next_batch_at__isnull=False),
                name="recovery_due",
            ),
        ]
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(status="running", next_batch_at__isnull=False)
                | (~Q(status="running") & Q(next_batch_at=None)),
                name="recovery_due_while_running",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} ({self.status})"


class Worker(models.Model):
    """A process that sends, as it last reported; see `workers`."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    host = models.CharField(max_length=255)
    pid = models.PositiveIntegerField()
    version = models.CharField(max_length=32)
    started_at = models.DateTimeField(default=timezone.now)
    seen_at = models.DateTimeField(help_text="By the database's clock.")
    in_flight = models.PositiveIntegerField(default=0)
    own_outage_since = models.DateTimeField(
        null=True, help_text="While its own network reaches nobody."
    )

    class Meta:
        ordering: ClassVar = ["host", "pid"]

    def __str__(self) -> str:
        return f"{self.host}:{self.pid}"


class PeriodicRun(models.Model):
    """When a periodic task last began, so that any number of beats have one effect."""

    name = models.CharField(primary_key=True, max_length=50)
    began_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.name
