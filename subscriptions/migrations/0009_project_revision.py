"""Number the states of a project, by trigger: what was read of it stands while its number does."""

from typing import Any

from django.db import migrations, models

# The number is the transaction's own, so however much it changes, it writes once, and no number comes
# back. Deferred: the row is locked for the time of a commit only, or a transaction that changes two
# projects would deadlock with one that goes the other way round and takes its time.
FUNCTION = """
CREATE FUNCTION subscriptions_number_project() RETURNS trigger LANGUAGE plpgsql
SET search_path FROM CURRENT AS $$
DECLARE
    this_transaction bigint := pg_current_xact_id()::text::bigint;
    changed bigint[];
BEGIN
    IF TG_TABLE_NAME = 'subscriptions_project' THEN
        IF TG_OP = 'DELETE' THEN
            DELETE FROM subscriptions_projectrevision WHERE project_id = OLD.id;
            RETURN NULL;
        END IF;
        changed := ARRAY[NEW.id];
    ELSIF TG_TABLE_NAME = 'subscriptions_signingsecret' THEN
        -- Its subscription may be deleted with it, which is a change by itself.
        SELECT array_agg(project_id) INTO changed FROM subscriptions_subscription
            WHERE id IN (OLD.subscription_id, NEW.subscription_id);
        changed := changed || ARRAY[OLD.project_id, NEW.project_id];
    ELSIF TG_OP = 'INSERT' THEN
        changed := ARRAY[NEW.project_id];
    ELSIF TG_OP = 'DELETE' THEN
        changed := ARRAY[OLD.project_id];
    ELSE
        changed := ARRAY[OLD.project_id, NEW.project_id];
    END IF;
    INSERT INTO subscriptions_projectrevision AS revision (project_id, number)
        SELECT DISTINCT project_id, this_transaction
        FROM unnest(changed) AS project_id WHERE project_id IS NOT NULL ORDER BY project_id
        ON CONFLICT (project_id) DO UPDATE SET number = excluded.number
        WHERE revision.number <> excluded.number;
    RETURN NULL;
END
$$;
"""

# Without its number nothing of a project is remembered, until something of it changes again.
FORGET = """
CREATE FUNCTION subscriptions_forget_revisions() RETURNS trigger LANGUAGE plpgsql
SET search_path FROM CURRENT AS $$
BEGIN
    DELETE FROM subscriptions_projectrevision;
    RETURN NULL;
END
$$;
"""

# Failure streaks, last errors and uses of a key change all the time, and are nothing to either.
COLUMNS = {
    "project": ("slug", "is_catalogue_strict"),
    "subscription": (
        *("project_id", "is_active", "deleted_at", "event_types", "wire_format"),
        # What else sending depends on.
        *("url", "generation", "repsona_fields", "uses_default_secret"),
        *("signature_schemes", "custom_headers", "retry_schedule"),
    ),
    "signingsecret": ("subscription_id", "project_id", "ciphertext", "expires_at"),
    "eventtype": ("project_id", "name", "schema", "is_archived", "updated_at"),
    "apikey": ("project_id", "digest", "scopes", "expires_at", "revoked_at"),
}


def triggers_of(name: str, columns: tuple[str, ...]) -> str:
    def differs(column: str) -> str:
        return f"OLD.{column} IS DISTINCT FROM NEW.{column}"

    deferred = f"ON subscriptions_{name} DEFERRABLE INITIALLY DEFERRED FOR EACH ROW"
    number = "EXECUTE FUNCTION subscriptions_number_project()"
    return f"""
        CREATE CONSTRAINT TRIGGER {name}_comes_or_goes AFTER INSERT OR DELETE {deferred} {number};
        CREATE CONSTRAINT TRIGGER {name}_changes AFTER UPDATE OF {", ".join(columns)} {deferred}
            WHEN ({" OR ".join(map(differs, columns))}) {number};
        CREATE TRIGGER {name}_is_emptied AFTER TRUNCATE ON subscriptions_{name}
            FOR EACH STATEMENT EXECUTE FUNCTION subscriptions_forget_revisions();
    """


def number_projects(_apps: Any, schema_editor: Any) -> None:
    if schema_editor.connection.vendor != "postgresql":
        return
    schema_editor.execute(FUNCTION)
    schema_editor.execute(FORGET)
    for name, columns in COLUMNS.items():
        schema_editor.execute(triggers_of(name, columns))
    schema_editor.execute(
        "INSERT INTO subscriptions_projectrevision (project_id, number) "
        "SELECT id, 0 FROM subscriptions_project"
    )


def number_no_more(_apps: Any, schema_editor: Any) -> None:
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute("DROP FUNCTION subscriptions_number_project CASCADE")
        schema_editor.execute("DROP FUNCTION subscriptions_forget_revisions CASCADE")


class Migration(migrations.Migration):
    dependencies = [
        ("subscriptions", "0008_portal"),
    ]

    operations = [
        migrations.CreateModel(
            name="ProjectRevision",
            fields=[
                (
                    "project_id",
                    models.BigIntegerField(editable=False, primary_key=True, serialize=False),
                ),
                ("number", models.BigIntegerField()),
            ],
        ),
        migrations.RunPython(number_projects, number_no_more),
    ]
