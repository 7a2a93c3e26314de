"""Tenant isolation: who may see which project, and what belongs to it.

Every query of the API and the pages starts here or from a project found here. What another project
has does not exist: it is not found, never forbidden.
"""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet

from subscriptions.ids import from_public
from subscriptions.matching import matches
from subscriptions.models import ApiKey, Member, Project, Subscription


def project_of_key(key: ApiKey, slug: str) -> Project | None:
    """Return the project when it is the key's own; an operator's key is good for all."""
    if key.project is None:
        return Project.objects.filter(slug=slug).first()
    return key.project if key.project.slug == slug else None


def projects_of(user: Any) -> QuerySet[Project]:
    """Return the projects that a person may see: their own; an operator's are all."""
    if user.is_superuser:
        return Project.objects.all()
    return Project.objects.filter(members__user=user)


def role_in(project: Project, user: Any) -> Member.Role | None:
    """Return what a person is in a project; an operator is an owner of each."""
    if user.is_superuser:
        return Member.Role.OWNER
    role = Member.objects.filter(project=project, user=user).values_list("role", flat=True).first()
    return None if role is None else Member.Role(role)


def subscriptions_of(project: Project) -> QuerySet[Subscription]:
    """Return the project's subscriptions, less the deleted ones."""
    return subscriptions_ever_of(project).filter(deleted_at=None)


def subscriptions_ever_of(project: Project) -> QuerySet[Subscription]:
    """Return the project's subscriptions and those it has deleted, which history still names."""
    return Subscription.objects.filter(project=project)


def wanting(subscriptions: QuerySet[Subscription], event_type: str) -> QuerySet[Subscription]:
    """Keep the subscriptions of a project whose filters want this event type, on or off.

    Reads all of their filters, of 500 at most (a setting): the same matcher as for events.
    """
    filters = subscriptions.values_list("id", "event_types")
    wanted = [identifier for identifier, entries in filters if matches(entries, event_type)]
    return subscriptions.filter(id__among=wanted)


def find_subscription(project: Project, public_id: str) -> Subscription | None:
    """Return the project's subscription of this id (`sub_…`)."""
    identifier = from_public("sub", public_id)
    if identifier is None:
        return None
    subscription = subscriptions_of(project).filter(id=identifier).first()
    if subscription is not None:
        subscription.project = project  # known: nobody needs to query it again
    return subscription
