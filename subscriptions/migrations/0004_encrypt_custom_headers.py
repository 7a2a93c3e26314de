"""Keep custom headers encrypted: their values may be credentials."""

from typing import Any

from django.db import migrations

import subscriptions.secrets.encrypted_fields


def encrypt(apps: Any, _schema_editor: Any) -> None:
    subscriptions = apps.get_model("subscriptions", "Subscription").objects
    for row in subscriptions.exclude(custom_headers={}).iterator(chunk_size=500):
        row.sealed_headers = row.custom_headers
        row.save(update_fields=["sealed_headers"])


def decrypt(apps: Any, _schema_editor: Any) -> None:
    subscriptions = apps.get_model("subscriptions", "Subscription").objects
    for row in subscriptions.iterator(chunk_size=500):
        row.custom_headers = dict(row.sealed_headers)
        row.save(update_fields=["custom_headers"])


class Migration(migrations.Migration):
    dependencies = [
        ("subscriptions", "0003_subscription_repsona_fields"),
    ]

    operations = [
        migrations.AddField(
            model_name="subscription",
            name="sealed_headers",
            field=subscriptions.secrets.encrypted_fields.EncryptedHeaders(
                blank=True,
                default=dict,
                help_text="Names and values; values may be credentials.",
            ),
        ),
        migrations.RunPython(encrypt, decrypt),
        migrations.RemoveField(model_name="subscription", name="custom_headers"),
        migrations.RenameField(
            model_name="subscription", old_name="sealed_headers", new_name="custom_headers"
        ),
    ]
