"""`manage.py rotate_encryption_key`: lets the first key of DISPATCHER_ENCRYPTION_KEYS suffice.

Ends with 0 when it does, and with 1 when something still needs an old key or a lost one.
"""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from typing import Any, Final

from django.core.management.base import BaseCommand

from subscriptions.access.acting import acting_as, command_user
from subscriptions.access.audit_log import Action, Target, record
from subscriptions.secrets import encryption_canary, encryption_rotation

_NAMES_SHOWN: Final = 20


class Command(BaseCommand):
    """Encrypt everything with the first key."""

    help = (
        "Encrypt all that is stored encrypted with the first of DISPATCHER_ENCRYPTION_KEYS, beside "
        "running workers; exits 1 while an older key is still needed."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Declare the two other ways to run it."""
        ways = parser.add_mutually_exclusive_group()
        ways.add_argument(
            "--check",
            action="store_true",
            help="Change nothing; say whether anything still needs an older key.",
        )
        ways.add_argument(
            "--accept-loss",
            action="store_true",
            help="An older key is gone for good: start again without what only it could read.",
        )

    def handle(self, *_args: Any, check: bool, accept_loss: bool, **_options: Any) -> None:
        """Do it, say what is left, and end with 1 when something is."""
        with acting_as(command_user):
            if accept_loss:
                encryption_canary.replace()
            found = encryption_rotation.survey() if check else encryption_rotation.rotate()
            if found.encrypted_anew or accept_loss:
                after = {
                    "encrypted_anew": found.encrypted_anew,
                    "unreadable": len(found.unreadable),
                    "loss_accepted": accept_loss,
                }
                record(
                    Action.ENCRYPTION_KEY_ROTATED, Target("installation", "keys", None), after=after
                )
        self._say(found, is_check=check)
        if found.need_old_key or found.unreadable:
            sys.exit(1)

    def _say(self, found: encryption_rotation.Rotated, *, is_check: bool) -> None:
        if not is_check:
            self.stdout.write(f"{found.encrypted_anew} encrypted anew, of {found.looked_at}.")
        if found.need_old_key:
            self.stdout.write(
                f"{found.need_old_key} of {found.looked_at} still need an older key: keep it, and "
                "run this again once every process has the new key in front."
            )
        if found.unreadable:
            self.stdout.write(f"{len(found.unreadable)} cannot be read with any of the keys:")
            for name in found.unreadable[:_NAMES_SHOWN]:
                self.stdout.write(f"  {name}")
            if len(found.unreadable) > _NAMES_SHOWN:
                self.stdout.write("  … and more")
        if not found.need_old_key and not found.unreadable:
            self.stdout.write("The first key reads everything: older ones can be removed.")
