"""Admin pages of what happened: events, deliveries with their attempts, idempotency keys. To read.

The only thing to do is to redeliver. Subscriptions have their page in `subscription_admin`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.dataclasses import ActionDialog
from unfold.decorators import action, display
from unfold.enums import ActionVariant
from unfold.forms import BaseDialogForm

from deliveries.history import deliveries as history
from deliveries.lifecycle.redelivery import NotRedeliverable, redeliver
from deliveries.models import Attempt, Delivery, Event, IdempotencyKey
from deliveries.sending.transport import Outcome
from deliveries.subscription_admin import SubscriptionAdmin
from subscriptions.admin_base import (
    CHOICES_SHOWN,
    ByProject,
    ByTime,
    ReadOnlyAdmin,
    StackedReadOnly,
    as_block,
    moment,
    uuid_or_none,
)
from subscriptions.ids import from_public, to_public
from subscriptions.models import Subscription

__all__ = ["SubscriptionAdmin"]

CREATED = moment("created_at", "created")
STARTED = moment("started_at", "started")

_REDELIVERIES_AT_ONCE = 100
"""Of a list; each is a transaction of its own."""

_STATUS_COLOURS = {
    "pending": "info",
    "sending": "info",
    "succeeded": "success",
    "failed": "danger",
    "cancelled": "warning",
}
_OUTCOME_COLOURS = {
    outcome.value: "success" if outcome is Outcome.SUCCEEDED else "danger" for outcome in Outcome
}


class BySubscription(admin.SimpleListFilter):
    """One subscription's rows: of the chosen project, or named by its page's link."""

    title = "subscription"
    parameter_name = "subscription"

    def lookups(self, request: HttpRequest, _admin: Any) -> Iterable[tuple[str, str]]:
        """List the first subscriptions of the chosen project."""
        if project := request.GET.get(ByProject.parameter_name):
            rows = Subscription.objects.filter(project__slug=project)
        elif chosen := uuid_or_none(request.GET.get(self.parameter_name)):
            rows = Subscription.objects.filter(id=chosen)
        else:
            return []
        return [(str(row.id), row.url) for row in rows.order_by("id")[:CHOICES_SHOWN]]

    def has_output(self) -> bool:
        """Say that the filter applies, whatever it lists."""
        return bool(self.lookup_choices)

    def queryset(self, _request: HttpRequest, rows: QuerySet[Delivery]) -> QuerySet[Delivery]:
        """Keep the subscription's."""
        chosen = uuid_or_none(self.value())
        return rows.filter(subscription_id=chosen) if chosen else rows


class ByStatus(admin.SimpleListFilter):
    """Where deliveries are, by the words of the API."""

    title = "status"
    parameter_name = "status"

    def lookups(self, _request: HttpRequest, _admin: Any) -> Iterable[tuple[str, str]]:
        """List the states."""
        return [(status, status) for status in Delivery.Status.values]

    def queryset(self, _request: HttpRequest, rows: QuerySet[Delivery]) -> QuerySet[Delivery]:
        """Keep the state's."""
        return rows.filter(status=self.value()) if self.value() else rows


class ByOutcome(admin.SimpleListFilter):
    """How the latest attempt ended."""

    title = "outcome"
    parameter_name = "outcome"

    def lookups(self, _request: HttpRequest, _admin: Any) -> Iterable[tuple[str, str]]:
        """List the outcomes."""
        return [(outcome.value, outcome.value) for outcome in Outcome]

    def queryset(self, _request: HttpRequest, rows: QuerySet[Delivery]) -> QuerySet[Delivery]:
        """Keep the outcome's."""
        return rows.filter(last_outcome=self.value()) if self.value() else rows


