"""Admin pages of projects, members, keys, event types, signing secrets and the audit log.

The page of subscriptions is in `deliveries.subscription_admin`, since tests are deliveries. No page
shows a secret: a key once, when it is made.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from django.contrib import admin, messages
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString
from unfold.decorators import display

from subscriptions.access.api_keys import change_key, has_ended, make_key, revoke
from subscriptions.access.audit_log import Action
from subscriptions.access.members import NotMember, add_member, change_role, remove_member
from subscriptions.access.projects import change_project, create_project
from subscriptions.admin_base import (
    Admin,
    ByProject,
    ByTime,
    ReadOnlyAdmin,
    TabularReadOnly,
    as_block,
    moment,
    say_once,
)
from subscriptions.admin_project_forms import ApiKeyForm, EventTypeForm, ProjectForm
from subscriptions.catalogue.entries import delete_event_type
from subscriptions.ids import from_public, to_public
from subscriptions.models import ApiKey, AuditEntry, EventType, Member, Project, SigningSecret

CREATED = moment("created_at", "created")
AT = moment("at", "time")
LAST_USED = moment("last_used_at", "last used")


class MemberInline(TabularReadOnly):
    """A project's members, on its page."""

    model = Member
    fields = ("user", "role")


@admin.register(Project)
class ProjectAdmin(Admin):
    """Projects; a project with history is not deleted."""

    form = ProjectForm
    list_display = ("name", "slug", "is_https_only", "failure_limit", CREATED)
    search_fields = ("name", "slug")
    prepopulated_fields = {"slug": ("name",)}
    readonly_fields = (CREATED,)
    inlines = (MemberInline,)

    def save_model(self, _request: HttpRequest, obj: Project, form: Any, change: bool) -> None:
        """Make the project or change it, as the API does."""
        if change:
            settings: Any = {name: form.cleaned_data[name] for name in form.changed_data}
            change_project(obj, settings)
        else:
            obj.pk = create_project(**form.cleaned_data).pk

    def has_delete_permission(self, _request: HttpRequest, _obj: Any = None) -> bool:
        """Say no: history refers to it."""
        return False

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[Any, ...]:
        """Keep the slug: it stands in the addresses that programs use."""
        fields: tuple[Any, ...] = super().get_readonly_fields(request, obj)
        return (*fields, "slug") if obj else fields

    def get_prepopulated_fields(self, _request: HttpRequest, obj: Any = None) -> dict[str, Any]:
        """Make a slug from the name of a new project."""
        return {} if obj else self.prepopulated_fields


@admin.register(Member)
class MemberAdmin(Admin):
    """Who may do what in which project."""

    list_display = ("user", "project", "role")
    list_filter = (ByProject, "role")
    list_select_related = ("user", "project")
    search_fields = ("user__username", "user__email")

    def get_readonly_fields(self, _request: HttpRequest, obj: Any = None) -> tuple[Any, ...]:
        """Keep whose membership it is: for somebody else there is another."""
        return ("project", "user") if obj else ()

    def save_model(self, _request: HttpRequest, obj: Member, _form: Any, change: bool) -> None:
        """Add the member or change their role, as an operator does over the API."""
        if change:
            change_role(obj, obj.role, is_by_operator=True)
        else:
            obj.pk = add_member(obj.project, obj.user_name, obj.role).pk

    def delete_model(self, _request: HttpRequest, obj: Member) -> None:
        """Remove the member, unless somebody else just has."""
        with suppress(NotMember):
            remove_member(obj, is_by_operator=True)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Member]) -> None:
        """Remove the members, one by one."""
        for member in queryset:
            self.delete_model(request, member)


@admin.register(ApiKey)
class ApiKeyAdmin(Admin):
    """API keys; a new one is shown once, after saving."""

    form = ApiKeyForm
    list_display = (
        "prefix_shown", "name", "project", "scopes_shown", "state", CREATED, LAST_USED
    )  # fmt: skip
    list_filter = (ByProject,)
    list_select_related = ("project",)
    search_fields = ("prefix", "name")
    actions = ("revoke",)

    _known = ("prefix_shown", "state", CREATED, LAST_USED, moment("revoked_at", "revoked"))

    def has_delete_permission(self, _request: HttpRequest, _obj: Any = None) -> bool:
        """Say no: a key is revoked, and stays on record."""
        return False

    def get_fields(self, _request: HttpRequest, obj: ApiKey | None = None) -> tuple[Any, ...]:
        """Show what is known of a key that exists, and what can be chosen of a new one."""
        chosen = ("project", "name", "scopes", "expires_at")
        return (*self._known, *chosen) if obj else chosen

    def get_readonly_fields(
        self, _request: HttpRequest, obj: ApiKey | None = None
    ) -> tuple[Any, ...]:
        """Keep a key's project, and what the program notes."""
        return (*self._known, "project") if obj else ()

    def save_model(
        self,
        request: HttpRequest,
        obj: ApiKey,
        form: Any,
        change: bool,
    ) -> None:
        """Make a new key and show it, or store a changed one."""
        if change:
            settings: Any = {name: form.cleaned_data[name] for name in form.changed_data}
            change_key(obj, settings)
            return
        key, plain = make_key(obj.project, obj.scopes, name=obj.name, expires_at=obj.expires_at)
        obj.pk, obj.prefix, obj.digest = key.pk, key.prefix, key.digest
        say_once(request, "The API key", plain)

    @admin.action(description="Revoke the selected keys", permissions=["change"])
    def revoke(self, request: HttpRequest, keys: QuerySet[ApiKey]) -> None:
        """End the keys at once."""
        count = sum(revoke(key) for key in keys)
        messages.success(request, f"{count} of the selected keys revoked.")

    @admin.display(description="key")
    def prefix_shown(self, key: ApiKey) -> str:
        """The key's beginning."""
        return f"{key.prefix}…"

    @admin.display(description="scopes")
    def scopes_shown(self, key: ApiKey) -> str:
        """The scopes in a line."""
        return ", ".join(key.scopes)

    @display(
        description="state", label={"valid": "success", "revoked": "danger", "expired": "danger"}
    )  # type: ignore[untyped-decorator]
    def state(self, key: ApiKey) -> str:
        """Whether requests with the key are answered."""
        if key.revoked_at:
            return "revoked"
        return "expired" if has_ended(key) else "valid"


