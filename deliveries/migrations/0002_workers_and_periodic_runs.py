"""Rows that workers and periodic tasks keep about themselves."""

import django.utils.timezone
from django.db import migrations, models

import subscriptions.ids


class Migration(migrations.Migration):
    dependencies = [
        ("deliveries", "0001_initial"),
    ]

    operations = [
        migrations.CreateModel(
            name="PeriodicRun",
            fields=[
                ("name", models.CharField(max_length=50, primary_key=True, serialize=False)),
                ("began_at", models.DateTimeField()),
            ],
        ),
        migrations.CreateModel(
            name="Worker",
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
                ("host", models.CharField(max_length=255)),
                ("pid", models.PositiveIntegerField()),
                ("version", models.CharField(max_length=32)),
                ("started_at", models.DateTimeField(default=django.utils.timezone.now)),
                ("seen_at", models.DateTimeField(help_text="By the database's clock.")),
                ("in_flight", models.PositiveIntegerField(default=0)),
                (
                    "own_outage_since",
                    models.DateTimeField(
                        help_text="While its own network reaches nobody.", null=True
                    ),
                ),
            ],
            options={
                "ordering": ["host", "pid"],
            },
        ),
    ]
