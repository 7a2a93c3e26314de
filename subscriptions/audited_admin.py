"""Admin pages whose changes enter the audit log: of models that have no use case of their own.

Used by each app's `admin`; goes before the page's class. `audited_fields` names what is written.
"""

from __future__ import annotations

from typing import Any, ClassVar

from django.db import transaction
from django.db.models import Model, QuerySet
from django.http import HttpRequest

from subscriptions.access.audit_log import Action, Target, record, record_change, target_of


class Audited:
    """Notes what is created, changed and deleted, in the transaction of Django's own view."""

    audited_as: ClassVar[str]
    """The first part of the actions' codes: `member` of `member.created`."""
    audited_fields: ClassVar[tuple[str, ...]]

    def audit_target(self, row: Any) -> Target:
        """Return what the entry is about."""
        return target_of(row)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Store the row and the entry."""
        stored = type(obj)._default_manager.filter(pk=obj.pk).first() if change else None
        super().save_model(request, obj, form, change)  # type: ignore[misc]  # of the page
        target, after = self.audit_target(obj), self._audited(obj)
        if stored is None:
            record(Action(f"{self.audited_as}.created"), target, after=after)
        else:
            changed = Action(f"{self.audited_as}.changed")
            record_change(changed, target, before=self._audited(stored), after=after)

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        """Delete the row and store the entry."""
        self._note_deletion(obj)
        super().delete_model(request, obj)  # type: ignore[misc]  # of the page

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        """Delete the rows and store an entry for each."""
        with transaction.atomic():
            for row in queryset:
                self._note_deletion(row)
            super().delete_queryset(request, queryset)  # type: ignore[misc]  # of the page

    def _note_deletion(self, row: Model) -> None:
        deleted = Action(f"{self.audited_as}.deleted")
        record(deleted, self.audit_target(row), before=self._audited(row))

    def _audited(self, row: Model) -> dict[str, Any]:
        return {name: getattr(row, name) for name in self.audited_fields}
