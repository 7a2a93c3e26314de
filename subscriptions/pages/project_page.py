"""The base of every page of a project: who looks, what their role lets them do, and the frame.

Another's project is not found; a role that is too small is said, since its bearer knows of the
project. Subclasses name their template, the role of each method, and give their own context.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from http import HTTPStatus
from typing import Any, ClassVar

from django.contrib.auth.views import redirect_to_login
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext_lazy as _
from django.views import View

from subscriptions.access.portal import Grant
from subscriptions.access.project_scope import (
    projects_of,
    role_in,
    subscriptions_ever_of,
    subscriptions_of,
)
from subscriptions.ids import from_public
from subscriptions.models import Member, Project, Subscription
from subscriptions.rest.rate_store import Limit, take
from subscriptions.rest.rates import page_limits

VIEWER, EDITOR, OWNER = Member.Role.VIEWER, Member.Role.EDITOR, Member.Role.OWNER

SECTIONS = (
    ("overview-page", _("Overview"), VIEWER),
    ("subscriptions-page", _("Subscriptions"), VIEWER),
    ("deliveries-page", _("Deliveries"), VIEWER),
    ("event-types-page", _("Event types"), VIEWER),
    ("signature-debugger-page", _("Signature debugger"), EDITOR),
    ("members-page", _("Members"), OWNER),
    ("keys-page", _("API keys"), OWNER),
    ("audit-log-page", _("Audit log"), OWNER),
)
"""The navigation: the name of an address, what it is called, and who sees it."""

_RANKS = {VIEWER: 1, EDITOR: 2, OWNER: 3}

_ROLE_NAMES = {VIEWER: _("viewer"), EDITOR: _("editor"), OWNER: _("owner")}


class ProjectPage(View):
    """A page of one project."""

    template_name: ClassVar[str]
    roles: ClassVar[Mapping[str, Member.Role]] = {"GET": VIEWER, "POST": EDITOR}
    """Method → the role that it takes at least; others are not allowed."""
    section: ClassVar[str] = ""
    """Which entry of the navigation is the current one: the name of its address."""

    project: Project
    role: Member.Role
    grant: Grant | None = None
    """What a portal's visitor may do; `None`: a member looks."""

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """Find the project and the role, or answer why not."""
        self.grant = getattr(request, "portal", None)
        if self.grant is None and not request.user.is_authenticated:
            return redirect_to_login(request.get_full_path())
        wait_seconds = seconds_to_wait(page_limits(self.visitor))
        if wait_seconds:
            return slow_down(request, wait_seconds)
        self.project, self.role = self._find_project(kwargs["project"])
        method = "GET" if request.method == "HEAD" else str(request.method)
        if method == "OPTIONS":
            return self.options(request)
        if method not in self.roles:
            return self.http_method_not_allowed(request)
        if not self.may(self.roles[method]):
            return self.show(
                "role_needed.html",
                {
                    "role_needed": _ROLE_NAMES[self.roles[method]],
                    "own_role": _ROLE_NAMES[self.role],
                },
                status=HTTPStatus.FORBIDDEN,
            )
        return super().dispatch(request, *args, **kwargs)

    def _find_project(self, slug: str) -> tuple[Project, Member.Role]:
        """Return the project and the visitor's role in it; another's is not found."""
        if self.grant is not None:
            projects, role = Project.objects.filter(pk=self.grant.project_id), self.grant.role
            project = projects.filter(slug=slug).first()
        else:
            project = projects_of(self.request.user).filter(slug=slug).first()
            found = None if project is None else role_in(project, self.request.user)
            if found is None:
                raise Http404
            role = found
        if project is None:
            raise Http404
        return project, role

    def may(self, role: Member.Role) -> bool:
        """Say whether the member is that, or more."""
        return _RANKS[self.role] >= _RANKS[role]

    def get(self, request: HttpRequest, **_path: str) -> HttpResponse:
        """Show the page."""
        return self.show(self.template_name, self.context(request))

    def context(self, _request: HttpRequest) -> dict[str, Any]:
        """Return what the template needs besides the frame."""
        return {}

    def show(
        self, template: str, context: dict[str, Any], status: int = HTTPStatus.OK
    ) -> HttpResponse:
        """Answer with a template in the project's frame."""
        frame = {
            "project": self.project,
            "projects": [] if self.grant else projects_of(self.request.user),
            "role": self.role,
            "may_edit": self.may(EDITOR),
            "may_own": self.may(OWNER),
            "may_catalogue": self.may_catalogue,
            "may_subscribe": self.may_subscribe,
            "is_portal": self.grant is not None,
            "navigation": list(self._navigation()),
        }
        return render(self.request, template, frame | context, status=status)

    def _navigation(self) -> Iterator[dict[str, Any]]:
        for name, title, role in SECTIONS:
            if self.may(role):
                address = reverse(name, args=[self.project.slug])
                yield {"address": address, "title": title, "is_current": name == self.section}

    @property
    def visitor(self) -> str:
        """Who looks, for counting: a member, or a portal's link."""
        return f"user-{self.request.user.pk}" if self.grant is None else self.grant.id

    @property
    def sees_all(self) -> bool:
        """Whether the visitor may see all of the project's subscriptions, and what they got.

        Where not: whatever is read must go through `subscriptions` or `subscriptions_ever`.
        """
        return self.grant is None or self.grant.subscription_ids is None

    @property
    def figures_owner(self) -> str:
        """Whose turn figures take: a link's own where its visitor sees some subscriptions only.

        Empty: the project's.
        """
        return "" if self.sees_all else self.visitor

    @property
    def may_subscribe(self) -> bool:
        """Whether the visitor may make subscriptions: they would be outside of a portal's few."""
        return self.may(EDITOR) and self.sees_all

    @property
    def may_catalogue(self) -> bool:
        """Whether the visitor may change event types: they are the provider's, not a portal's."""
        return self.may(EDITOR) and self.grant is None

    @property
    def may_use_default_secret(self) -> bool:
        """Whether the visitor may choose what the project's default secret signs, and for whom.

        It vouches for the provider wherever it signs, so no portal's visitor may: not switch it on,
        nor choose data or a URL where it signs already.
        """
        return self.grant is None

    @property
    def subscriptions(self) -> QuerySet[Subscription]:
        """What the visitor may see of the project's subscriptions, less the deleted ones."""
        return self._granted(subscriptions_of(self.project))

    @property
    def subscriptions_ever(self) -> QuerySet[Subscription]:
        """The same with the deleted ones, which history still names."""
        return self._granted(subscriptions_ever_of(self.project))

    def _granted(self, subscriptions: QuerySet[Subscription]) -> QuerySet[Subscription]:
        if self.grant is None or self.grant.subscription_ids is None:
            return subscriptions
        return subscriptions.filter(id__among=self.grant.subscription_ids)

    def find_subscription(self) -> Subscription:
        """Return the project's subscription that the path names, or raise a 404."""
        identifier = from_public("sub", self.kwargs["subscription"])
        subscription = (
            None if identifier is None else self.subscriptions.filter(pk=identifier).first()
        )
        if subscription is None:
            raise Http404
        subscription.project = self.project  # known: nobody needs to query it again
        return subscription

    @property
    def is_partial(self) -> bool:
        """Whether htmx asks, for a piece of the page that it has."""
        return self.request.headers.get("HX-Request") == "true"


def seconds_to_wait(limits: Sequence[Limit]) -> int:
    """Take a token from each of these limits; return how long to wait where one refuses."""
    return max((said.wait_seconds for said in take(limits)), default=0)


def slow_down(request: HttpRequest, wait_seconds: int) -> HttpResponse:
    """Answer who asks too fast, at no cost: without looking at the project."""
    response = render(
        request,
        "slow_down.html",
        {"wait_seconds": wait_seconds},
        status=HTTPStatus.TOO_MANY_REQUESTS,
    )
    response.headers["Retry-After"] = str(wait_seconds)
    response.headers["HX-Reswap"] = "none"  # a piece stays as it is, and asks again when it does
    return response
