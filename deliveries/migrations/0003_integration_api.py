"""Recoveries; and what finds deliveries by outcome, and idempotency keys by how they begin."""

from typing import Any

import django.db.models.deletion
import django.utils.timezone
from django.db import migrations, models

import subscriptions.ids

_COLLATE = 'ALTER TABLE deliveries_idempotencykey ALTER COLUMN key TYPE varchar(255) COLLATE "{}"'


def take_all_the_time_it_needs(_apps: Any, schema_editor: Any) -> None:
    """Lift the timeout that settings give a statement: indexes of millions of rows take minutes."""
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute("SET LOCAL statement_timeout = 0")


def order_keys_by_bytes(_apps: Any, schema_editor: Any) -> None:
    """Let the unique index find keys by a prefix; SQLite orders by bytes as it is."""
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(_COLLATE.format("C"))


def order_keys_by_language(_apps: Any, schema_editor: Any) -> None:
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(_COLLATE.format("default"))


class Migration(migrations.Migration):
    dependencies = [
        ("deliveries", "0002_workers_and_periodic_runs"),
        ("subscriptions", "0007_integration_api"),
    ]

    operations = [
        migrations.RunPython(take_all_the_time_it_needs, migrations.RunPython.noop),
        migrations.CreateModel(
            name="Recovery",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=subscriptions.ids.new_id,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("failed", "Deliveries that ended without success are sent again"),
                            (
                                "missed",
                                "Events that a subscription did not get are delivered to it",
                            ),
                        ],
                        max_length=6,
                    ),
                ),
                (
                    "criteria",
                    models.JSONField(
                        default=dict, help_text="What of it is wanted, as it was asked for."
                    ),
                ),
                (
                    "rate_per_second",
                    models.PositiveIntegerField(
                        help_text="Deliveries per second at most; none: as fast as they are taken.",
                        null=True,
                    ),
                ),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("running", "Under way"),
                            ("paused", "Paused by hand"),
                            ("completed", "Everything that was found was sent again"),
                            ("cancelled", "Ended by hand; what was sent again stays"),
                            ("failed", "It cannot go on: see error"),
                        ],
                        default="running",
                        max_length=9,
                    ),
                ),
                (
                    "error",
                    models.CharField(
                        blank=True, help_text="In words, for the customer.", max_length=500
                    ),
                ),
                ("floor", models.UUIDField(help_text="The first id that is looked at.")),
                (
                    "ceiling",
                    models.UUIDField(help_text="The first id that is not looked at any more."),
                ),
                (
                    "position",
                    models.UUIDField(help_text="The last id that was looked at.", null=True),
                ),
                (
                    "estimated_count",
                    models.PositiveIntegerField(default=0, help_text="When it was asked for."),
                ),
                ("recovered_count", models.PositiveIntegerField(default=0)),
                (
                    "skipped_count",
                    models.PositiveIntegerField(
                        default=0,
                        help_text="Found, and no longer to be sent: subscription off, under way already.",
                    ),
                ),
                (
                    "next_batch_at",
                    models.DateTimeField(
                        help_text="When running: due then, by the database's clock.", null=True
                    ),
                ),
                (
                    "created_at",
                    models.DateTimeField(default=django.utils.timezone.now, editable=False),
                ),
                ("finished_at", models.DateTimeField(null=True)),
                (
                    "project",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="recoveries",
                        to="subscriptions.project",
                    ),
                ),
                (
                    "subscription",
                    models.ForeignKey(
                        help_text="None: failed deliveries of all subscriptions.",
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="recoveries",
                        to="subscriptions.subscription",
                    ),
                ),
            ],
            options={
                "verbose_name_plural": "recoveries",
                "indexes": [
                    models.Index(fields=["project", "id"], name="recovery_of_project"),
                    models.Index(
                        condition=models.Q(("next_batch_at__isnull", False)),
                        fields=["next_batch_at"],
                        name="recovery_due",
                    ),
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("next_batch_at__isnull", False), ("status", "running")),
                            models.Q(
                                models.Q(("status", "running"), _negated=True),
                                ("next_batch_at", None),
                            ),
                            _connector="OR",
                        ),
                        name="recovery_due_while_running",
                    )
                ],
            },
        ),
        migrations.AddIndex(
            model_name="delivery",
            index=models.Index(
                condition=models.Q(
                    ("status__in", ["failed", "cancelled"]),
                    models.Q(("last_outcome__in", ["", "succeeded"]), _negated=True),
                    _connector="OR",
                ),
                fields=["project", "id"],
                name="delivery_without_success",
            ),
        ),
        migrations.RunPython(order_keys_by_bytes, order_keys_by_language),
        migrations.RunPython(migrations.RunPython.noop, take_all_the_time_it_needs),
    ]
