"""Settings that do not fit together stop the start."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib import import_module
from typing import Any

import pytest
from celery.exceptions import ImproperlyConfigured
from django.contrib import admin
from django.core.checks import Error
from django.core.checks.registry import registry
from django.core.management import call_command
from django.core.management.base import SystemCheckError

from deliveries.models import Delivery
from dispatcher import celery, checks
from tests.workers import ROOT


@pytest.mark.parametrize(("lease_seconds", "is_refused"), [(5, True), (7, True), (8, False)])
def test_a_lease_must_outlast_its_request(
    settings: Any, lease_seconds: int, is_refused: bool
) -> None:
    settings.DISPATCHER_LEASE_SECONDS = lease_seconds
    if is_refused:
        with pytest.raises(SystemCheckError, match="DISPATCHER_LEASE_SECONDS"):
            call_command("check")
    else:
        call_command("check")


def test_a_worker_heeds_what_a_command_heeds(settings: Any) -> None:
    celery.refuse_what_checks_refuse()
    settings.DISPATCHER_LEASE_SECONDS = 5
    with pytest.raises(ImproperlyConfigured, match="DISPATCHER_LEASE_SECONDS"):
        celery.refuse_what_checks_refuse()


@pytest.mark.postgres
@pytest.mark.django_db
def test_an_old_postgresql_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    call_command("check", databases=["default"])
    monkeypatch.setattr(checks, "POSTGRESQL_AT_LEAST", 990000)
    with pytest.raises(SystemCheckError, match="PostgreSQL 15"):
        call_command("check", databases=["default"])


def test_a_worker_heeds_checks_without_a_tag(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**_: Any) -> list[Error]:
        return [Error("a host's own")]

    refuse.tags = ()  # type: ignore[attr-defined]  # as `register` leaves it
    monkeypatch.setattr(registry, "registered_checks", {refuse})
    with pytest.raises(ImproperlyConfigured, match="a host's own"):
        celery.refuse_what_checks_refuse()


def test_the_admin_s_pages_pass_django_s_checks() -> None:
    """`manage.py check` looks at them only if it has come to the addresses before."""
    import_module("dispatcher.urls")
    assert admin.site.is_registered(Delivery)
    assert admin.site.check(None) == []


CHECK_AS_A_WORKER = """
import sys
from dispatcher import celery
celery.app.loader.import_default_modules()
celery.refuse_what_checks_refuse()
of_pages = {"dispatcher.urls", "dispatcher.admin", "dispatcher.events_first", "jsonschema"}
sys.exit(" ".join(of_pages & sys.modules.keys()) or None)
"""


def test_a_worker_loads_no_pages() -> None:
    subprocess.run(
        [sys.executable, "-c", "import django; django.setup()" + CHECK_AS_A_WORKER],
        cwd=ROOT,
        env=os.environ | {"DJANGO_SETTINGS_MODULE": "tests.settings"},
        timeout=60,
        check=True,
    )
