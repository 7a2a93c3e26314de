"""`manage.py audit`: says whether every event has its deliveries; for operators and their cron.

Ends with 0 when all adds up, 1 when it does not, and 2 when it could not be told.
"""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser, ArgumentTypeError
from dataclasses import asdict
from datetime import date
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import InterfaceError, OperationalError
from django.utils import timezone

from deliveries.auditing.audit import OVERDUE_AFTER, Audit, Tally, audit
from deliveries.auditing.report import document_of
from subscriptions.models import Project

_COUNTS = (
    "{events} events matched {matched} deliveries: {succeeded} succeeded, {failed} failed, "
    "{cancelled} cancelled, {pending} pending, {sending} sending; difference {difference}"
)


class Command(BaseCommand):
    """Hold each event against its deliveries."""

    help = "Check that every event has its deliveries; exits 1 when something does not add up."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare what is looked at and how it is printed."""
        parser.add_argument(
            "--since",
            type=_day,
            metavar="YYYY-MM-DD",
            help="First UTC day (default: all there is).",
        )
        parser.add_argument("--project", metavar="SLUG", help="Only this project.")
        parser.add_argument("--json", action="store_true", help="Print everything as one object.")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Count, print, and end with 1 when something does not add up."""
        try:
            found = audit(project=_project(options["project"]), since=options["since"])
            document = document_of(found)
        except (OperationalError, InterfaceError) as error:
            raise CommandError(f"The database did not answer: {error}", returncode=2) from error
        if options["json"]:
            self.stdout.write(json.dumps(document))
        else:
            self.stdout.write("\n".join(_sentences(found, document)))
        if not found.is_balanced:
            sys.exit(1)


def _day(text: str) -> date:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise ArgumentTypeError(f"'{text}' is not a day such as 2026-01-31") from None
    if day > timezone.now().date():
        raise ArgumentTypeError(f"{day} has not come yet")
    return day


def _project(slug: str | None) -> Project | None:
    if slug is None:
        return None
    project = Project.objects.filter(slug=slug).first()
    if project is None:
        raise CommandError(f"There is no project '{slug}'.", returncode=2)
    return project


def _sentences(found: Audit, document: dict[str, Any]) -> list[str]:
    """Return lines for people: the sums, then what does not add up, by project and day."""
    total = sum(found.tallies.values(), Tally())
    counts = _COUNTS.format(**asdict(total), difference=total.difference)
    lines = [f"{found.since} to {found.until}: {counts}."]
    if total.overdue:
        minutes = OVERDUE_AFTER.seconds // 60
        lines.append(f"Note: {total.overdue} were due more than {minutes} minutes ago.")
    if found.is_balanced:
        return [*lines, "Everything adds up."]
    lines.append("NOT EVERYTHING ADDS UP:")
    for row in document["days"]:
        if row["difference"] or row["unbalanced"] or row["strays"]:
            lines.append(f"{row['project']}, {row['day']}: {_COUNTS.format_map(row)}")
    lines += [
        f"{row['event']} of {row['project']} matched {row['matched']}, has {row['counted']}"
        for row in document["unbalanced"]
    ]
    lines += [
        f"{row['delivery']} of {row['project']} is of {row['event']}, which does not exist"
        for row in document["strays"]
    ]
    return [*lines, "… and more."] if found.is_truncated else lines