@admin.register(EventType)
class EventTypeAdmin(Admin):
    """The catalogue."""

    form = EventTypeForm
    list_display = ("name", "project", "description", "is_archived")
    list_filter = (ByProject, "is_archived")
    list_select_related = ("project",)
    search_fields = ("name",)

    def get_readonly_fields(self, _request: HttpRequest, obj: Any = None) -> tuple[Any, ...]:
        """Keep the name: history and subscriptions use it."""
        return ("project", "name") if obj else ()

    def save_model(self, _request: HttpRequest, obj: EventType, form: Any, _change: bool) -> None:
        """Make the event type or change it, as the API does."""
        obj.pk = form.store().pk

    def delete_model(self, _request: HttpRequest, obj: EventType) -> None:
        """Delete it; what was published keeps its name."""
        delete_event_type(obj)

    def delete_queryset(self, _request: HttpRequest, queryset: QuerySet[EventType]) -> None:
        """Delete them, one by one."""
        for event_type in queryset:
            delete_event_type(event_type)


@admin.register(SigningSecret)
class SigningSecretAdmin(ReadOnlyAdmin):
    """Which subscription, or project, has secrets since when; never what they are."""

    list_display = ("__str__", "subscription", "project", CREATED, moment("expires_at", "expires"))
    list_select_related = ("subscription", "project")
    fields = ("subscription", "project", CREATED, moment("expires_at", "expires"))


class ByAction(admin.SimpleListFilter):
    """One action's entries."""

    title = "action"
    parameter_name = "action"

    def lookups(self, _request: HttpRequest, _admin: Any) -> Iterable[tuple[str, str]]:
        """List the actions."""
        return [(action.value, action.value) for action in Action]

    def queryset(self, _request: HttpRequest, rows: QuerySet[AuditEntry]) -> QuerySet[AuditEntry]:
        """Keep the action's."""
        return rows.filter(action=self.value()) if self.value() else rows


@admin.register(AuditEntry)
class AuditEntryAdmin(ReadOnlyAdmin):
    """The audit log."""

    list_display = (AT, "action", "actor_shown", "target_shown", "project_shown", "address")
    list_filter = (ByTime, ByProject, ByAction)
    ordering = ("-id",)
    search_fields = ("target_id",)
    search_help_text = "A target (sub_…, dlv_…), an actor's id or name, or a request's id; in full"
    fields = ("public_id", AT, "action", "actor_shown", "target_shown", "project_shown",
              "before_shown", "after_shown", "address", "request_id")  # fmt: skip

    def get_queryset(self, request: HttpRequest) -> QuerySet[AuditEntry]:
        """Read projects apart: an entry's may be gone."""
        entries: QuerySet[AuditEntry] = super().get_queryset(request)
        return entries.prefetch_related("project")

    def get_search_results(
        self, _request: HttpRequest, queryset: QuerySet[AuditEntry], search_term: str
    ) -> tuple[QuerySet[AuditEntry], bool]:
        """Find what is named in full."""
        term = search_term.strip()
        if not term:
            return queryset, False
        if (identifier := from_public("aud", term)) is not None:
            return queryset.filter(id=identifier), False
        columns = ("target_id", "actor_id", "actor_label", "request_id")
        return queryset.filter(Q.create([(name, term) for name in columns], connector=Q.OR)), False

    @admin.display(description="id")
    def public_id(self, entry: AuditEntry) -> str:
        """The id as the API writes it."""
        return to_public("aud", entry.id)

    @admin.display(description="actor")
    def actor_shown(self, entry: AuditEntry) -> str:
        """Who, in words."""
        return " ".join(filter(None, [entry.actor_kind, entry.actor_label or entry.actor_id]))

    @admin.display(description="target")
    def target_shown(self, entry: AuditEntry) -> str:
        """What it was done to."""
        return f"{entry.target_kind} {entry.target_id}"

    @admin.display(description="project")
    def project_shown(self, entry: AuditEntry) -> str:
        """Whose it is, if it is still there."""
        if entry.project is None and entry.project_id is not None:
            return f"(gone: {entry.project_id})"
        return str(entry.project or "-")

    @admin.display(description="before")
    def before_shown(self, entry: AuditEntry) -> SafeString | str:
        """What it was."""
        return _as_json(entry.before)

    @admin.display(description="after")
    def after_shown(self, entry: AuditEntry) -> SafeString | str:
        """What it became."""
        return _as_json(entry.after)


def _as_json(value: object) -> SafeString | str:
    return "-" if value is None else as_block(json.dumps(value, indent=2, ensure_ascii=False))
