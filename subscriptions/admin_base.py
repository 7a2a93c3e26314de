"""What the admin pages of all apps share: bounded counting, filters by time, pages that only show.

Used by each app's `admin`. Tables of history may have hundreds of millions of rows: no page may
count them, sort them by a column without an index, or list all of them as choices.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, cast
from uuid import UUID

from django.contrib import admin, messages
from django.contrib.admin.utils import flatten_fieldsets
from django.contrib.admin.views.main import ChangeList
from django.core.paginator import Paginator
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.functional import cached_property
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.admin import ModelAdmin, StackedInline, TabularInline

from subscriptions.ids import first_id_of
from subscriptions.models import Project

COUNT_LIMIT = 1000
"""Rows that can be paged through; the filters lead to the others."""

CHOICES_SHOWN = 100
"""Entries that a filter lists; more would be no help, and cost time on every page."""


class BoundedPaginator(Paginator[Any]):
    """Counts to `COUNT_LIMIT` and no further: reads so many rows of an index at most."""

    @cached_property
    def count(self) -> int:
        """The number of rows, or `COUNT_LIMIT`."""
        rows = cast("QuerySet[Any]", self.object_list)
        return rows[:COUNT_LIMIT].count()


class Admin(ModelAdmin):  # type: ignore[misc]  # unfold ships no types
    """Every page of ours."""

    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    paginator = BoundedPaginator
    list_per_page = 50
    list_max_show_all = 0
    list_disable_select_all = True
    actions_on_bottom = False

    class Media:
        css = {"all": ("subscriptions/admin.css",)}


class ReadOnly:
    """Shows, and neither adds, changes nor deletes; goes before a page or an inline."""

    def has_add_permission(self, _request: HttpRequest, _obj: Any = None) -> bool:
        """Say no."""
        return False

    def has_change_permission(self, _request: HttpRequest, _obj: Any = None) -> bool:
        """Say no."""
        return False

    def has_delete_permission(self, _request: HttpRequest, _obj: Any = None) -> bool:
        """Say no."""
        return False


class FixedOrder(ChangeList):
    """A list in the order of its index, whatever the address asks for."""

    def get_ordering_field(self, _field_name: Any) -> None:
        """Say that the column cannot be sorted by."""


class ReadOnlyAdmin(ReadOnly, Admin):
    """A page of what the program writes; `fields` or `fieldsets` name what it shows."""

    sortable_by: tuple[str, ...] = ()

    def get_changelist(self, _request: HttpRequest, **_options: Any) -> type[ChangeList]:
        """Return the list that keeps its order."""
        return FixedOrder

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        """Return all that is shown."""
        shown: list[Any] = flatten_fieldsets(self.get_fieldsets(request, obj))
        return shown


class ReadOnlyInline(ReadOnly):
    """Rows of another model on a page."""

    fields: tuple[Any, ...]

    def get_readonly_fields(self, _request: HttpRequest, _obj: Any = None) -> tuple[Any, ...]:
        """Return all that is shown."""
        return self.fields


class StackedReadOnly(ReadOnlyInline, StackedInline):  # type: ignore[misc]  # unfold ships no types
    """Rows below one another, to read; `fields` names what is shown of each."""

    extra = 0
    can_delete = False


class TabularReadOnly(ReadOnlyInline, TabularInline):  # type: ignore[misc]  # unfold ships no types
    """Rows in a table, to read; `fields` names the columns."""

    extra = 0
    can_delete = False


class ByProject(admin.SimpleListFilter):
    """One project's rows."""

    title = "project"
    parameter_name = "project"

    def lookups(self, _request: HttpRequest, _admin: Any) -> Iterable[tuple[str, str]]:
        """List the first projects by name."""
        projects = Project.objects.order_by("slug").values_list("slug", "name")
        return list(projects[:CHOICES_SHOWN])

    def queryset(self, _request: HttpRequest, rows: QuerySet[Model]) -> QuerySet[Model]:
        """Keep the project's."""
        if not self.value():
            return rows
        return rows.filter(project=Project.objects.filter(slug=self.value()).first())


class ByTime(admin.SimpleListFilter):
    """What was made lately: ids are sortable by time, so this is a range of the primary key."""

    title = "time"
    parameter_name = "time"

    _SPANS = {
        "hour": ("Past hour", timedelta(hours=1)),
        "day": ("Past 24 hours", timedelta(days=1)),
        "week": ("Past 7 days", timedelta(days=7)),
    }

    def lookups(self, _request: HttpRequest, _admin: Any) -> Iterable[tuple[str, str]]:
        """List the spans."""
        return [(name, title) for name, (title, _) in self._SPANS.items()]

    def queryset(self, _request: HttpRequest, rows: QuerySet[Model]) -> QuerySet[Model]:
        """Keep what is younger."""
        if self.value() not in self._SPANS:
            return rows
        _, span = self._SPANS[self.value() or ""]
        return rows.filter(pk__gte=first_id_of(timezone.now() - span))


def moment(field: str, title: str) -> Callable[[Any], str]:
    """Make a column of a time in UTC, to the second: what logs are compared with."""

    @admin.display(description=f"{title} (UTC)", ordering=field)
    def column(row: Any) -> str:
        value: datetime | None = getattr(row, field)
        return f"{value.astimezone(UTC):%Y-%m-%d %H:%M:%S}" if value else "-"

    column.__name__ = f"{field}_shown"
    return column


def as_block(text: str) -> SafeString:
    """Show foreign text as it is: escaped, lines kept, long ones broken, direction contained."""
    return format_html('<pre class="foreign-text">{}</pre>', text)


def uuid_or_none(text: str | None) -> UUID | None:
    """Read an id from an address or a filter, where anything may stand."""
    try:
        return UUID(text or "")
    except ValueError:
        return None


def say_once(request: HttpRequest, what: str, plain: str) -> None:
    """Show a secret in a message: the only time, since it is stored hashed or encrypted."""
    messages.warning(
        request,
        format_html('{} is shown only now: <code class="shown-once">{}</code>', what, plain),
    )
