"""Admin pages of projects, members, keys, event types, signing secrets and the audit log.

The page of subscriptions is in `deliveries.subscription_admin`, since tests are deliveries. No page
shows a secret: a key once, when it is made.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from django.contrib import admin, messages
from django.db.models import Q, QuerySet
from django.forms import ModelForm, MultipleChoiceField
from django.http import HttpRequest
from django.utils import timezone
from django.utils.safestring import SafeString
from unfold.decorators import display
from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget

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
from subscriptions.api_keys import ALL_SCOPES, audited, make_key, revoke
from subscriptions.audit_log import Action, record_change, target_of
from subscriptions.audited_admin import Audited
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
class ProjectAdmin(Audited, Admin):
    """Projects; a project with history is not deleted."""

    list_display = ("name", "slug", "is_https_only", "failure_limit", CREATED)
    search_fields = ("name", "slug")
    prepopulated_fields = {"slug": ("name",)}
    readonly_fields = (CREATED,)
    inlines = (MemberInline,)
    audited_as = "project"
    audited_fields = ("name", "is_https_only", "failure_limit", "is_catalogue_strict")

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
class MemberAdmin(Audited, Admin):
    """Who may do what in which project."""

    list_display = ("user", "project", "role")
    list_filter = (ByProject, "role")
    list_select_related = ("user", "project")
    search_fields = ("user__username", "user__email")
    audited_as = "member"
    audited_fields = ("role",)


class ApiKeyForm(ModelForm[ApiKey]):
    """What can be chosen of a key; the key itself is made."""

    scopes = MultipleChoiceField(
        choices=ApiKey.Scope.choices,
        initial=ALL_SCOPES,
        widget=UnfoldAdminCheckboxSelectMultipleWidget,
    )

    class Meta:
        model = ApiKey
        fields = ("project", "name", "scopes", "expires_at")


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
            before = audited(ApiKey.objects.get(pk=obj.pk))
            super().save_model(request, obj, form, change)
            after = audited(obj)
            record_change(Action.API_KEY_CHANGED, target_of(obj), before=before, after=after)
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
        return "expired" if key.expires_at and key.expires_at <= timezone.now() else "valid"


@admin.register(EventType)
class EventTypeAdmin(Admin):
    """The catalogue."""

    list_display = ("name", "project", "description")
    list_filter = (ByProject,)
    list_select_related = ("project",)
    search_fields = ("name",)


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
