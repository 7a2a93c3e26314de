"""`make_encryption_key`: a value for DISPATCHER_ENCRYPTION_KEYS."""

from __future__ import annotations

from typing import Any

from cryptography.fernet import Fernet
from django.core.management.base import BaseCommand


class Command(BaseCommand):
    """Print a new key."""

    help = "Print a new key for DISPATCHER_ENCRYPTION_KEYS (put it first to rotate)."
    requires_system_checks = ()

    def handle(self, *_args: Any, **_options: Any) -> None:
        """Print the key and nothing else."""
        self.stdout.write(Fernet.generate_key().decode())
