"""The environment of what is measured: this process's, without what would slow it down."""

from __future__ import annotations

import os
from collections.abc import Mapping


def unwatched(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return an environment without coverage's variables, which make processes trace themselves."""
    return {
        name: value for name, value in environment.items() if not name.startswith(("COV_", "COVER"))
    }
