"""Wrong keys stop the start; a database that is empty, away or not migrated does not."""

from __future__ import annotations

import os
import subprocess
import sys
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.core.management import call_command
from django.core.management.base import SystemCheckError
from django.db import connection

from dispatcher.embedded import CannotStart, _prepare_database
from subscriptions.models import EncryptionCanary
from subscriptions.secrets import encryption_canary
from tests.factories import make_subscription

ROOT = Path(__file__).parents[3]
NAME = "DISPATCHER_ENCRYPTION_KEYS"


def other_key() -> str:
    return Fernet.generate_key().decode()


@pytest.mark.django_db
def test_a_migrated_database_knows_its_keys(settings: Any) -> None:
    assert EncryptionCanary.objects.count() == 1
    encryption_canary.check_keys()
    settings.DISPATCHER_ENCRYPTION_KEYS = (other_key(), *settings.DISPATCHER_ENCRYPTION_KEYS)
    encryption_canary.check_keys()
    settings.DISPATCHER_ENCRYPTION_KEYS = (other_key(),)
    with pytest.raises(encryption_canary.WrongKeys, match=f"{NAME} cannot read"):
        encryption_canary.check_keys()


@pytest.mark.django_db
def test_wrong_keys_stop_a_migration_and_the_one_process(settings: Any) -> None:
    settings.DISPATCHER_ENCRYPTION_KEYS = (other_key(),)
    with pytest.raises(SystemCheckError, match=NAME):
        call_command("check", databases=["default"], stderr=StringIO())
    with pytest.raises(SystemCheckError, match=NAME):
        call_command("migrate", verbosity=0, skip_checks=False, stderr=StringIO())
    with pytest.raises(CannotStart, match=NAME):
        _prepare_database()


@pytest.mark.django_db
def test_a_canary_is_not_planted_over_secrets_of_another_key(settings: Any) -> None:
    make_subscription()
    EncryptionCanary.objects.all().delete()
    right = settings.DISPATCHER_ENCRYPTION_KEYS
    settings.DISPATCHER_ENCRYPTION_KEYS = (other_key(),)
    with pytest.raises(encryption_canary.WrongKeys):
        encryption_canary.check_keys()
    encryption_canary.plant()
    assert not EncryptionCanary.objects.exists()

    settings.DISPATCHER_ENCRYPTION_KEYS = right
    encryption_canary.plant()
    encryption_canary.check_keys()
    assert EncryptionCanary.objects.count() == 1


@pytest.mark.django_db
def test_a_database_without_the_table_says_nothing_about_keys(settings: Any) -> None:
    settings.DISPATCHER_ENCRYPTION_KEYS = (other_key(),)
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE subscriptions_encryptioncanary RENAME TO away")
    encryption_canary.check_keys()
    encryption_canary.plant()
    assert encryption_canary.check_at_migration(databases=["default"]) == []


@pytest.mark.parametrize(
    "program",
    [
        ("-c", "import dispatcher.wsgi"),
        ("-m", "celery", "-A", "dispatcher", "worker", "-P", "threads", "-c", "1"),
    ],
    ids=["web", "worker"],
)
def test_wrong_keys_stop_web_and_worker_with_one_sentence(
    tmp_path: Path, program: tuple[str, ...]
) -> None:
    migrated = run("manage.py", "migrate", keys=other_key(), data_folder=tmp_path)
    assert migrated.returncode == 0, migrated.stderr
    refused = run(*program, keys=other_key(), data_folder=tmp_path)
    assert refused.returncode != 0
    assert f"{NAME} cannot read" in refused.stderr


def run(*arguments: str, keys: str, data_folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a process of one installation, with keys of its own."""
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env={
            "PATH": os.environ["PATH"],
            "DISPATCHER_DATA_DIR": str(data_folder),
            "DJANGO_SETTINGS_MODULE": "dispatcher.settings",
            NAME: keys,
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
