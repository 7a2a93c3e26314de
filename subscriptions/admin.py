"""Admin pages of projects, members, keys, event types and signing secrets.

The page of subscriptions is in `deliveries.subscription_admin`, since tests are deliveries. No page
shows a secret: a key once, when it is made.
"""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.forms import ModelForm, MultipleChoiceField
from django.http import HttpRequest
from django.utils import timezone
from unfold.decorators import display
from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget

from subscriptions.admin_base import (
    Admin,
    ByProject,
    ReadOnlyAdmin,
    TabularReadOnly,
    moment,
    say_once,
)
from subscriptions.api_keys import ALL_SCOPES, make_key
from subscriptions.models import ApiKey, EventType, Member, Project, SigningSecret

CREATED = moment("created_at", "created")
LAST_USED = moment("last_used_at", "last used")


class MemberInline(TabularReadOnly):
    """A project's members, on its page."""

    model = Member
    fields = ("user", "role")


@admin.register(Project)
class ProjectAdmin(Admin):
    """Projects; a project with history is not deleted."""

    list_display = ("name", "slug", "is_https_only", "failure_limit", CREATED)
    search_fields = ("name", "slug")
    prepopulated_fields = {"slug": ("name",)}
    readonly_fields = (CREATED,)
    inlines = (MemberInline,)

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
            super().save_model(request, obj, form, change)
            return
        key, plain = make_key(obj.project, obj.scopes, name=obj.name, expires_at=obj.expires_at)
        obj.pk, obj.prefix, obj.digest = key.pk, key.prefix, key.digest
        say_once(request, "The API key", plain)

    @admin.action(description="Revoke the selected keys", permissions=["change"])
    def revoke(self, request: HttpRequest, keys: QuerySet[ApiKey]) -> None:
        """End the keys at once."""
        count = keys.filter(revoked_at=None).update(revoked_at=timezone.now())
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
