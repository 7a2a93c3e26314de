"""`manage.py create_key PROJECT` or `--operator`: makes another API key, which is shown once."""

from __future__ import annotations

import re
from argparse import ArgumentParser, ArgumentTypeError
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from subscriptions.access.acting import acting_as, command_user
from subscriptions.access.api_keys import OPERATOR_SCOPES, make_key
from subscriptions.field_errors import FieldsRefused
from subscriptions.models import Project

_DAYS_MAX = 36_500


class Command(BaseCommand):
    """Make an API key of a project, or of an operator."""

    help = (
        "Make another API key, with every scope or some; it is shown this once. A project's key "
        "is good for the project; an operator's for all of them, and it makes projects."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare whose key it is and the options."""
        parser.add_argument(
            "project", nargs="?", help="The project's slug, as in the API's addresses."
        )
        parser.add_argument(
            "--operator", action="store_true", help="Make an operator's key, of no project."
        )
        parser.add_argument("--name", default="", help="What the key is for.")
        parser.add_argument(
            "--scope",
            action="append",
            choices=OPERATOR_SCOPES,
            help="What the key may do; may be given several times (default: everything). "
            "`operate` is for an operator's key only.",
        )
        parser.add_argument(
            "--expires",
            type=read_expiry,
            metavar="30d|2027-01-31",
            help="Days from now, or the last day on which it is good, in UTC (default: never).",
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        """Make the key and print it."""
        project = _project(options["project"], is_operators=options["operator"])
        try:
            with acting_as(command_user):
                _, plain = make_key(
                    project, options["scope"], name=options["name"], expires_at=options["expires"]
                )
        except FieldsRefused as refusal:
            raise CommandError(" ".join(error.message for error in refusal.errors)) from refusal
        self.stdout.write(f"{plain}\n(shown only now)")


def read_expiry(text: str) -> datetime:
    """Return when a key ends: `30d` from now, or as the day after the one named begins, in UTC."""
    if found := re.fullmatch(r"([0-9]{1,5})d", text):
        days = int(found[1])
        if days > _DAYS_MAX:
            raise ArgumentTypeError(f"{text} is more than {_DAYS_MAX} days")
        return timezone.now() + timedelta(days=days)
    try:
        return datetime.combine(date.fromisoformat(text) + timedelta(days=1), time(), tzinfo=UTC)
    except (ValueError, OverflowError):
        raise ArgumentTypeError(f"{text!r} is neither days (30d) nor a date (2027-01-31)") from None


def _project(slug: str | None, *, is_operators: bool) -> Project | None:
    """Return whose key it is; `None`: an operator's. Nobody gets one by leaving out the project."""
    if is_operators and slug is not None:
        raise CommandError("An operator's key is of no project: leave it out.")
    if is_operators:
        return None
    if slug is None:
        raise CommandError("Name a project, or give --operator.")
    project = Project.objects.filter(slug=slug).first()
    if project is None:
        raise CommandError(f"There is no project '{slug}'.")
    return project