class AttemptInline(StackedReadOnly):
    """Each attempt: what was sent, what came back."""

    model = Attempt
    fields = ("summary", "error_shown", "timing", "request_shown", "response_shown")
    ordering = ("number",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Attempt]:
        """Read delivery and event once for all attempts; a join would miss pruned events."""
        attempts: QuerySet[Attempt] = super().get_queryset(request)
        return attempts.prefetch_related("delivery__event")

    @admin.display(description="outcome")
    def summary(self, attempt: Attempt) -> str:
        """Outcome, status and time in a line."""
        status = f", status {attempt.status_code}" if attempt.status_code else ""
        started = (
            f"{attempt.started_at:%Y-%m-%d %H:%M:%S}.{attempt.started_at.microsecond // 1000:03}"
        )
        return f"{attempt.outcome}{status}, {attempt.duration_ms} ms, at {started} UTC"

    @admin.display(description="error")
    def error_shown(self, attempt: Attempt) -> str:
        """What went wrong, in words."""
        return attempt.error or "-"

    @admin.display(description="phases")
    def timing(self, attempt: Attempt) -> str:
        """What the time went into, as far as it is known."""
        phases = {
            "DNS": attempt.dns_ms,
            "connect": attempt.connect_ms,
            "TLS": attempt.tls_ms,
            "first byte": attempt.first_byte_ms,
        }
        known = [f"{name} {ms} ms" for name, ms in phases.items() if ms is not None]
        address = [f"address {attempt.remote_address}"] if attempt.remote_address else []
        return ", ".join(known + address) or "-"

    @admin.display(description="request")
    def request_shown(self, attempt: Attempt) -> SafeString:
        """The request as it went out."""
        try:
            event = attempt.delivery.event
        except Event.DoesNotExist:
            event = None
        body = history.request_body_of(attempt, event)
        shown = "(the body is no longer known)" if body is None else body
        return as_block(f"POST {attempt.request_url}\n{attempt.request_headers}\n\n{shown}")

    @admin.display(description="response")
    def response_shown(self, attempt: Attempt) -> SafeString | str:
        """The answer as it came, as far as it was kept."""
        block = bytes(attempt.response_headers).decode(errors="replace").strip()
        body = history.response_body_of(attempt)
        if not block and not body.text:
            return "-"
        note = "(base64) " if body.encoding == "base64" else ""
        cut = "\n\n(cut here)" if attempt.is_truncated else ""
        return as_block(f"{block}\n\n{note}{body.text}{cut}")


