"""A place for the text that tells right keys from wrong ones."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("subscriptions", "0005_audit_log"),
    ]

    operations = [
        migrations.CreateModel(
            name="EncryptionCanary",
            fields=[
                (
                    "id",
                    models.SmallIntegerField(
                        default=1, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("token", models.TextField()),
            ],
        ),
    ]
