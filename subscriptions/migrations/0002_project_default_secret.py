"""A signing secret belongs to a subscription, or to a project as its default."""

from __future__ import annotations

import django.db.models.deletion
from django.db import migrations, models
from django.db.models import Q


class Migration(migrations.Migration):
    dependencies = [("subscriptions", "0001_initial")]

    operations = [
        migrations.AlterModelOptions(name="signingsecret", options={"ordering": ["-id"]}),
        migrations.AlterField(
            model_name="signingsecret",
            name="subscription",
            field=models.ForeignKey(
                null=True,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="signing_secrets",
                to="subscriptions.subscription",
            ),
        ),
        migrations.AddField(
            model_name="signingsecret",
            name="project",
            field=models.ForeignKey(
                null=True,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="signing_secrets",
                to="subscriptions.project",
            ),
        ),
        migrations.AddConstraint(
            model_name="signingsecret",
            constraint=models.CheckConstraint(
                condition=Q(project__isnull=False, subscription=None)
                | Q(project=None, subscription__isnull=False),
                name="signing_secret_has_one_owner",
            ),
        ),
        migrations.AddField(
            model_name="subscription",
            name="uses_default_secret",
            field=models.BooleanField(
                default=False,
                db_default=False,
                help_text="Sign with the project's default secret instead of its own.",
            ),
        ),
    ]
