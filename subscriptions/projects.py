"""Makes projects, each with a slug of its own.

Called by `create_project`, by the demo, and by pages and API later.
"""

from __future__ import annotations

from itertools import count

from django.db import IntegrityError, transaction
from django.utils.text import slugify

from subscriptions.audit_log import Action, record, target_of
from subscriptions.models import Project

_NAME_LIMIT_CHARACTERS = 200
_SLUG_LIMIT_CHARACTERS = 63
_FALLBACK_SLUG = "project"  # names without any ASCII letter or digit


def create_project(name: str, *, is_https_only: bool = True) -> Project:
    """Make a project whose slug is made from its name, with a number where that is taken.

    Raises `ValueError` for a name that is empty, too long or not printable.
    """
    name = name.strip()
    if not 0 < len(name) <= _NAME_LIMIT_CHARACTERS or not name.isprintable():
        raise ValueError(f"A project's name is 1 to {_NAME_LIMIT_CHARACTERS} printable characters.")
    for number in count(1):
        slug = _slug(name, number)
        try:
            with transaction.atomic():
                project = Project.objects.create(name=name, slug=slug, is_https_only=is_https_only)
                settings = {"name": name, "is_https_only": is_https_only}
                record(Action.PROJECT_CREATED, target_of(project), after=settings)
                return project
        except IntegrityError:
            if not Project.objects.filter(slug=slug).exists():
                raise  # it was not about the slug
    raise AssertionError("numbers do not end")


def _slug(name: str, number: int) -> str:
    suffix = "" if number == 1 else f"-{number}"
    stem = slugify(name)[: _SLUG_LIMIT_CHARACTERS - len(suffix)].strip("-_") or _FALLBACK_SLUG
    return stem + suffix
