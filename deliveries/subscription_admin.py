"""The admin page of subscriptions: their health, a test whose result is shown, on and off.

Here and not in `subscriptions`, because a test is a delivery and switching off cancels some.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from unfold.dataclasses import ActionDialog
from unfold.decorators import action, display
from unfold.enums import ActionVariant
from unfold.forms import BaseDialogForm
from unfold.widgets import UnfoldAdminTextInputWidget

from deliveries.admin_tests import send_and_say
from deliveries.lifecycle import switching_off
from subscriptions.admin_base import (
    Admin,
    ByProject,
    TabularReadOnly,
    moment,
    say_once,
    uuid_or_none,
)
from subscriptions.admin_forms import SubscriptionForm
from subscriptions.deactivation import reactivate
from subscriptions.ids import from_public, to_public
from subscriptions.models import SigningSecret, Subscription
from subscriptions.wire_formats import default_test_event_type

_TESTS_AT_ONCE = 20
"""Of a list: whoever selects more wants to publish an event."""

LAST_ERROR = moment("last_error_at", "last error")

_STATES = {"active": "success", "inactive": "danger", "deleted": "warning"}


class ByState(admin.SimpleListFilter):
    """Active, inactive or deleted; what is deleted is left out unless asked for."""

    title = "state"
    parameter_name = "state"

    def lookups(self, _request: HttpRequest, _admin: Any) -> list[tuple[str, str]]:
        """List the states."""
        return [(state, state.capitalize()) for state in _STATES]

    def queryset(
        self, _request: HttpRequest, rows: QuerySet[Subscription]
    ) -> QuerySet[Subscription]:
        """Keep the state's."""
        match self.value():
            case "deleted":
                return rows.filter(deleted_at__isnull=False)
            case "active" | "inactive" as state:
                return rows.filter(deleted_at=None, is_active=state == "active")
        return rows.filter(deleted_at=None)


class SecretInline(TabularReadOnly):
    """Since when a subscription has which secrets; never what they are."""

    model = SigningSecret
    fields = (moment("created_at", "created"), moment("expires_at", "expires"))


class TestForm(BaseDialogForm):  # type: ignore[misc]  # unfold ships no types
    """Which event a test is."""

    event_type = forms.CharField(
        label="Event type",
        required=False,
        max_length=128,
        widget=UnfoldAdminTextInputWidget(),
    )

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        subscription = _find(self.object_id)
        if subscription is not None:
            usual = default_test_event_type(subscription.wire_format)
            self.fields["event_type"].widget.attrs["placeholder"] = usual


