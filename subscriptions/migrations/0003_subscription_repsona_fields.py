"""An option of one wire format: what receivers of Repsona's requests parse."""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("subscriptions", "0002_project_default_secret")]

    operations = [
        migrations.AddField(
            model_name="subscription",
            name="repsona_fields",
            field=models.BooleanField(
                default=False,
                db_default=False,
                help_text="In the repsona format: add model, modelId and action to the body.",
            ),
        ),
    ]
