"""Adds people to projects, changes their roles and removes them; somebody stays in charge.

Called by API and admin. People themselves are made by the operator.
"""

from __future__ import annotations

from django.contrib.auth import get_user_model
from django.db import IntegrityError, transaction

from subscriptions.access.audit_log import Action, record, target_of
from subscriptions.models import Member, Project


class AlreadyMember(Exception):
    """The person has a role in the project."""


class NoSuchUser(Exception):
    """Nobody of this name may log in to this installation."""


class LastOwner(Exception):
    """Without this owner nobody who can log in would be one; only an operator may do that."""


class NotMember(Exception):
    """The person has no role in the project, or none any more."""


def add_member(project: Project, user_name: str, role: str) -> Member:
    """Give an existing user a role; raises `NoSuchUser` or `AlreadyMember`."""
    user = get_user_model().objects.filter(**{_user_name_field(): user_name}).first()
    if user is None or "/" in user_name:  # no address of the API could name them
        raise NoSuchUser
    try:
        with transaction.atomic():
            member = Member.objects.create(project=project, user=user, role=role)
            record(Action.MEMBER_CREATED, target_of(member), after={"role": role})
    except IntegrityError:
        if not Member.objects.filter(project=project, user=user).exists():
            raise  # it was not about that
        raise AlreadyMember from None
    return member


def find_member(project: Project, user_name: str) -> Member | None:
    """Return the project's member of this user name."""
    if "\0" in user_name:
        return None  # PostgreSQL refuses to look
    members = Member.objects.select_related("user").filter(project=project)
    return members.filter(**{f"user__{_user_name_field()}": user_name}).first()


def change_role(member: Member, role: str, *, is_by_operator: bool) -> Member:
    """Give a member another role; return the row as it is. Raises `LastOwner` or `NotMember`."""
    with transaction.atomic():
        current = _lock(member)
        if current.role == role:
            return current
        if not is_by_operator:
            _check_others_own(current)
        before = {"role": current.role}
        current.role = role
        current.save(update_fields=["role"])
        record(Action.MEMBER_CHANGED, target_of(current), before=before, after={"role": role})
    return current


def remove_member(member: Member, *, is_by_operator: bool) -> None:
    """Take a member's role away; raises `LastOwner` or `NotMember`."""
    with transaction.atomic():
        current = _lock(member)
        if not is_by_operator:
            _check_others_own(current)
        record(Action.MEMBER_DELETED, target_of(current), before={"role": current.role})
        current.delete()


def lock_members(project_id: int) -> None:
    """Wait until nobody else changes the project's members, and keep it so in this transaction.

    It is the project that is locked: two owners who remove each other hold different rows. Lock no
    member before it.
    """
    Project.objects.select_for_update(no_key=True).get(pk=project_id)


def _lock(member: Member) -> Member:
    """Read the row again; of changes to a project's members, one is made at a time."""
    lock_members(member.project_id)
    current = Member.objects.select_related("user").filter(pk=member.pk).first()
    if current is None:
        raise NotMember
    return current


def _check_others_own(member: Member) -> None:
    owners = Member.objects.filter(
        project=member.project_id, role=Member.Role.OWNER, user__is_active=True
    )
    if member.role == Member.Role.OWNER and not owners.exclude(pk=member.pk).exists():
        raise LastOwner


def _user_name_field() -> str:
    return get_user_model().USERNAME_FIELD
