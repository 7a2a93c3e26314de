"""Who wants what: projects, their members and keys, subscriptions and their signing secrets."""

from __future__ import annotations

import hashlib
from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q, Value
from django.db.models.functions import Now
from django.utils import timezone

from subscriptions.ids import new_id
from subscriptions.secrets.encrypted_fields import EncryptedHeaders


class Project(models.Model):
    """The tenant: everything else belongs to exactly one project."""

    slug = models.SlugField(unique=True, max_length=63)
    name = models.CharField(max_length=200)
    is_https_only = models.BooleanField(
        default=True, help_text="Refuse subscriptions whose URL is plain http://."
    )
    failure_limit = models.PositiveSmallIntegerField(
        default=10,
        help_text="Deliveries that end failed, in a row, until a subscription is deactivated.",
    )
    is_catalogue_strict = models.BooleanField(
        default=False, help_text="Refuse events whose type is not in the project's catalogue."
    )
    is_catalogue_public = models.BooleanField(
        default=False,
        db_default=False,
        help_text="Anybody may read the project's event types, without signing in.",
    )
    portal_origins = models.JSONField(
        default=list,
        db_default=Value([], output_field=models.JSONField()),
        blank=True,
        help_text="Origins, such as https://app.example.com, that may frame the project's portal.",
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering: ClassVar = ["slug"]
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(failure_limit__gte=1), name="project_failure_limit_positive"
            )
        ]

    def __str__(self) -> str:
        return self.name


class ProjectRevision(models.Model):
    """Which state a project is in, as far as publishing and sending depend on it (ADR 19).

    On PostgreSQL triggers change the number, in the transaction of the change; SQLite has no rows.
    """

    project_id = models.BigIntegerField(primary_key=True, editable=False)
    number = models.BigIntegerField()

    def __str__(self) -> str:
        return f"{self.project_id}: {self.number}"


class Member(models.Model):
    """A person with a role in a project."""

    class Role(models.TextChoices):
        OWNER = "owner", "Owner: everything, members and keys included"
        EDITOR = "editor", "Editor: subscriptions, tests, redeliveries"
        VIEWER = "viewer", "Viewer: reads"

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="members")
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="memberships"
    )
    role = models.CharField(max_length=10, choices=Role.choices, default=Role.VIEWER)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["project", "user"], name="member_once_per_project")
        ]

    def __str__(self) -> str:
        return f"{self.user} ({self.role})"

    @property
    def user_name(self) -> str:
        """What the person logs in with."""
        return self.user.get_username()


class ApiKey(models.Model):
    """A credential for the REST API: only its SHA-256 is stored, it is shown when it is made.

    Of one project; or an operator's, which makes projects and acts on all of them.
    """

    class Scope(models.TextChoices):
        PUBLISH = "publish", "Publish events"
        READ = "read", "Read subscriptions and deliveries"
        MANAGE = "manage", "Change subscriptions, send tests, redeliver"
        OWN = "own", "Change the project, its members and its keys"
        OPERATE = "operate", "Make and list projects"

    public_id = models.UUIDField(default=new_id, unique=True, editable=False)
    project = models.ForeignKey(
        Project,
        null=True,
        on_delete=models.CASCADE,
        related_name="api_keys",
        help_text="None: an operator's key, good for every project.",
    )
    name = models.CharField(max_length=200, blank=True)
    prefix = models.CharField(
        max_length=16, editable=False, help_text="The key's first characters, to recognise it by."
    )
    digest = models.CharField(max_length=64, unique=True, editable=False)
    scopes = models.JSONField(default=list, help_text="Any of publish, read, manage, own; operate.")
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(
        null=True, blank=True, editable=False, help_text="To the minute."
    )

    class Meta:
        verbose_name = "API key"

    def __str__(self) -> str:
        return f"{self.prefix}…"

    def has_scope(self, scope: str) -> bool:
        """Say whether the key may do this; a project's key never operates."""
        return scope in self.scopes and (self.project_id is None or scope != self.Scope.OPERATE)

    @staticmethod
    def digest_of(key: str) -> str:
        """Return what is stored of a key; 256 random bits need no slow hash."""
        return hashlib.sha256(key.encode()).hexdigest()


