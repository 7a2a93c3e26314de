"""`manage.py import_event_types PROJECT phrase`: adds a ready catalogue to a project's own."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from subscriptions.access.acting import acting_as, command_user
from subscriptions.catalogue.imports import CATALOGUES, import_catalogue
from subscriptions.field_errors import FieldsRefused
from subscriptions.models import Project


class Command(BaseCommand):
    """Add a ready catalogue of event types to a project."""

    help = "Add the event types of another system to a project; what it has stays as it is."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare project and catalogue."""
        parser.add_argument("project", help="The project's slug, as in the API's addresses.")
        parser.add_argument("catalogue", choices=CATALOGUES, help="Whose event types.")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Import, and say how many there were."""
        project = Project.objects.filter(slug=options["project"]).first()
        if project is None:
            raise CommandError(f"There is no project '{options['project']}'.")
        try:
            with acting_as(command_user):
                imported = import_catalogue(project, options["catalogue"])
        except FieldsRefused as refusal:
            raise CommandError(refusal.errors[0].message) from None
        self.stdout.write(f"{imported.added} added, {imported.existing} were there already.")
