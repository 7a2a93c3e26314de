"""Makes projects, each with a slug of its own, and changes their settings.

Called by API, admin, `create_project` and the demo. There is no deleting: history and the audit log
refer to a project for as long as they are kept.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import count
from typing import Any, Final, TypedDict, Unpack

from django.db import IntegrityError, transaction
from django.utils.text import slugify

from subscriptions.access.audit_log import Action, record, record_change, target_of
from subscriptions.field_errors import FieldError, FieldsRefused
from subscriptions.models import Project
from subscriptions.origins import LIMIT_ORIGINS, is_origin

NAME_LIMIT_CHARACTERS: Final = 200
SLUG_LIMIT_CHARACTERS: Final = 63
SLUG_PATTERN: Final = r"^[-a-zA-Z0-9_]+$"
"""What stands in the API's addresses."""

FAILURE_LIMIT_MAX: Final = 32_767
"""What the column holds: as good as never."""

_FALLBACK_SLUG: Final = "project"  # names without any ASCII letter or digit


class SlugTaken(Exception):
    """Another project has this slug."""


class _Given(TypedDict, total=False):
    """What need not be said of a project."""

    is_https_only: bool
    failure_limit: int
    is_catalogue_strict: bool
    is_catalogue_public: bool
    portal_origins: list[str]


class Settings(_Given, total=False):
    """What can be changed of a project."""

    name: str


_DEFAULTS: Final[_Given] = {
    "is_https_only": True,
    "failure_limit": 10,
    "is_catalogue_strict": False,
    "is_catalogue_public": False,
    "portal_origins": [],
}


def create_project(name: str, *, slug: str | None = None, **given: Unpack[_Given]) -> Project:
    """Make a project; without a slug it is made from the name, with a number where that is taken.

    Raises `FieldsRefused`, and `SlugTaken` for one that was given.
    """
    settings: Settings = {"name": name, **_DEFAULTS, **given}
    check_settings(settings, slug=slug)
    settings["name"] = name.strip()
    if slug is not None:
        project = _create(slug, settings)
        if project is None:
            raise SlugTaken(slug)
        return project
    for number in count(1):
        project = _create(_slug(name, number), settings)
        if project is not None:
            return project
    raise AssertionError("numbers do not end")


def change_project(project: Project, settings: Settings) -> Project:
    """Change what is given, and nothing else; return the project as it is. Raises `FieldsRefused`.

    The slug stays: it stands in the addresses that programs use.
    """
    check_settings(settings)
    with transaction.atomic():
        current = Project.objects.select_for_update(no_key=True).get(pk=project.pk)
        before = audited(current)
        for column, value in settings.items():
            setattr(current, column, value)
        current.name = current.name.strip()
        current.save(update_fields=list(settings))
        record_change(
            Action.PROJECT_CHANGED, target_of(current), before=before, after=audited(current)
        )
    return current


def check_settings(settings: Settings, *, slug: str | None = None) -> None:
    """Raise `FieldsRefused`, with every error, for what no project may have."""
    errors = []
    name = settings.get("name", "x")
    if not (0 < len(name) <= NAME_LIMIT_CHARACTERS and name.strip() and name.isprintable()):
        code = "invalid" if name.isprintable() else "not_printable"
        message = f"A project's name is 1 to {NAME_LIMIT_CHARACTERS} printable characters."
        errors.append(FieldError("name", code, message))
    if not 1 <= settings.get("failure_limit", 1) <= FAILURE_LIMIT_MAX:
        message = f"The limit is 1 to {FAILURE_LIMIT_MAX} deliveries."
        errors.append(FieldError("failure_limit", "invalid", message))
    errors += _errors_of_origins(settings.get("portal_origins", []))
    if slug is not None and not _is_slug(slug):
        message = f"A slug is 1 to {SLUG_LIMIT_CHARACTERS} of the characters A-Z a-z 0-9 - and _."
        errors.append(FieldError("slug", "invalid", message))
    if errors:
        raise FieldsRefused(errors)


def audited(project: Project) -> dict[str, Any]:
    """Return the settings as the audit log shows them."""
    return {name: getattr(project, name) for name in ("name", *_DEFAULTS)}


def _errors_of_origins(origins: list[str]) -> Iterator[FieldError]:
    if len(origins) > LIMIT_ORIGINS:
        message = f"At most {LIMIT_ORIGINS} origins can be listed."
        yield FieldError("portal_origins", "invalid", message)
        return
    for number, origin in enumerate(origins):
        if not is_origin(origin):
            message = (
                "This is not an origin such as https://app.example.com: https (http on localhost), "
                "a host in lower case, a port if it has one, and no path."
            )
            yield FieldError(f"portal_origins.{number}", "invalid", message)


def _create(slug: str, settings: Settings) -> Project | None:
    """Store a project, unless its slug is taken."""
    try:
        with transaction.atomic():
            project = Project.objects.create(slug=slug, **settings)
            record(Action.PROJECT_CREATED, target_of(project), after=audited(project))
            return project
    except IntegrityError:
        if not Project.objects.filter(slug=slug).exists():
            raise  # it was not about the slug
        return None


def _is_slug(text: str) -> bool:
    return len(text) <= SLUG_LIMIT_CHARACTERS and re.fullmatch(SLUG_PATTERN, text) is not None


def _slug(name: str, number: int) -> str:
    suffix = "" if number == 1 else f"-{number}"
    stem = slugify(name)[: SLUG_LIMIT_CHARACTERS - len(suffix)].strip("-_") or _FALLBACK_SLUG
    return stem + suffix
