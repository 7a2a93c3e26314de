"""Somebody with a role in a project, signed in."""

from __future__ import annotations

from itertools import count

from django.contrib.auth.models import User
from django.test import Client

from subscriptions.models import Member, Project

_numbers = count(1)


def signed_in(project: Project, role: str, name: str = "") -> Client:
    """Return the browser of a new member."""
    user = User.objects.create_user(name or f"{role}-{next(_numbers)}")
    Member.objects.create(project=project, user=user, role=role)
    client = Client()
    client.force_login(user)
    return client
