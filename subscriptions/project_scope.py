"""Tenant isolation: who may see which project, and what belongs to it.

Every query of the API and the pages starts here or from a project found here. What another project
has does not exist: it is not found, never forbidden.
"""

from __future__ import annotations

from django.db.models import QuerySet

from subscriptions.ids import from_public
from subscriptions.models import ApiKey, Project, Subscription


def project_of_key(key: ApiKey, slug: str) -> Project | None:
    """Return the project when it is the key's own."""
    return key.project if key.project.slug == slug else None


def subscriptions_of(project: Project) -> QuerySet[Subscription]:
    """Return the project's subscriptions, less the deleted ones."""
    return subscriptions_ever_of(project).filter(deleted_at=None)


def subscriptions_ever_of(project: Project) -> QuerySet[Subscription]:
    """Return the project's subscriptions and those it has deleted, which history still names."""
    return Subscription.objects.filter(project=project)


def find_subscription(project: Project, public_id: str) -> Subscription | None:
    """Return the project's subscription of this id (`sub_…`)."""
    identifier = from_public("sub", public_id)
    if identifier is None:
        return None
    subscription = subscriptions_of(project).filter(id=identifier).first()
    if subscription is not None:
        subscription.project = project  # known: nobody needs to query it again
    return subscription
