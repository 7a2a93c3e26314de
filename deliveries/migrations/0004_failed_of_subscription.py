"""What finds a subscription's deliveries that did not succeed, among its many that did."""

from typing import Any

from django.db import migrations, models


def take_all_the_time_it_needs(_apps: Any, schema_editor: Any) -> None:
    """Lift the timeout that settings give a statement: indexes of millions of rows take minutes."""
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute("SET LOCAL statement_timeout = 0")


class Migration(migrations.Migration):
    dependencies = [("deliveries", "0003_integration_api")]

    operations = [
        migrations.RunPython(take_all_the_time_it_needs, migrations.RunPython.noop),
        migrations.AddIndex(
            model_name="delivery",
            index=models.Index(
                condition=models.Q(
                    ("status__in", ["failed", "cancelled"]),
                    models.Q(("last_outcome__in", ["", "succeeded"]), _negated=True),
                    _connector="OR",
                ),
                fields=["subscription", "id"],
                name="delivery_without_success_sub",
            ),
        ),
    ]
