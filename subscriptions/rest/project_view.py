"""The base of every route below `/projects/{project}`: on which project the key acts.

Subclasses name the scope of each method and start their queries from `self.project`.
"""

from __future__ import annotations

from subscriptions.access.project_scope import find_subscription, project_of_key
from subscriptions.models import Project, Subscription
from subscriptions.rest.api_view import ApiView
from subscriptions.rest.problems import not_found


class ProjectView(ApiView):
    """A route of one project; another project's key finds nothing here."""

    project: Project

    def find_owner_of_path(self) -> None:
        """Find the project, if the key is good for it."""
        project = project_of_key(self.api_key, self.kwargs["project"])
        if project is None:
            raise not_found("project")
        self.project = project

    def find_subscription(self) -> Subscription:
        """Return the project's subscription that the path names; raises a 404."""
        subscription = find_subscription(self.project, self.kwargs["subscription_id"])
        if subscription is None:
            raise not_found("subscription")
        return subscription
