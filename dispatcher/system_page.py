"""The operator's page of the installation, in the admin: does everything work, and how full is it?

For staff who may see workers and deliveries. It reads; the one thing to do is an audit of
yesterday and today, under the same limits as the API's.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db import DatabaseError, InterfaceError
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from deliveries.auditing.turns import audit_in_turn
from deliveries.costly_requests import Busy
from dispatcher.system_parts import COUNTED_AT_MOST, all_parts, keep_audit

PERMISSIONS: Final = ("deliveries.view_worker", "deliveries.view_delivery")


def may_see(request: HttpRequest) -> bool:
    """Say whether this is somebody for whom the page is."""
    return request.user.has_perms(PERMISSIONS)


@require_safe
def system(request: HttpRequest) -> HttpResponse:
    """`/admin/system/`: what the installation is and does."""
    _refuse_others(request)
    context = {
        **admin.site.each_context(request),
        "title": _("System"),
        "parts": all_parts(),
        "counted_at_most": COUNTED_AT_MOST,
    }
    return TemplateResponse(request, "admin/system.html", context)


@require_POST
def run_audit(request: HttpRequest) -> HttpResponse:
    """`/admin/system/audit`: count yesterday's and today's events and deliveries."""
    _refuse_others(request)
    yesterday = timezone.now().date() - timedelta(days=1)
    try:
        kept = keep_audit(audit_in_turn(None, since=yesterday))
    except Busy as busy:
        messages.warning(request, str(busy))
    except (DatabaseError, InterfaceError):
        messages.error(request, _("The database did not answer in time: nothing was audited."))
    else:
        _say_result(request, kept)
    return HttpResponseRedirect(reverse("system-page"))


def _say_result(request: HttpRequest, kept: dict[str, Any]) -> None:
    if not kept["is_balanced"]:
        messages.error(request, _("Not everything adds up: see the audit below."))
    elif kept["is_complete"]:
        messages.success(request, _("Everything adds up."))
    else:
        messages.warning(request, _("There was no time for all of it. What was counted adds up."))


def navigation(request: HttpRequest) -> list[dict[str, Any]]:
    """Return what the admin's side bar lists: this page, then all pages of rows, by app."""
    link = reverse("system-page")
    page = {"title": _("System"), "icon": "monitor_heart", "link": link, "permission": may_see}
    return [{"items": [page]}, *map(_group, admin.site.get_app_list(request))]


def _group(app: dict[str, Any]) -> dict[str, Any]:
    entries = [
        {"title": row["name"], "link": row["admin_url"]}
        for row in app["models"]
        if row["admin_url"]  # none for who may only add
    ]
    return {"title": app["name"], "separator": True, "items": entries}


def _refuse_others(request: HttpRequest) -> None:
    if not may_see(request):
        raise PermissionDenied
