"""Pages of a project's members: list, add, change a role, remove."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, ClassVar, Final

from django import forms
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from subscriptions.access.members import (
    AlreadyMember,
    LastOwner,
    NoSuchUser,
    NotMember,
    add_member,
    change_role,
    find_member,
    remove_member,
)
from subscriptions.models import Member
from subscriptions.pages.listing import page_of
from subscriptions.pages.project_page import OWNER, ProjectPage

ROLE_WORDS: Final[dict[str, Promise]] = {
    "viewer": gettext_lazy("Viewer: reads"),
    "editor": gettext_lazy("Editor: subscriptions, tests, redeliveries"),
    "owner": gettext_lazy("Owner: everything, members and keys included"),
}

_LAST_OWNER: Final = gettext_lazy(
    "Somebody has to own the project: make another member an owner first."
)


class NewMemberForm(forms.Form):
    """Who is added, and as what."""

    user = forms.CharField(
        label=gettext_lazy("User name"),
        max_length=150,
        strip=False,
        widget=forms.TextInput(attrs={"autocomplete": "off", "autocapitalize": "none"}),
        help_text=gettext_lazy("The name they sign in with. An operator makes new users."),
    )
    role = forms.ChoiceField(
        label=gettext_lazy("Role"), choices=list(ROLE_WORDS.items()), initial="viewer"
    )


class Members(ProjectPage):
    """`/projects/{project}/members`."""

    template_name = "members.html"
    roles: ClassVar = {"GET": OWNER, "POST": OWNER}
    section = "members-page"

    def context(self, request: HttpRequest) -> dict[str, Any]:
        """Return a page of members, those added last first, and the form of a new one."""
        members = Member.objects.filter(project=self.project).select_related("user")
        return {
            "page": page_of(request, members, self.project),
            "role_words": ROLE_WORDS,
            "form": NewMemberForm(),
        }

    def post(self, request: HttpRequest, **_path: str) -> HttpResponse:
        """Give an existing user a role."""
        form = NewMemberForm(request.POST)
        if form.is_valid():
            try:
                member = add_member(
                    self.project, form.cleaned_data["user"], form.cleaned_data["role"]
                )
            except AlreadyMember:
                form.add_error("user", _("This user is a member already."))
            except NoSuchUser:
                form.add_error(
                    "user", _("There is no user of this name. An operator can make one.")
                )
            else:
                said = _("%(user)s is a member now.") % {"user": member.user_name}
                messages.success(request, said)
                return redirect("members-page", self.project.slug)
        context = self.context(request) | {"form": form}
        return self.show(self.template_name, context, status=HTTPStatus.UNPROCESSABLE_ENTITY)


class MemberChange(ProjectPage):
    """What is done to one member; afterwards the list shows it."""

    http_method_names = ["post"]
    roles: ClassVar = {"POST": OWNER}

    def find(self) -> Member:
        """Return the project's member that the form names, or raise a 404."""
        member = find_member(self.project, self.request.POST.get("user", ""))
        if member is None:
            raise Http404
        return member

    @property
    def is_by_operator(self) -> bool:
        """Whether an operator asks, who may take the last owner away."""
        return bool(getattr(self.request.user, "is_superuser", False))

    def back(self, member: Member, *, is_owner: bool) -> HttpResponse:
        """Lead to the list, or away from it who may not see it any longer."""
        if member.user_id == self.request.user.pk and not is_owner and not self.is_by_operator:
            return redirect("projects-page")
        return redirect("members-page", self.project.slug)


class MemberRole(MemberChange):
    """`/projects/{project}/members/role`."""

    def post(self, request: HttpRequest, **_path: str) -> HttpResponse:
        """Give the member another role."""
        member, role = self.find(), request.POST.get("role", "")
        is_owner = True
        if role not in ROLE_WORDS:
            messages.error(request, _("There is no such role."))
            return self.back(member, is_owner=True)
        try:
            change_role(member, role, is_by_operator=self.is_by_operator)
        except LastOwner:
            messages.error(request, str(_LAST_OWNER))
        except NotMember:
            raise Http404 from None
        else:
            is_owner = role == Member.Role.OWNER
            said = _("%(user)s has another role now.") % {"user": member.user_name}
            messages.success(request, said)
        return self.back(member, is_owner=is_owner)


class MemberRemoval(MemberChange):
    """`/projects/{project}/members/remove`."""

    def post(self, request: HttpRequest, **_path: str) -> HttpResponse:
        """Take the member's role away."""
        member = self.find()
        try:
            remove_member(member, is_by_operator=self.is_by_operator)
        except LastOwner:
            messages.error(request, str(_LAST_OWNER))
            return self.back(member, is_owner=True)
        except NotMember:
            raise Http404 from None
        said = _("%(user)s is no member any more.") % {"user": member.user_name}
        messages.success(request, said)
        return self.back(member, is_owner=False)
