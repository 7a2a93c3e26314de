"""Routes of a project's members: who may do what on its pages."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any, ClassVar

from django.db import transaction
from django.urls import reverse
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from subscriptions.access.members import (
    AlreadyMember,
    LastOwner,
    NoSuchUser,
    NotMember,
    add_member,
    change_role,
    find_member,
    lock_members,
    remove_member,
)
from subscriptions.field_errors import FieldError, FieldsRefused
from subscriptions.models import Member
from subscriptions.openapi.operations import ETAG, LOCATION, operation
from subscriptions.rest.cursor_pages import PageQuery, page_response
from subscriptions.rest.idempotent_requests import idempotent
from subscriptions.rest.preconditions import etag_of, if_unchanged
from subscriptions.rest.problems import Problem, field_problem, not_found
from subscriptions.rest.project_view import ProjectView
from subscriptions.rest.strict_fields import StrictSerializer, Text, read_body, read_query

_ALREADY = "This user is a member already."
_NOBODY = "There is no user of this name: operators make them."
_LAST_OWNER = "The last owner of a project stays, unless an operator says otherwise."


class MemberSerializer(StrictSerializer):
    """A person with a role in a project."""

    user = Text(source="user_name", help_text="The name they log in with; the user exists.")
    name = serializers.CharField(
        source="user.get_full_name",
        read_only=True,
        help_text="What people call them; may be empty.",
    )
    role = serializers.ChoiceField(
        choices=Member.Role.values,
        help_text="`owner`: everything, members and keys included; `editor`: subscriptions, tests, "
        "redeliveries; `viewer`: reads.",
    )

    keywords: ClassVar[dict[str, dict[str, Any]]] = {
        "user": {"minLength": 1, "maxLength": 150, "examples": ["alice"]}
    }
    only_when_creating: ClassVar = ("user",)


class MemberList(ProjectView):
    """`/projects/{project}/members`."""

    scopes = {"GET": "own", "POST": "own"}

    @operation(query=PageQuery, page_of=MemberSerializer)
    def get(self, request: Request, **_ids: str) -> Response:
        """List the project's members, those added last first."""
        return page_response(
            request,
            Member.objects.filter(project=self.project).select_related("user"),
            project=self.project,
            query=read_query(request, PageQuery),
            serializer=MemberSerializer,
        )

    @idempotent
    @operation(
        body=MemberSerializer,
        answers={201: MemberSerializer},
        problems={409: _ALREADY, 422: _NOBODY},
        gives=[LOCATION],
    )
    def post(self, request: Request, **_ids: str) -> Response:
        """Give an existing user a role in the project."""
        wanted = read_body(request, MemberSerializer)
        try:
            member = add_member(self.project, wanted["user_name"], wanted["role"])
        except AlreadyMember:
            raise field_problem(HTTPStatus.CONFLICT, "user", "taken", _ALREADY) from None
        except NoSuchUser:
            status = HTTPStatus.UNPROCESSABLE_ENTITY
            raise field_problem(status, "user", "unknown", _NOBODY) from None
        ids = {"project": self.project.slug, "user": member.user_name}
        path = reverse("member", kwargs=ids)
        return _shown(member, status=HTTPStatus.CREATED, Location=path)


class MemberDetail(ProjectView):
    """`/projects/{project}/members/{user}`."""

    scopes = {"GET": "own", "PATCH": "own", "DELETE": "own"}

    @operation(answers={200: MemberSerializer}, gives=[ETAG])
    def get(self, _request: Request, **_ids: str) -> Response:
        """Show a member."""
        return _shown(self._find())

    @operation(
        body=MemberSerializer,
        answers={200: MemberSerializer},
        problems={409: _LAST_OWNER},
        gives=[ETAG],
        is_conditional=True,
    )
    def patch(self, request: Request, **_ids: str) -> Response:
        """Give a member another role."""
        member = self._find()
        wanted = read_body(request, MemberSerializer, partial=True)
        if "user_name" in wanted:
            message = "A membership stays with its user."
            raise FieldsRefused([FieldError("user", "not_changeable", message)])
        with self._if_unchanged(request, member):
            try:
                changed = change_role(
                    member, wanted.get("role", member.role), is_by_operator=self.is_by_operator
                )
            except LastOwner:
                raise Problem(HTTPStatus.CONFLICT, _LAST_OWNER) from None
            except NotMember:
                raise not_found("member") from None
        return _shown(changed)

    @operation(answers={204: None}, problems={409: _LAST_OWNER}, is_conditional=True)
    def delete(self, request: Request, **_ids: str) -> Response:
        """Remove a member from the project."""
        member = self._find()
        with self._if_unchanged(request, member):
            try:
                remove_member(member, is_by_operator=self.is_by_operator)
            except LastOwner:
                raise Problem(HTTPStatus.CONFLICT, _LAST_OWNER) from None
            except NotMember:
                raise not_found("member") from None
        return Response(status=HTTPStatus.NO_CONTENT)

    def _find(self) -> Member:
        member = find_member(self.project, self.kwargs["user"])
        if member is None:
            raise not_found("member")
        return member

    @contextmanager
    def _if_unchanged(self, request: Request, member: Member) -> Iterator[None]:
        """Lock the project before the member, as everybody does: or two requests wait for ever."""
        with transaction.atomic():
            lock_members(self.project.pk)
            with if_unchanged(request, Member.objects.filter(pk=member.pk), _tag_of):
                yield


def _shown(member: Member, status: int = HTTPStatus.OK, **headers: str) -> Response:
    headers["ETag"] = _tag_of(member)
    return Response(MemberSerializer(member).data, status=status, headers=headers)


def _tag_of(member: Member) -> str:
    return etag_of(member.role)