class HistoryAdmin(ReadOnlyAdmin):
    """A page of a table that grows by the second: newest first, found by id."""

    ordering = ("-id",)
    search_fields = ("id",)
    search_help_text = "An id, such as dlv_0192… or evt_0192…"

    def get_search_results(
        self, _request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Find by id; everything else would read the whole table."""
        term = search_term.strip()
        if not term:
            return queryset, False
        for prefix, column in self.found_by.items():
            if (identifier := from_public(prefix, term)) is not None:
                return queryset.filter(**{column: identifier}), False
        identifier = uuid_or_none(term)
        return (queryset.filter(id=identifier) if identifier else queryset.none()), False

    found_by: dict[str, str]
    """Prefix of an id → the column that holds it."""

    @admin.display(description="test")
    def kind(self, row: Event | Delivery) -> str:
        """Whether it is a test; the rest needs no mark."""
        return "test" if row.is_test else "-"


@admin.register(Event)
class EventAdmin(HistoryAdmin):
    """Events and their payloads."""

    list_display = (CREATED, "type", "project", "matched_count", "kind")
    list_filter = (ByTime, ByProject)
    list_select_related = ("project",)
    fields = ("public_id", "project", "type", CREATED, "is_test", "idempotency_key",
              "matched_count", "deliveries_shown", "data_shown")  # fmt: skip
    found_by = {"evt": "id"}

    @admin.display(description="id")
    def public_id(self, event: Event) -> str:
        """The id as the API and the receivers see it."""
        return to_public("evt", event.id)

    @admin.display(description="data")
    def data_shown(self, event: Event) -> SafeString:
        """The payload as it was given."""
        return as_block(event.data)

    @admin.display(description="deliveries")
    def deliveries_shown(self, event: Event) -> SafeString:
        """A link to them."""
        page = reverse("admin:deliveries_delivery_changelist", query={"q": self.public_id(event)})
        return _link(page, "All of them")


@admin.register(Delivery)
class DeliveryAdmin(HistoryAdmin):
    """Deliveries and their attempts."""

    list_display = (CREATED, "event_type", "status_shown", "outcome_shown",
                    "subscription_shown", "project", "kind")  # fmt: skip
    list_filter = (ByTime, ByProject, BySubscription, ByStatus, ByOutcome)
    list_select_related = ("project", "subscription")
    inlines = (AttemptInline,)
    actions = ("redeliver_selected",)
    actions_detail = ("redeliver",)
    found_by = {"dlv": "id", "evt": "event_id"}
    fieldsets = (
        (None, {"fields": ("public_id", "event_shown", "subscription_shown", "project")}),
        ("State", {"fields": ("status_shown", "end_reason", "attempt_count", "tries_used",
                              moment("next_attempt_at", "due, or leased until"), CREATED,
                              moment("finished_at", "finished"),
                              moment("redelivered_at", "redelivered"), "is_test")}),
    )  # fmt: skip

    def has_redeliver_permission(self, request: HttpRequest, _obj: Any = None) -> bool:
        """Say whether the user may, although the page is for reading."""
        return request.user.has_perm("deliveries.change_delivery")

    @admin.display(description="id")
    def public_id(self, delivery: Delivery) -> str:
        """The id as the API writes it."""
        return to_public("dlv", delivery.id)

    @display(description="status", label=_STATUS_COLOURS)  # type: ignore[untyped-decorator]
    def status_shown(self, delivery: Delivery) -> str:
        """The state, coloured."""
        return delivery.status

    @admin.display(description="latest outcome")
    def outcome_shown(self, delivery: Delivery) -> str:
        """How the latest attempt ended, with the status code where there was one."""
        return f"{delivery.last_outcome} {delivery.last_status_code or ''}".strip() or "-"

    @admin.display(description="subscription")
    def subscription_shown(self, delivery: Delivery) -> SafeString:
        """A link to where it goes."""
        page = reverse("admin:subscriptions_subscription_change", args=[delivery.subscription_id])
        return _link(page, delivery.subscription.url)

    @admin.display(description="event")
    def event_shown(self, delivery: Delivery) -> SafeString:
        """A link to what it carries."""
        page = reverse("admin:deliveries_event_change", args=[delivery.event_id])
        return _link(page, f"{delivery.event_type} ({to_public('evt', delivery.event_id)})")

    @action(
        description="Redeliver",
        url_path="redeliver",
        icon="replay",
        permissions=["redeliver"],
        variant=ActionVariant.PRIMARY,
        dialog=ActionDialog(
            title="Send it again?",
            description="The same event with the same message id, once.",
            form_class=BaseDialogForm,
            form_submit_text="Redeliver",
        ),
    )  # type: ignore[untyped-decorator]
    def redeliver(self, request: HttpRequest, _form: Any, object_id: str) -> HttpResponse:
        """Make it due now."""
        delivery = get_object_or_404(Delivery, id=uuid_or_none(object_id))
        try:
            redeliver(delivery)
        except NotRedeliverable as refusal:
            messages.error(request, str(refusal))
        else:
            messages.success(request, "It is due now: reload to see what becomes of it.")
        page = reverse("admin:deliveries_delivery_change", args=[delivery.id])
        return HttpResponse(headers={"HX-Redirect": page})  # the dialog is posted by htmx

    @admin.action(description="Redeliver", permissions=["redeliver"])
    def redeliver_selected(self, request: HttpRequest, rows: QuerySet[Delivery]) -> None:
        """Make the selected ones due now."""
        refusals: list[str] = []
        deliveries = list(rows[:_REDELIVERIES_AT_ONCE])
        for delivery in deliveries:
            try:
                redeliver(delivery)
            except NotRedeliverable as refusal:
                refusals.append(str(refusal))
        count = len(deliveries) - len(refusals)
        messages.success(request, f"{count} of {len(deliveries)} deliveries are due now.")
        for sentence in sorted(set(refusals)):
            messages.warning(request, f"{refusals.count(sentence)} not: {sentence}")


@admin.register(Attempt)
class AttemptAdmin(HistoryAdmin):
    """Attempts across deliveries: what happened at a certain time."""

    list_display = (STARTED, "number", "outcome_shown", "status_code", "duration_ms",
                    "request_url", "delivery_shown")  # fmt: skip
    list_filter = (ByTime,)
    fields = ("delivery_shown", "number", STARTED, "outcome", "status_code", "error",
              "duration_ms", "remote_address", "request_url")  # fmt: skip
    found_by = {"dlv": "delivery_id"}

    @display(description="outcome", label=_OUTCOME_COLOURS)  # type: ignore[untyped-decorator]
    def outcome_shown(self, attempt: Attempt) -> str:
        """How it ended, coloured."""
        return attempt.outcome

    @admin.display(description="delivery")
    def delivery_shown(self, attempt: Attempt) -> SafeString:
        """A link to all of the delivery's attempts."""
        page = reverse("admin:deliveries_delivery_change", args=[attempt.delivery_id])
        return _link(page, to_public("dlv", attempt.delivery_id))


@admin.register(IdempotencyKey)
class IdempotencyKeyAdmin(ReadOnlyAdmin):
    """Which key made which event."""

    list_display = ("key", "project", "event_shown", CREATED)
    list_filter = (ByProject,)
    list_select_related = ("project",)
    fields = ("project", "key", "event_shown", CREATED)

    @admin.display(description="event")
    def event_shown(self, key: IdempotencyKey) -> SafeString:
        """A link to it."""
        page = reverse("admin:deliveries_event_change", args=[key.event_id])
        return _link(page, to_public("evt", key.event_id))


def _link(page: str, text: str) -> SafeString:
    return format_html('<a href="{}" class="text-link">{}</a>', page, text)
