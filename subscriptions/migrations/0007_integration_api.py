"""What the API for integrators keeps: operators' keys, schemas, metadata, answers to repeat."""

from typing import Any

import django.db.models.deletion
import django.db.models.functions.datetime
import django.utils.timezone
from django.db import migrations, models

import subscriptions.ids


def number_keys(apps: Any, _schema_editor: Any) -> None:
    """Give each key that is there an id of its own; a column's default would be one for all."""
    for key in apps.get_model("subscriptions", "ApiKey").objects.filter(public_id=None):
        key.public_id = subscriptions.ids.new_id()
        key.save(update_fields=["public_id"])


class Migration(migrations.Migration):
    dependencies = [
        ("subscriptions", "0006_encryption_canary"),
    ]

    operations = [
        migrations.AddField(
            model_name="apikey",
            name="public_id",
            field=models.UUIDField(null=True, editable=False),
        ),
        migrations.RunPython(number_keys, migrations.RunPython.noop, elidable=True),
        migrations.AlterField(
            model_name="apikey",
            name="public_id",
            field=models.UUIDField(default=subscriptions.ids.new_id, editable=False, unique=True),
        ),
        migrations.AddField(
            model_name="eventtype",
            name="created_at",
            field=models.DateTimeField(
                db_default=django.db.models.functions.datetime.Now(),
                default=django.utils.timezone.now,
                editable=False,
            ),
        ),
        migrations.AddField(
            model_name="eventtype",
            name="is_archived",
            field=models.BooleanField(
                db_default=False,
                default=False,
                help_text="No longer published: new events are refused.",
            ),
        ),
        migrations.AddField(
            model_name="eventtype",
            name="schema",
            field=models.TextField(
                blank=True,
                db_default="",
                help_text="JSON Schema (2020-12) that the data of new events must fit.",
            ),
        ),
        migrations.AddField(
            model_name="eventtype",
            name="updated_at",
            field=models.DateTimeField(
                auto_now=True, db_default=django.db.models.functions.datetime.Now()
            ),
        ),
        migrations.AddField(
            model_name="subscription",
            name="metadata",
            field=models.JSONField(
                blank=True,
                db_default=models.Value({}, models.JSONField()),
                default=dict,
                help_text="The customer's own names and values.",
            ),
        ),
        migrations.AlterField(
            model_name="apikey",
            name="project",
            field=models.ForeignKey(
                help_text="None: an operator's key, good for every project.",
                null=True,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="api_keys",
                to="subscriptions.project",
            ),
        ),
        migrations.AlterField(
            model_name="apikey",
            name="scopes",
            field=models.JSONField(
                default=list, help_text="Any of publish, read, manage, own; operate."
            ),
        ),
        migrations.CreateModel(
            name="IdempotentRequest",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("key", models.CharField(max_length=255)),
                (
                    "content_digest",
                    models.CharField(
                        help_text="SHA-256 of the method, the path and the body.", max_length=64
                    ),
                ),
                (
                    "status_code",
                    models.PositiveSmallIntegerField(help_text="None: still under way.", null=True),
                ),
                (
                    "answer",
                    models.TextField(
                        blank=True, help_text="Headers and body, encrypted: some hold secrets."
                    ),
                ),
                (
                    "created_at",
                    models.DateTimeField(
                        db_index=True, default=django.utils.timezone.now, editable=False
                    ),
                ),
                (
                    "project",
                    models.ForeignKey(
                        help_text="None: a request of an operator that concerns no project.",
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="subscriptions.project",
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        fields=("project", "key"), name="idempotent_request_once"
                    ),
                    models.UniqueConstraint(
                        condition=models.Q(("project", None)),
                        fields=("key",),
                        name="idempotent_request_once_per_installation",
                    ),
                ],
            },
        ),
    ]
