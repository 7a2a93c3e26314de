"""The pages with the form of a subscription, and the pieces that answer while it is filled in."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, ClassVar, Final
from urllib.parse import urlsplit

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _

from deliveries.costly_requests import Busy
from deliveries.lifecycle import switching_off
from deliveries.pages.subscription_form import SubscriptionForm, tag_of
from deliveries.pages.wire_preview import preview_of
from deliveries.url_check import Verdict, judge_url
from subscriptions.event_types import SEPARATORS
from subscriptions.field_errors import FieldError, FieldsRefused
from subscriptions.ids import to_public
from subscriptions.matching import EVERYTHING
from subscriptions.models import EventType, Subscription
from subscriptions.pages.form_once import new_form_id, once
from subscriptions.pages.project_page import EDITOR, ProjectPage
from subscriptions.pages.refusal_words import in_page_language
from subscriptions.rest.preconditions import ChangedMeanwhile, unchanged
from subscriptions.subscription_changes import SubscriptionGone, create_subscription

CATALOGUE_SHOWN: Final = 1000
"""Event types to pick from; further ones can be typed."""


class _FormPage(ProjectPage):
    """What creating and editing have in common."""

    template_name = "subscriptions/form.html"
    roles: ClassVar = {"GET": EDITOR, "POST": EDITOR}
    section = "subscriptions-page"

    def _subscription(self) -> Subscription | None:
        """Return what is edited; `None` for a new one, if the visitor may make one."""
        if "subscription" in self.kwargs:
            return self.find_subscription()
        if not self.may_subscribe:
            raise Http404
        return None

    def get(self, request: HttpRequest, **_path: str) -> HttpResponse:  # noqa: ARG002
        """Show the form."""
        return self._show(_form_of(self, self._subscription()))

    def post(self, request: HttpRequest, **_path: str) -> HttpResponse:
        """Store what was filled in, or show it again with what is wrong."""
        form = _form_of(self, self._subscription(), request.POST)
        if "preview" in request.POST:  # the button that browsers without scripts have
            return self._show(form)
        if form.is_valid():
            try:
                return self._done(self._store(form))
            except FieldsRefused as refusal:
                form.show(refusal)
            except SubscriptionGone:
                raise Http404 from None
            except ChangedMeanwhile:  # since it was read above
                form = _form_of(self, self._subscription(), request.POST)
        return self._show(form, HTTPStatus.UNPROCESSABLE_ENTITY)

    def _store(self, form: SubscriptionForm) -> Subscription:
        """Do it; raises `FieldsRefused`, `SubscriptionGone` or `ChangedMeanwhile`."""
        raise NotImplementedError

    def _done(self, subscription: Subscription) -> HttpResponse:
        return redirect("subscription-page", self.project.slug, to_public("sub", subscription.id))

    def _show(self, form: SubscriptionForm, status: int = HTTPStatus.OK) -> HttpResponse:
        catalogue = _catalogue(self)
        names = [name for name, _description in catalogue]
        sample = self.request.POST.get("sample", "")
        context = {
            "form": form,
            "form_id": new_form_id(),
            "subscription": form.subscription,
            "catalogue": catalogue,
            "wildcards": _wildcards(names),
            "sample": sample,
            "preview": preview_of(self.project, form, catalogue=names, sample=sample),
        }
        return self.show(self.template_name, context, status=status)


class NewSubscriptionPage(_FormPage):
    """`subscriptions/new`."""

    def _store(self, form: SubscriptionForm) -> Subscription:
        done = once(
            self,
            lambda: create_subscription(self.project, form.settings()).subscription,
            _id_of,
        )
        created, identifier = done
        if created is None:
            return self._made_before(identifier)
        said = _("The subscription was created. Its signing secret can be revealed on this page.")
        messages.success(self.request, said)
        return created

    def _made_before(self, identifier: str) -> Subscription:
        made = self.subscriptions.filter(id=identifier).first()
        if made is None:  # the form comes back as a new one, and can be sent
            message = _("This form was sent before, and its subscription was deleted since.")
            raise FieldsRefused([FieldError("", "sent_before", message)])
        messages.info(self.request, _("The form was sent twice: there is one subscription."))
        return made


def _id_of(subscription: Subscription) -> str:
    return str(subscription.id)


class SubscriptionEditPage(_FormPage):
    """`subscriptions/{id}/edit`."""

    def _store(self, form: SubscriptionForm) -> Subscription:
        assert form.subscription is not None  # noqa: S101  # the path names it
        rows = self.subscriptions.filter(id=form.subscription.id)
        with unchanged(rows, [form.tag], tag_of):
            changed = switching_off.change(form.subscription, form.settings())
        messages.success(self.request, _("The subscription was changed."))
        return changed


class WirePreview(ProjectPage):
    """`…/wire-preview`: the request that the form as it stands would give; stores nothing."""

    roles: ClassVar = {"POST": EDITOR}
    http_method_names = ["post"]

    def post(self, request: HttpRequest, **path: str) -> HttpResponse:
        """Show it, as a piece of the form."""
        subscription = self.find_subscription() if "subscription" in path else None
        preview = preview_of(
            self.project,
            _form_of(self, subscription, request.POST),
            catalogue=[name for name, _description in _catalogue(self)],
            sample=request.POST.get("sample", ""),
        )
        return render(request, "subscriptions/wire_preview.html", {"preview": preview})


class UrlVerdict(ProjectPage):
    """`subscriptions/url-verdict`: a POST, since URLs may hold credentials and logs show paths."""

    roles: ClassVar = {"POST": EDITOR}
    http_method_names = ["post"]

    def post(self, request: HttpRequest, **_path: str) -> HttpResponse:
        """Say what can be said of a URL without sending anything there, as a piece of the form."""
        url = request.POST.get("url", "").strip()
        context: dict[str, Any] = {"project": self.project, "wait_seconds": 0, "checked": None}
        if url:
            try:
                context |= _judged(self, url)
            except Busy as busy:
                context["wait_seconds"] = busy.wait_seconds
        return render(request, "subscriptions/url_verdict.html", context)


def _judged(page: ProjectPage, url: str) -> dict[str, Any]:
    checked = judge_url(page.project, url)
    return {
        "checked": checked,
        "sentence": in_page_language(checked.sentence),
        "is_name_found": checked.verdict in (Verdict.ALLOWED, Verdict.BLOCKED_ADDRESS),
        "is_plain": urlsplit(checked.url or "").scheme == "http",
        "is_other": checked.url not in (None, url),
    }


def _form_of(
    page: ProjectPage, subscription: Subscription | None, data: QueryDict | None = None
) -> SubscriptionForm:
    may_use = page.may_use_default_secret
    return SubscriptionForm(data, subscription=subscription, may_use_default_secret=may_use)


def _catalogue(page: ProjectPage) -> list[tuple[str, str]]:
    """Return names and descriptions of the event types that are still in use."""
    in_use = EventType.objects.filter(project=page.project, is_archived=False)
    return list(in_use.order_by("name").values_list("name", "description")[:CATALOGUE_SHOWN])


def _wildcards(names: list[str]) -> list[str]:
    """Return the filters that want several of these names."""
    counts: dict[str, int] = {EVERYTHING: len(names)}
    for name in names:
        for position, character in enumerate(name):
            if character in SEPARATORS:
                prefix = name[: position + 1] + EVERYTHING
                counts[prefix] = counts.get(prefix, 0) + 1
    return [prefix for prefix, count in counts.items() if count > 1 or prefix == EVERYTHING]
