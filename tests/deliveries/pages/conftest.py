"""A project and who works on it, for tests of its pages; some files have others."""

from __future__ import annotations

from ipaddress import ip_network

import pytest
from django.test import Client
from pytest_django.fixtures import Settings

from subscriptions.models import Project
from tests.deliveries.pages.filling_in import member
from tests.factories import make_project


@pytest.fixture
def project(settings: Settings) -> Project:
    """A project that may send to this machine."""
    settings.DISPATCHER_ALLOWED_NETWORKS = (ip_network("127.0.0.0/8"),)
    return make_project(slug="acme")


@pytest.fixture
def editor(project: Project) -> Client:
    """A browser of somebody who may change its subscriptions."""
    return member(project, "editor")
