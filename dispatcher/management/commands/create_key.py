"""`manage.py create_key PROJECT`: makes another API key of a project, which is shown once."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from subscriptions.acting import acting_as, command_user
from subscriptions.api_keys import ALL_SCOPES, make_key
from subscriptions.models import Project


class Command(BaseCommand):
    """Make an API key of a project."""

    help = "Make another API key of a project, with every scope or some; it is shown this once."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare project, name and scopes."""
        parser.add_argument("project", help="The project's slug, as in the API's addresses.")
        parser.add_argument("--name", default="", help="What the key is for.")
        parser.add_argument(
            "--scope",
            action="append",
            choices=ALL_SCOPES,
            help="What the key may do; may be given several times (default: everything).",
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        """Make the key and print it."""
        project = Project.objects.filter(slug=options["project"]).first()
        if project is None:
            raise CommandError(f"There is no project '{options['project']}'.")
        with acting_as(command_user):
            _, plain = make_key(project, options["scope"] or ALL_SCOPES, name=options["name"])
        self.stdout.write(f"{plain}\n(shown only now)")
