"""Make the audit log, and let the database refuse to change it."""

from typing import Any

import django.db.models.deletion
import django.db.models.functions.datetime
from django.db import migrations, models

import subscriptions.ids

# A row-level trigger does not see TRUNCATE; of an empty table it is harmless.
POSTGRESQL = """
CREATE FUNCTION subscriptions_audit_log_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'TRUNCATE' AND NOT EXISTS (SELECT FROM subscriptions_auditentry) THEN
        RETURN NULL;
    ELSIF TG_OP = 'DELETE' AND EXISTS (
        SELECT FROM subscriptions_auditpruning AS pruning WHERE OLD.at < pruning.before
    ) THEN
        RETURN OLD;
    END IF;
    RAISE EXCEPTION 'the audit log is append-only' USING ERRCODE = 'integrity_constraint_violation';
END
$$;
CREATE TRIGGER audit_log_is_append_only BEFORE UPDATE OR DELETE ON subscriptions_auditentry
    FOR EACH ROW EXECUTE FUNCTION subscriptions_audit_log_is_append_only();
CREATE TRIGGER audit_log_is_not_truncated BEFORE TRUNCATE ON subscriptions_auditentry
    FOR EACH STATEMENT EXECUTE FUNCTION subscriptions_audit_log_is_append_only();
"""

# REPLACE deletes without asking the trigger on DELETE. Each is dropped with its table.
SQLITE = (
    """
    CREATE TRIGGER audit_log_is_not_updated BEFORE UPDATE ON subscriptions_auditentry
    BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END
    """,
    """
    CREATE TRIGGER audit_log_is_not_replaced BEFORE INSERT ON subscriptions_auditentry
    WHEN EXISTS (SELECT 1 FROM subscriptions_auditentry WHERE id = NEW.id)
    BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END
    """,
    """
    CREATE TRIGGER audit_log_is_not_deleted BEFORE DELETE ON subscriptions_auditentry
    WHEN NOT EXISTS (SELECT 1 FROM subscriptions_auditpruning WHERE OLD.at < before)
    BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END
    """,
)


def protect(_apps: Any, schema_editor: Any) -> None:
    statements = (POSTGRESQL,) if schema_editor.connection.vendor == "postgresql" else SQLITE
    for statement in statements:
        schema_editor.execute(statement)


def unprotect(_apps: Any, schema_editor: Any) -> None:
    """Triggers go with the table, the function does not."""
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute("DROP FUNCTION subscriptions_audit_log_is_append_only CASCADE")


class Migration(migrations.Migration):
    dependencies = [
        ("subscriptions", "0004_encrypt_custom_headers"),
    ]

    operations = [
        migrations.CreateModel(
            name="AuditPruning",
            fields=[
                (
                    "id",
                    models.SmallIntegerField(
                        default=1, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("before", models.DateTimeField()),
            ],
        ),
        migrations.CreateModel(
            name="AuditEntry",
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
                    "at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), editable=False
                    ),
                ),
                (
                    "action",
                    models.CharField(
                        help_text="A stable code, such as secret.revealed.", max_length=40
                    ),
                ),
                ("actor_kind", models.CharField(max_length=10)),
                ("actor_id", models.CharField(blank=True, max_length=64)),
                ("actor_label", models.CharField(blank=True, max_length=200)),
                ("target_kind", models.CharField(max_length=20)),
                ("target_id", models.CharField(max_length=200)),
                (
                    "before",
                    models.JSONField(
                        help_text="What was changed, as it was; never a secret.", null=True
                    ),
                ),
                ("after", models.JSONField(null=True)),
                ("address", models.GenericIPAddressField(help_text="The client's.", null=True)),
                ("request_id", models.CharField(blank=True, max_length=64)),
                (
                    "project",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="subscriptions.project",
                    ),
                ),
            ],
            options={
                "verbose_name_plural": "audit entries",
                "indexes": [
                    models.Index(fields=["project", "id"], name="audit_entry_of_project"),
                    models.Index(fields=["at"], name="audit_entry_age"),
                ],
            },
        ),
        migrations.RunPython(protect, unprotect),
    ]
