"""Serves a project's pages inside a provider's own product: `/portal/{token}/projects/{slug}/…`.

Middleware. The token in the path is all the proof there is: it is taken off the path before routes
are looked up, put before every address that pages link to, and no cookie is set or read but that of
the language: browsers keep none for frames of another site, and nothing of a member's session
counts here.
"""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import Final

from django.contrib.staticfiles.storage import staticfiles_storage
from django.http import HttpRequest, HttpResponseBase, HttpResponseRedirect
from django.shortcuts import render
from django.urls import get_script_prefix, reverse, set_script_prefix

from dispatcher.browser_security import PAGES_POLICY
from subscriptions.access.acting import acting_as
from subscriptions.access.portal import Grant, LinkEnded, read_token
from subscriptions.models import Project

PREFIX: Final = "/portal/"

_NOBODY_FRAMES: Final = "frame-ancestors 'none'"


class Portal:
    """The middleware; those that read cookies come after it."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Answer what lies below a link; everything else goes on as it is."""
        if not request.path_info.startswith(PREFIX):
            return self._get_response(request)
        token, _, rest = request.path_info.removeprefix(PREFIX).partition("/")
        _forget_cookies(request)
        try:
            grant = read_token(token)
        except LinkEnded:
            return _private(_ended(request))
        project = Project.objects.filter(pk=grant.project_id).first()
        if project is None:
            return _private(_ended(request))
        response = self._answer(request, grant, project, _Way(token, f"/{rest}"))
        return _private(_framed(response, project))

    def _answer(
        self, request: HttpRequest, grant: Grant, project: Project, way: _Way
    ) -> HttpResponseBase:
        """Let the pages answer, as if the site were served below the link."""
        site_prefix = get_script_prefix()
        # Where static files are is worked out once, from the prefix of that moment: the site's.
        staticfiles_storage.url("dispatcher/icon.svg")
        set_script_prefix(f"{site_prefix}{PREFIX[1:]}{way.token}/")
        try:
            overview = reverse("overview-page", args=[project.slug])
            if way.path == "/":
                return HttpResponseRedirect(overview)
            if not way.path.startswith(f"/projects/{project.slug}/"):
                return render(request, "portal_nothing.html", status=HTTPStatus.NOT_FOUND)
            _become(request, grant, way.path)
            with acting_as(lambda: grant.actor):
                return self._get_response(request)
        finally:
            set_script_prefix(site_prefix)


class _Way:
    """A path below the link."""

    def __init__(self, token: str, path: str) -> None:
        self.token, self.path = token, path


def _become(request: HttpRequest, grant: Grant, path: str) -> None:
    request.portal = grant  # type: ignore[attr-defined]  # what pages look at
    request.path_info = path
    # A forged request would have to know the token. It is how Django's own test client says it.
    request._dont_enforce_csrf_checks = True  # type: ignore[attr-defined]


def _forget_cookies(request: HttpRequest) -> None:
    """Leave out whose browser it is: a member who opens the link is its visitor, and no more."""
    request.META.pop("HTTP_COOKIE", None)
    request.COOKIES = {}


def _ended(request: HttpRequest) -> HttpResponseBase:
    response = render(request, "portal_ended.html", status=HTTPStatus.GONE)
    # Whoever framed it is not known any more. It says nothing of anybody and has no buttons.
    policy = PAGES_POLICY.replace(_NOBODY_FRAMES, "frame-ancestors *")
    response.headers["Content-Security-Policy"] = policy
    return response


def _framed(response: HttpResponseBase, project: Project) -> HttpResponseBase:
    """Let the project's origins frame it, and nobody else."""
    origins = " ".join(project.portal_origins) or "'none'"
    policy = PAGES_POLICY.replace(_NOBODY_FRAMES, f"frame-ancestors {origins}")
    response.headers["Content-Security-Policy"] = policy
    return response


def _private(response: HttpResponseBase) -> HttpResponseBase:
    """Keep the token out of the addresses that other sites are told, and set no cookie."""
    response.headers["Referrer-Policy"] = "no-referrer"
    response.xframe_options_exempt = True  # type: ignore[attr-defined]  # Django's own sign
    response.cookies.clear()
    return response
