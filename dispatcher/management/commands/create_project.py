"""`manage.py create_project NAME`: makes a project and its first API key, which is shown once."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from subscriptions.access.acting import acting_as, command_user
from subscriptions.access.api_keys import make_key
from subscriptions.access.projects import create_project


class Command(BaseCommand):
    """Make a project and an API key with every scope."""

    help = "Make a project and an API key with every scope; the key is shown this once."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the name and the options."""
        parser.add_argument("name", help="What people call the project.")
        parser.add_argument(
            "--allow-http",
            action="store_true",
            help="Let subscriptions use plain http:// URLs (default: https:// only).",
        )
        parser.add_argument(
            "--json", action="store_true", help='Print one line: {"project": …, "api_key": …}.'
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        """Make both, or neither."""
        try:
            with transaction.atomic(), acting_as(command_user):
                project = create_project(options["name"], is_https_only=not options["allow_http"])
                _, plain = make_key(project, name="create_project")
        except ValueError as error:
            raise CommandError(str(error)) from error
        if options["json"]:
            self.stdout.write(json.dumps({"project": project.slug, "api_key": plain}))
            return
        self.stdout.write(f"Project: {project.slug}")
        self.stdout.write(f"API key: {plain}  (shown only now)")
