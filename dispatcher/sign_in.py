"""Signs people in and out of the members' pages; the limits are those of the admin's login."""

from __future__ import annotations

from http import HTTPStatus

from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.views import LoginView
from django.core.exceptions import NON_FIELD_ERRORS
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect

from dispatcher.login_throttle import CODE, Throttled


class SignInForm(Throttled, AuthenticationForm):
    """User name and password; too many wrong ones, and it does not look at them for a while."""


class SignIn(LoginView):
    """`/sign-in`; leads on to the page that asked for it, or to the projects."""

    template_name = "account/sign_in.html"
    authentication_form = SignInForm
    redirect_authenticated_user = True

    def form_invalid(self, form: AuthenticationForm) -> HttpResponse:
        """Show the form again: with 429, and when to come back, after too many attempts."""
        response = super().form_invalid(form)
        if isinstance(form, Throttled) and form.has_error(NON_FIELD_ERRORS, CODE):
            response.status_code = HTTPStatus.TOO_MANY_REQUESTS
            response.headers["Retry-After"] = str(form.retry_after_seconds)
        return response


def home(_request: HttpRequest) -> HttpResponse:
    """Lead from the site's root to the projects."""
    return redirect("projects-page")
