"""Static files: with hashed names once they are collected, with their own where nobody did that."""

from __future__ import annotations

from django.conf import settings
from whitenoise.storage import CompressedManifestStaticFilesStorage


class CollectedFiles(CompressedManifestStaticFilesStorage):  # type: ignore[misc]  # no types
    """What `collectstatic` writes and pages link to: compressed, cached by browsers for ever."""

    def stored_name(self, name: str) -> str:
        """Return the name under which a file is served."""
        if settings.WHITENOISE_USE_FINDERS or not self.hashed_files:
            return name
        return str(super().stored_name(name))
