"""The web application with F13's failpoint: `granian tests.faults.web:application`."""

from __future__ import annotations

from dispatcher.wsgi import application
from tests.faults.failpoints import crash_before_wake_up

crash_before_wake_up()

__all__ = ["application"]
