"""The first page after signing in: the projects that one may see."""

from __future__ import annotations

from django.contrib.auth.mixins import LoginRequiredMixin
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views import View

from subscriptions.access.project_scope import projects_of


class ProjectListPage(LoginRequiredMixin, View):
    """`/projects`; who has one project only is led to it."""

    def get(self, request: HttpRequest) -> HttpResponse:
        """Show the projects."""
        projects = list(projects_of(request.user))
        if len(projects) == 1:
            return redirect("overview-page", projects[0].slug)
        return render(request, "projects.html", {"projects": projects})
