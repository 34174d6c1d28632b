"""People and user groups by name, for those who grant roles to them."""

from __future__ import annotations

from django.contrib.auth.models import Group

from accounts.models import User


def user_id_of(*, username: str) -> int | None:
    """The active user of this name."""
    return User.objects.filter(username=username, is_active=True).values_list("id", flat=True).first()


def user_group_id_of(*, name: str) -> int | None:
    """The user group of this name."""
    return Group.objects.filter(name=name).values_list("id", flat=True).first()
