"""Admin pages of people and their groups: Django's own, in the look of the others."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.auth import admin as auth_admin
from django.contrib.auth.models import Group, User
from unfold.admin import ModelAdmin
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

from subscriptions.access.audit_log import Target, target_of_user
from subscriptions.audited_admin import Audited

admin.site.unregister([User, Group])


@admin.register(User)
class UserAdmin(Audited, auth_admin.UserAdmin[User], ModelAdmin):  # type: ignore[misc]  # unfold has no types
    """People who may log in."""

    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm
    filter_horizontal = ()  # wider than the page
    audited_as = "user"
    audited_fields = ("username", "email", "is_active", "is_staff", "is_superuser")

    def audit_target(self, row: Any) -> Target:
        """Return the login."""
        return target_of_user(row)


@admin.register(Group)
class GroupAdmin(auth_admin.GroupAdmin, ModelAdmin):  # type: ignore[misc]  # unfold has no types
    """What several people may do."""

    filter_horizontal = ()
