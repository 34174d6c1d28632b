"""Actions of the admin: each calls a service once per row and says what became of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import messages
from django.contrib.admin.helpers import ActionForm
from django.utils import timezone

from accounts.policies import viewer_of
from accounts.services.refusal import Refusal
from allocation.models import Cause

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.contrib.admin import ModelAdmin
    from django.db.models import Model, QuerySet
    from django.http import HttpRequest

    from accounts.policies import Viewer


class ReasonForm(ActionForm):
    """The choice of an action with a reason, for actions that need one."""

    reason = forms.CharField(required=False, label="Reason")


class CauseForm(ReasonForm):
    """The choice of an action with a reason and the cause of a restatement."""

    cause = forms.ChoiceField(
        required=False,
        label="Cause (of a restatement)",
        choices=[("", "---"), *(one for one in Cause.choices if one[0] not in {Cause.FIRST, Cause.HIERARCHY})],
    )


def reason_of(request: HttpRequest) -> str:
    """Return what the person wrote as the reason."""
    return request.POST.get("reason", "").strip()


def ask(
    admin: ModelAdmin[Any],
    request: HttpRequest,
    rows: QuerySet[Any],
    service: Callable[[Viewer, Any], str],
) -> None:
    """Call a service for each chosen row as the signed-in person, and show its answers and refusals.

    Args:
        admin: the admin of the rows.
        request: from whom.
        rows: the chosen rows.
        service: called with (viewer, row); returns what to say.
    """
    viewer = viewer_of(request.user, now=timezone.now())
    for row in rows:
        _ask_one(admin, request, row, viewer, service)


def _ask_one(
    admin: ModelAdmin[Any], request: HttpRequest, row: Model, viewer: Viewer, service: Callable[[Viewer, Any], str]
) -> None:
    try:
        admin.message_user(request, service(viewer, row))
    except Refusal as error:
        admin.message_user(request, f"{row}: {error}", messages.ERROR)