class EventType(models.Model):
    """A name in a project's catalogue, such as `Task.update`."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="event_types")
    name = models.CharField(max_length=128)
    description = models.CharField(max_length=1000, blank=True)
    example = models.TextField(blank=True, help_text="A sample of the event's data, as JSON.")
    schema = models.TextField(
        blank=True,
        db_default="",
        help_text="JSON Schema (2020-12) that the data of new events must fit.",
    )
    is_archived = models.BooleanField(
        default=False, db_default=False, help_text="No longer published: new events are refused."
    )
    created_at = models.DateTimeField(default=timezone.now, db_default=Now(), editable=False)
    updated_at = models.DateTimeField(auto_now=True, db_default=Now())

    class Meta:
        ordering: ClassVar = ["name"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["project", "name"], name="event_type_once_per_project")
        ]

    def __str__(self) -> str:
        return self.name


class Subscription(models.Model):
    """A URL plus which event types go there, how they look on the wire, and its health.

    `generation` counts reactivations and changes of the URL: an attempt that began under an older
    one says nothing about the health of this one. A deleted subscription keeps its row, since
    history refers to it.
    """

    class DeactivationReason(models.TextChoices):
        FAILURES = "failures", "Too many deliveries failed in a row"
        GONE = "gone", "The receiver answered 410 Gone"
        BY_HAND = "by_hand", "Switched off by a member or over the API"

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="subscriptions")
    url = models.CharField(max_length=2048, help_text="Normalised; see `address_guard`.")
    description = models.CharField(max_length=500, blank=True)
    metadata = models.JSONField(
        default=dict,
        db_default=Value({}, models.JSONField()),
        blank=True,
        help_text="The customer's own names and values.",
    )
    event_types = models.JSONField(help_text='Filters: full names, "Task.*", or "*".')
    wire_format = models.CharField(max_length=16, default="standard")
    repsona_fields = models.BooleanField(
        default=False,
        db_default=False,
        help_text="In the repsona format: add model, modelId and action to the body.",
    )
    signature_schemes = models.JSONField(help_text="Names of schemes; each adds its headers.")
    uses_default_secret = models.BooleanField(
        default=False,
        db_default=False,
        help_text="Sign with the project's default secret instead of its own.",
    )
    custom_headers = EncryptedHeaders(
        default=dict, blank=True, help_text="Names and values; values may be credentials."
    )
    retry_schedule = models.JSONField(
        default=list, blank=True, help_text="Delays in seconds; empty: a failure is final."
    )

    is_active = models.BooleanField(default=True)
    generation = models.PositiveIntegerField(default=1, editable=False)
    failure_streak = models.PositiveIntegerField(
        default=0, editable=False, help_text="Deliveries that ended failed since the last success."
    )
    deactivated_at = models.DateTimeField(null=True, blank=True, editable=False)
    deactivation_reason = models.CharField(
        max_length=10, choices=DeactivationReason.choices, blank=True, editable=False
    )
    last_error = models.CharField(max_length=500, blank=True, editable=False)
    last_error_at = models.DateTimeField(null=True, blank=True, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(auto_now=True)
    deleted_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        indexes: ClassVar = [
            # A project's subscriptions that may get events: read at every publish.
            models.Index(
                fields=["project"],
                condition=Q(is_active=True, deleted_at=None),
                name="subscription_receiving",
            ),
            # A project's subscriptions, oldest first: lists in the API and on pages.
            models.Index(fields=["project", "id"], name="subscription_of_project"),
        ]
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(deleted_at=None) | Q(is_active=False),
                name="subscription_deleted_is_inactive",
            ),
            models.CheckConstraint(
                condition=Q(is_active=True, deactivated_at=None)
                | Q(is_active=False, deactivated_at__isnull=False),
                name="subscription_inactive_since",
            ),
        ]

    def __str__(self) -> str:
        return self.url


class SigningSecret(models.Model):
    """What requests are signed with, encrypted: a subscription's own, or a project's default.

    The newest signs for good. While it is rotated in, the one before signs too, until it expires.
    """

    subscription = models.ForeignKey(
        Subscription, null=True, on_delete=models.CASCADE, related_name="signing_secrets"
    )
    project = models.ForeignKey(
        Project, null=True, on_delete=models.CASCADE, related_name="signing_secrets"
    )
    ciphertext = models.TextField(editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    expires_at = models.DateTimeField(
        null=True, blank=True, help_text="Not used for signing from then on."
    )

    class Meta:
        ordering: ClassVar = ["-id"]  # made under a lock of the owner's row; clocks may differ
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(subscription=None, project__isnull=False)
                | Q(subscription__isnull=False, project=None),
                name="signing_secret_has_one_owner",
            )
        ]

    def __str__(self) -> str:
        return f"Signing secret of {self.created_at:%Y-%m-%d}"


class IdempotentRequest(models.Model):
    """A request that was given an idempotency key, and its answer: a repetition gets the same.

    Publishing has keys of its own (`deliveries.models.IdempotencyKey`), which cost it less.
    What a page's form made is kept here too, with its id as the answer (`pages.form_once`).
    """

    project = models.ForeignKey(
        Project,
        null=True,
        on_delete=models.CASCADE,
        related_name="+",
        help_text="None: a request of an operator that concerns no project.",
    )
    key = models.CharField(max_length=255)
    content_digest = models.CharField(
        max_length=64, help_text="SHA-256 of the method, the path and the body."
    )
    status_code = models.PositiveSmallIntegerField(null=True, help_text="None: still under way.")
    answer = models.TextField(
        blank=True, help_text="Headers and body, encrypted: some hold secrets."
    )
    created_at = models.DateTimeField(default=timezone.now, db_index=True, editable=False)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["project", "key"], name="idempotent_request_once"),
            models.UniqueConstraint(
                fields=["key"],
                condition=Q(project=None),
                name="idempotent_request_once_per_installation",
            ),
        ]

    def __str__(self) -> str:
        return self.key


class AuditEntry(models.Model):
    """Who did what, when and from where; the database refuses to change or delete it (ADR 13).

    What it is about may be gone, so it refers to nothing: ids are text, as the API writes them.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    project = models.ForeignKey(
        Project,
        null=True,
        on_delete=models.DO_NOTHING,
        db_constraint=False,
        db_index=False,
        related_name="+",
    )
    at = models.DateTimeField(db_default=Now(), editable=False)
    action = models.CharField(max_length=40, help_text="A stable code, such as secret.revealed.")
    actor_kind = models.CharField(max_length=10)
    actor_id = models.CharField(max_length=64, blank=True)
    actor_label = models.CharField(max_length=200, blank=True)
    target_kind = models.CharField(max_length=20)
    target_id = models.CharField(max_length=200)
    before = models.JSONField(null=True, help_text="What was changed, as it was; never a secret.")
    after = models.JSONField(null=True)
    address = models.GenericIPAddressField(null=True, help_text="The client's.")
    request_id = models.CharField(max_length=64, blank=True)

    class Meta:
        verbose_name_plural = "audit entries"
        indexes: ClassVar = [
            # A project's entries, newest first: the API and its owners' page.
            models.Index(fields=["project", "id"], name="audit_entry_of_project"),
            # What has grown old: pruning.
            models.Index(fields=["at"], name="audit_entry_age"),
        ]

    def __str__(self) -> str:
        return f"{self.action} by {self.actor_label or self.actor_kind}"


class AuditPruning(models.Model):
    """Which audit entries may be deleted; a row lives only inside the transaction that prunes."""

    id = models.SmallIntegerField(primary_key=True, default=1, editable=False)
    before = models.DateTimeField()

    def __str__(self) -> str:
        return f"before {self.before:%Y-%m-%d %H:%M}"


class EncryptionCanary(models.Model):
    """A known text, encrypted: who cannot read it has the wrong keys (`encryption_canary`)."""

    id = models.SmallIntegerField(primary_key=True, default=1, editable=False)
    token = models.TextField()

    def __str__(self) -> str:
        return "Canary"