@admin.register(Subscription)
class SubscriptionAdmin(Admin):
    """Subscriptions; deleting is soft, by its own action, since history refers to them."""

    form = SubscriptionForm
    list_display = ("url_shown", "project", "event_types_shown", "wire_format", "state",
                    "failure_streak", "last_error")  # fmt: skip
    list_filter = (ByState, ByProject, "wire_format")
    list_select_related = ("project",)
    search_fields = ("url", "description")
    ordering = ("-id",)
    inlines = (SecretInline,)
    actions = ("send_test_to_selected", "activate_selected", "deactivate_selected",
               "delete_selected_softly")  # fmt: skip
    actions_detail = (
        "send_test",
        "show_deliveries",
        {"title": "More", "items": ["activate", "deactivate", "delete"]},
    )
    autocomplete_fields = ("project",)

    _health = ("state", "failure_streak", moment("deactivated_at", "deactivated"),
               "deactivation_reason", "last_error", LAST_ERROR, "public_id",
               moment("created_at", "created"), moment("updated_at", "changed"))  # fmt: skip
    _wire = ("wire_format", "repsona_fields", "signature_schemes", "uses_default_secret",
             "custom_headers")  # fmt: skip
    add_fieldsets = (
        (None, {"fields": ("project", "url", "description", "metadata", "event_types")}),
        ("On the wire", {"fields": (*_wire, "secret")}),
        ("Failures", {"fields": ("retry_schedule",)}),
    )
    fieldsets = (
        (None, {"fields": ("project", "url", "description", "metadata", "event_types")}),
        ("On the wire", {"fields": _wire}),
        ("Failures", {"fields": ("retry_schedule",)}),
        ("Health", {"fields": _health}),
    )

    # ---- The form ---------------------------------------------------------------------------

    def has_delete_permission(self, _request: HttpRequest, _obj: Any = None) -> bool:
        """Say no to Django's own way, which would take the row."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Leave deleted subscriptions as they are."""
        is_deleted = isinstance(obj, Subscription) and obj.deleted_at is not None
        allowed: bool = super().has_change_permission(request, obj)
        return allowed and not is_deleted

    def get_readonly_fields(
        self, _request: HttpRequest, obj: Subscription | None = None
    ) -> tuple[Any, ...]:
        """Keep the project of a subscription that exists."""
        return (*self._health, "project") if obj else ()

    def get_inlines(
        self, _request: HttpRequest, obj: Subscription | None
    ) -> tuple[type[SecretInline], ...]:
        """Show secrets where there are some."""
        return self.inlines if obj else ()

    def save_model(
        self, request: HttpRequest, obj: Subscription, form: SubscriptionForm, _change: bool
    ) -> None:
        """Create or change through the same use cases as the API; show a new secret once."""
        created = form.store()
        if created is None:
            obj.refresh_from_db()
            return
        obj.pk = created.subscription.pk
        obj.refresh_from_db()
        if created.secret and not form.cleaned_data["secret"]:
            say_once(request, "The signing secret", created.secret)

    # ---- Columns ----------------------------------------------------------------------------

    @admin.display(description="URL", ordering="url")
    def url_shown(self, subscription: Subscription) -> str:
        """The URL, under the name it goes by."""
        return subscription.url

    @display(description="state", label=_STATES)  # type: ignore[untyped-decorator]
    def state(self, subscription: Subscription) -> str:
        """Whether events go there."""
        if subscription.deleted_at:
            return "deleted"
        return "active" if subscription.is_active else "inactive"

    @admin.display(description="event types")
    def event_types_shown(self, subscription: Subscription) -> str:
        """The filters in a line."""
        return ", ".join(subscription.event_types)

    @admin.display(description="id")
    def public_id(self, subscription: Subscription) -> str:
        """The id as the API writes it."""
        return to_public("sub", subscription.id)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Subscription], search_term: str
    ) -> tuple[QuerySet[Subscription], bool]:
        """Find by a part of URL or description, or by the API's id."""
        identifier = from_public("sub", search_term.strip())
        if identifier is not None:
            return queryset.filter(id=identifier), False
        found: tuple[QuerySet[Subscription], bool] = super().get_search_results(
            request, queryset, search_term
        )
        return found

    # ---- Actions of one subscription: a dialog first, since a link must not change anything ----

    def get_actions_detail(self, request: HttpRequest, object_id: str) -> list[Any]:
        """Offer what makes sense in the subscription's state."""
        useless = _useless_actions(_find(object_id))
        offered = super().get_actions_detail(request, object_id)
        return [entry for entry in offered if entry.path not in useless]

    @action(
        description="Send test",
        url_path="send-test",
        icon="send",
        permissions=["change"],
        variant=ActionVariant.PRIMARY,
        dialog=ActionDialog(
            title="Send a test event",
            description="It is sent whatever the filter and the state, and does not count.",
            form_class=TestForm,
            form_submit_text="Send",
        ),
    )  # type: ignore[untyped-decorator]
    def send_test(self, request: HttpRequest, form: TestForm, object_id: str) -> HttpResponse:
        """Send a test and show what became of it."""
        subscription = get_object_or_404(Subscription, id=uuid_or_none(object_id), deleted_at=None)
        event_type = form.cleaned_data["event_type"] or None
        send_and_say(request, [subscription], event_type=event_type)
        return self._back_to(subscription)

    @action(description="Deliveries", url_path="deliveries", icon="list", permissions=["view"])  # type: ignore[untyped-decorator]
    def show_deliveries(self, _request: HttpRequest, object_id: str) -> HttpResponse:
        """Go to the list of its deliveries."""
        return redirect(
            reverse("admin:deliveries_delivery_changelist", query={"subscription": object_id})
        )

    @action(
        description="Activate",
        url_path="activate",
        icon="play_arrow",
        permissions=["change"],
        dialog=ActionDialog(
            title="Activate the subscription?",
            description="The failure streak begins at zero. What was cancelled stays cancelled.",
            form_class=BaseDialogForm,
            form_submit_text="Activate",
        ),
    )  # type: ignore[untyped-decorator]
    def activate(self, request: HttpRequest, _form: Any, object_id: str) -> HttpResponse:
        """Switch it on."""
        return self._do(request, object_id, reactivate, "activated")

    @action(
        description="Deactivate",
        url_path="deactivate",
        icon="pause",
        permissions=["change"],
        dialog=ActionDialog(
            title="Deactivate the subscription?",
            description="Deliveries that wait are cancelled.",
            form_class=BaseDialogForm,
            form_submit_text="Deactivate",
        ),
    )  # type: ignore[untyped-decorator]
    def deactivate(self, request: HttpRequest, _form: Any, object_id: str) -> HttpResponse:
        """Switch it off."""
        return self._do(request, object_id, switching_off.switch_off, "deactivated")

    @action(
        description="Delete",
        url_path="delete-softly",
        icon="delete",
        permissions=["change"],
        variant=ActionVariant.DANGER,
        dialog=ActionDialog(
            title="Delete the subscription?",
            description="Deliveries that wait are cancelled. Its history stays.",
            form_class=BaseDialogForm,
            form_submit_text="Delete",
        ),
    )  # type: ignore[untyped-decorator]
    def delete(self, request: HttpRequest, _form: Any, object_id: str) -> HttpResponse:
        """Delete it softly."""
        return self._do(request, object_id, switching_off.delete, "deleted")

    def _do(
        self,
        request: HttpRequest,
        object_id: str,
        change: Callable[[Subscription], bool],
        done: str,
    ) -> HttpResponse:
        subscription = get_object_or_404(Subscription, id=uuid_or_none(object_id))
        if change(subscription):
            self.log_change(request, subscription, f"{done.capitalize()}.")
            messages.success(request, f"The subscription was {done}.")
        else:
            messages.warning(request, f"Nothing changed: it could not be {done}.")
        return self._back_to(subscription)

    def _back_to(self, subscription: Subscription) -> HttpResponse:
        page = reverse("admin:subscriptions_subscription_change", args=[subscription.id])
        return HttpResponse(headers={"HX-Redirect": page})  # the dialog is posted by htmx

    # ---- Actions of selected subscriptions --------------------------------------------------

    @admin.action(description="Send a test", permissions=["change"])
    def send_test_to_selected(self, request: HttpRequest, rows: QuerySet[Subscription]) -> None:
        """Send tests and show what became of them."""
        chosen = list(rows.filter(deleted_at=None).select_related("project")[:_TESTS_AT_ONCE])
        send_and_say(request, chosen)

    @admin.action(description="Activate", permissions=["change"])
    def activate_selected(self, request: HttpRequest, rows: QuerySet[Subscription]) -> None:
        """Switch them on."""
        self._do_all(request, rows, reactivate, "activated")

    @admin.action(description="Deactivate", permissions=["change"])
    def deactivate_selected(self, request: HttpRequest, rows: QuerySet[Subscription]) -> None:
        """Switch them off."""
        self._do_all(request, rows, switching_off.switch_off, "deactivated")

    @admin.action(description="Delete (history stays)", permissions=["change"])
    def delete_selected_softly(self, request: HttpRequest, rows: QuerySet[Subscription]) -> None:
        """Delete them softly."""
        self._do_all(request, rows, switching_off.delete, "deleted")

    def _do_all(
        self,
        request: HttpRequest,
        rows: QuerySet[Subscription],
        change: Callable[[Subscription], bool],
        done: str,
    ) -> None:
        changed = [subscription for subscription in rows if change(subscription)]
        for subscription in changed:
            self.log_change(request, subscription, f"{done.capitalize()}.")
        messages.success(request, f"{len(changed)} of the selected subscriptions {done}.")


def _find(object_id: str | None) -> Subscription | None:
    identifier = uuid_or_none(object_id)
    return Subscription.objects.filter(id=identifier).first() if identifier else None


def _useless_actions(subscription: Subscription | None) -> set[str]:
    """Return the `url_path`s of what would do nothing."""
    if subscription is None or subscription.deleted_at:
        return {"send-test", "activate", "deactivate", "delete-softly"}
    return {"activate"} if subscription.is_active else {"deactivate"}
